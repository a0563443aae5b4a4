"""Rows of a results table as the curves of a chart: one for each value of what else was swept."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import polars as pl

from spusim.errors import SpusimError
from spusim.experiments.charts.measures import TIMES, parameter_quantity
from spusim.experiments.charts.records import Numbers, Role, Scale, Series
from spusim.experiments.results import Results

Value = Any
# from this ratio of largest to smallest on, an axis is divided logarithmically
_LOG_FROM = 20.0
_MOST_CURVES = 12


class UnfitError(SpusimError):
    """Results that a chart cannot be made of; says what it would need."""


@dataclass(frozen=True)
class Curve:
    """The rows of one combination of the other axes.

    hue: place of the first axis's value; dash: of the others'; axes: those that tell curves apart.
    """

    label: str
    rows: pl.DataFrame
    hue: int = 0
    dash: int = 0
    axes: tuple[str, ...] = ()


def part_rows(results: Results) -> list[tuple[str, pl.DataFrame]]:
    """Return name and finished rows of every part that has any."""
    done = results.done
    parts = [(name, done.filter(pl.col("part") == name)) for name in results.parts]
    return [(name, rows) for name, rows in parts if rows.height]


def varied(results: Results, rows: pl.DataFrame) -> list[str]:
    """Return the axes that have several values among the rows, in the sweep's order."""
    return [axis for axis in results.axes if rows[axis].drop_nulls().n_unique() > 1]


def curves(results: Results, rows: pl.DataFrame, x: Sequence[str]) -> list[Curve]:
    """Return a curve for each combination of the varied axes other than `x`.

    What was zipped with one of `x` and follows from it, or repeats another axis, tells nothing.
    """
    keys = telling(results, rows, [a for a in varied(results, rows) if a not in x], x)
    if not keys:
        return [Curve("", rows)]
    values = [rows[key].unique(maintain_order=True).to_list() for key in keys]
    found = []
    rest: dict[tuple[Value, ...], int] = {}
    for key, group in rows.group_by(keys, maintain_order=True):
        label = ", ".join(parameter_text(k, v) for k, v in zip(keys, key, strict=True))
        dash = rest.setdefault(key[1:], len(rest))
        found.append(Curve(label, group, values[0].index(key[0]), dash, tuple(keys)))
    return found


def some_curves(
    results: Results, rows: pl.DataFrame, x: Sequence[str]
) -> tuple[list[Curve], tuple[str, ...]]:
    """Return curves as `curves` does, at most twelve; and a note if there are more."""
    found = curves(results, rows, x)
    if len(found) <= _MOST_CURVES:
        return found, ()
    last = len(found) - 1
    chosen = [found[round(k * last / (_MOST_CURVES - 1))] for k in range(_MOST_CURVES)]
    return chosen, (f"{_MOST_CURVES} of {len(found)} curves, evenly spaced",)


def series(
    curve: Curve,
    x: Callable[[pl.DataFrame], Sequence[float | None]],
    y: Callable[[pl.DataFrame], Sequence[float | None]],
    role: Role = Role.MEASURED,
    label: str | None = None,
) -> Series:
    """Return a curve's points in ascending x; equal x (replicas) are averaged, nulls left out."""
    numbers = curve.rows["point"].to_list()
    at: dict[float, list[tuple[float, int]]] = {}
    for place, value, number in zip(x(curve.rows), y(curve.rows), numbers, strict=True):
        if place is not None and value is not None and math.isfinite(value):
            at.setdefault(place, []).append((value, number))
    places = sorted(at)
    values = [[value for value, _ in at[place]] for place in places]
    repeated = any(len(found) > 1 for found in values)
    return Series(
        label=curve.label if label is None else label,
        x=tuple(places),
        y=tuple(sum(found) / len(found) for found in values),
        points=tuple(tuple(number for _, number in at[place]) for place in places),
        role=role,
        hue=curve.hue,
        dash=curve.dash,
        low=tuple(map(min, values)) if repeated else (),
        high=tuple(map(max, values)) if repeated else (),
    )


def parameter_text(name: str, value: Value) -> str:
    """Return a parameter and its value as legends show them: activation density 50 %."""
    quantity = parameter_quantity(name)
    if quantity.unit in ("as set", "name") or not isinstance(value, int | float):
        return f"{_SHORT.get(name, quantity.label)} {value}".strip()
    if quantity.unit == "%":
        return f"{quantity.label} {100 * value:.4g} %"
    unit = "" if quantity.unit == "number" else f" {quantity.unit}"
    return f"{quantity.label} {value:g}{unit}"


# text axes whose values speak for themselves
_SHORT = {
    "core.sparse.format": "",
    "prune.structure": "",
    "arch": "",
    "technology": "",
    "network": "",
}


def part_title(rows: pl.DataFrame, layer: dict[str, Any] | None) -> str:
    """Return what a part ran in a few words: kws on spu001, 2048 x 2048 layer on row64."""
    archs = rows["arch"].unique(maintain_order=True).to_list()
    where = f" on {archs[0]}" if len(archs) == 1 else ""
    where = "" if archs == [None] else where
    names = rows["network"].drop_nulls().unique(maintain_order=True).to_list()
    if layer and "kernel" in layer:
        return f"{convolution_text(layer)}{where}"
    if layer:
        shape = f"{layer['outputs']} {TIMES} {layer['inputs']} "
        return f"{shape}layer{where}"
    return (names[0] if len(names) == 1 else ", ".join(names) or "layer") + where


def convolution_text(layer: dict[str, Any]) -> str:
    """Return a random convolution in a few words: 256 filters of 3 x 3 over 256 x 14 x 14."""
    kernel, size = (f"{layer[key]} {TIMES} {layer[key]}" for key in ("kernel", "size"))
    filters = f"{layer['out_channels']} filters of {kernel}"
    return f"{filters} over {layer['in_channels']} {TIMES} {size}"


def scale_of(values: Sequence[float], log_from: float = _LOG_FROM) -> Scale:
    """Return the scale that shows values well: logarithmic where they span a wide range."""
    if not values or min(values) <= 0 or max(values) / min(values) < log_from:
        return Scale.LINEAR
    return Scale.LOG


def missing(results: Results) -> tuple[str, ...]:
    """Return a note on the points that cannot be drawn, if there are any."""
    planned = sum(part["points"] for part in results.sweep["parts"])
    failed = results.table.filter(pl.col("status") != "done").height
    absent = planned - results.table.height
    told = [
        f"{number:,} {what}"
        for number, what in ((failed, "failed"), (absent, "not computed"))
        if number > 0
    ]
    return (f"{', '.join(told)} of {planned:,} points",) if told else ()


def is_number(rows: pl.DataFrame, axis: str) -> bool:
    """Whether an axis's values are numbers."""
    return rows[axis].dtype.is_numeric()


def finite(values: Sequence[float | None]) -> Numbers:
    """Return the values that are there and finite."""
    return tuple(v for v in values if v is not None and math.isfinite(v))


def telling(
    results: Results, rows: pl.DataFrame, axes: Sequence[str], x: Sequence[str]
) -> list[str]:
    """Leave out axes of a zip or list whose values follow from x and the fewest others."""
    together = _tied(results.sweep["sweep"], str(rows["part"][0]))
    tied = [axis for axis in axes if axis in together]
    given = [axis for axis in x if axis in together]
    chosen = min(
        (
            subset
            for size in range(len(tied) + 1)
            for subset in combinations(tied, size)
            if all(_follows(rows, axis, [*given, *subset]) for axis in tied)
        ),
        key=lambda subset: (len(subset), math.prod(rows[a].n_unique() for a in subset)),
    )
    return [axis for axis in axes if axis not in together or axis in chosen]


def _tied(sweep: dict[str, Any], part: str) -> set[str]:
    """Return the axes of a part's zip and list."""
    own = (sweep.get("parts") or {}).get(part) or {}
    tied: set[str] = set()
    for said in (sweep, own):
        tied |= set(said.get("zip") or {})
        tied |= {name for point in said.get("list") or () for name in point}
    return tied


def _follows(rows: pl.DataFrame, axis: str, others: Sequence[str]) -> bool:
    if axis in others or not others:
        return axis in others
    return rows.select(axis, *others).n_unique() == rows.select(others).n_unique()


def part_layer(results: Results, rows: pl.DataFrame) -> dict[str, Any] | None:
    """Return what the first of a part's random layers is, or None for a network."""
    if rows["network"].drop_nulls().len():
        return None
    layer: dict[str, Any] | None = results.record(rows["key"][0]).get("identity", {}).get("layer")
    return layer


def sampled(rows: pl.DataFrame, most: int) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return at most that many rows, evenly spaced, the first and last among them; and a note."""
    if rows.height <= most:
        return rows, ()
    places = [round(k * (rows.height - 1) / max(1, most - 1)) for k in range(most)]
    return rows[places], (f"{most} of {rows.height:,} points, evenly spaced",)


def point_labels(results: Results, rows: pl.DataFrame) -> tuple[str, ...]:
    """Return what tells each row apart from the others, in full; its number where axes do not."""
    several = rows["part"].n_unique() > 1
    told = {
        part: telling(results, found, varied(results, found), ())
        for part, found in part_rows(results)
    }
    labels = []
    for row in rows.iter_rows(named=True):
        words = [row["part"]] if several else []
        words += [parameter_text(a, row[a]) for a in told[row["part"]] if row[a] is not None]
        labels.append(", ".join(words) or row["part"])
    if len(set(labels)) == len(labels):
        return tuple(labels)
    numbers = rows["point"].to_list()
    return tuple(f"{label}, point {n}" for label, n in zip(labels, numbers, strict=True))
