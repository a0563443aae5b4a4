"""Pareto fronts: which of the machines are worth building."""

from collections.abc import Sequence

import polars as pl

from spusim.experiments.charts.measures import MEASURES, bar_text, parameter_quantity, scaled
from spusim.experiments.charts.records import Axis, LineChart, Panel, Role, Scale, Series
from spusim.experiments.charts.select import (
    UnfitError,
    missing,
    part_layer,
    part_rows,
    part_title,
    scale_of,
    telling,
    varied,
)
from spusim.experiments.results import Results

_LATENCY = "latency_s_mean"
_AGAINST = ("energy_j_frame_mean", "memory_used_bytes", "area_um2", "accuracy")
_LEAST_POINTS = 4
_LOG_FROM = 4.0  # fronts lie in a corner, which a logarithm opens
# axes that change the job, not the machine or the compression: their points are no alternatives
_JOBS = ("layer.", "stream", "network", "seed")


def pareto(results: Results) -> LineChart:
    """Return latency against energy, memory, area and accuracy, each with its front.

    Only for a part whose points are alternatives for one job. Raises UnfitError.
    """
    fitting = [rows for _, rows in part_rows(results) if _alternatives(results, rows)]
    if not fitting:
        raise UnfitError(
            f"needs at least {_LEAST_POINTS} points that do one job with different latency and "
            "different energy, memory, area or accuracy (two axes of machine, pruning or "
            f"quantising; none of {', '.join(_JOBS)})"
        )
    rows = max(fitting, key=lambda rows: rows.height)
    metrics = _differing_metrics(rows)
    fronts = {metric: _front(rows, metric) for metric in metrics}
    numbers = sorted({number for front in fronts.values() for number in front})
    names = dict(zip(numbers, _letters(len(numbers)), strict=True))
    panels = [_panel(rows, metric, fronts[metric], names) for metric in metrics]
    title = f"Pareto fronts: {part_title(rows, part_layer(results, rows))}"
    return LineChart(
        "pareto",
        title,
        tuple(panels),
        min(2, len(panels)),
        missing(results),
        key=_key(results, rows, names),
        key_title=", ".join(
            parameter_quantity(axis).title for axis in _differing(results, rows, names)
        ),
    )


def dominated(values: Sequence[Sequence[float]]) -> list[bool]:
    """Return for each row (of which less is better everywhere) whether another one is better.

    Better is: nowhere larger, and smaller somewhere.
    """
    return [
        any(
            all(a <= b for a, b in zip(other, one, strict=True)) and tuple(other) != tuple(one)
            for other in values
        )
        for one in values
    ]


def _alternatives(results: Results, rows: pl.DataFrame) -> bool:
    axes = varied(results, rows)
    known = rows.filter(
        pl.col(_LATENCY).is_not_null() & pl.col("energy_j_frame_mean").is_not_null()
    )
    return (
        known.height >= _LEAST_POINTS
        and known[_LATENCY].n_unique() > 1
        and bool(_differing_metrics(rows))
        and len(telling(results, rows, axes, ())) > 1
        and not any(axis.startswith(_JOBS) for axis in axes)
    )


def _differing_metrics(rows: pl.DataFrame) -> list[str]:
    """Return what the points differ in, besides latency."""
    return [metric for metric in _AGAINST if rows[metric].drop_nulls().n_unique() > 1]


def _front(rows: pl.DataFrame, metric: str) -> list[int]:
    """Return the numbers of the points on a front, in ascending latency."""
    known = rows.filter(pl.col(metric).is_not_null()).sort(_LATENCY, metric, "point")
    sign = 1 if MEASURES[metric].smaller else -1
    pairs = [(x, sign * y) for x, y in known.select(_LATENCY, metric).rows()]
    worse = dominated(pairs)
    return [n for n, bad in zip(known["point"].to_list(), worse, strict=True) if not bad]


def _panel(rows: pl.DataFrame, metric: str, front: list[int], names: dict[int, str]) -> Panel:
    known = rows.filter(pl.col(metric).is_not_null())
    x_quantity, xs = scaled(_LATENCY, known)
    y_quantity, ys = scaled(metric, known)
    at = dict(zip(known["point"].to_list(), zip(xs, ys, strict=True), strict=True))
    others = [number for number in at if number not in front]
    return Panel(
        f"{y_quantity.label} against latency",
        Axis(x_quantity, scale_of([x for x in xs if x is not None], _LOG_FROM)),
        Axis(y_quantity, _scale(metric, ys)),
        (
            _points("other points", others, at, Role.CLOUD, {}),
            _points("front", front, at, Role.FRONT, names),
        ),
    )


def _scale(metric: str, values: Sequence[float | None]) -> Scale:
    share = MEASURES[metric].unit.startswith("%")
    return Scale.LINEAR if share else scale_of([v for v in values if v is not None], _LOG_FROM)


def _points(
    label: str,
    numbers: Sequence[int],
    at: dict[int, tuple[float | None, float | None]],
    role: Role,
    names: dict[int, str],
) -> Series:
    return Series(
        label,
        tuple(float(at[n][0] or 0.0) for n in numbers),
        tuple(float(at[n][1] or 0.0) for n in numbers),
        tuple((n,) for n in numbers),
        role,
        hue=0 if role is Role.FRONT else -1,
        letters=tuple(names[n] for n in numbers) if names else (),
    )


def _letters(count: int) -> list[str]:
    """Return a name for each: A to Z, then A2 to Z2, and so on."""
    return [chr(65 + k % 26) + (str(k // 26 + 1) if k >= 26 else "") for k in range(count)]


def _differing(results: Results, rows: pl.DataFrame, names: dict[int, str]) -> list[str]:
    """Return the axes in which the named points differ."""
    axes = telling(results, rows, varied(results, rows), ())
    named = rows.filter(pl.col("point").is_in(list(names)))
    return [axis for axis in axes if named[axis].n_unique() > 1] or axes


def _key(
    results: Results, rows: pl.DataFrame, names: dict[int, str]
) -> tuple[tuple[str, str], ...]:
    """Return the values of the axes in which the named points differ."""
    differing = _differing(results, rows, names)
    named = rows.filter(pl.col("point").is_in(list(names)))
    return tuple(
        (names[row["point"]], ", ".join(bar_text(a, row[a]) for a in differing))
        for row in named.sort("point").iter_rows(named=True)
    )
