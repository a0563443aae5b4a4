"""The machine's parameters: queue depth, PEs x lanes, banks and words."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from spusim.experiments.charts.measures import (
    MEASURES,
    TIMES,
    parameter_factor,
    parameter_quantity,
    scaled,
)
from spusim.experiments.charts.records import Axis, LineChart, Panel, Quantity, Scale, Series
from spusim.experiments.charts.select import (
    Curve,
    UnfitError,
    curves,
    finite,
    missing,
    part_layer,
    part_rows,
    part_title,
    scale_of,
    series,
    some_curves,
    varied,
)
from spusim.experiments.results import Results

_QUEUE, _PES, _LANES = "core.queue.depth", "core.pes", "core.lanes"
_BANKS, _WORDS = "core.data_memory.banks", "core.data_memory.words"
_LEAST_SHAPES = 3  # of PEs x lanes, for a curve at equal MACs


def queue_depth(results: Results) -> LineChart:
    """Return speedup (or cycles) and utilisation against queue depth. Raises UnfitError."""
    parts = [(name, rows) for name, rows in part_rows(results) if _QUEUE in varied(results, rows)]
    if not parts:
        raise UnfitError(f"needs several queue depths (axis {_QUEUE})")
    metrics = (_speed(parts), "utilization")
    found = [some_curves(results, rows, [_QUEUE]) for _, rows in parts]
    panels = [
        metric_panel(results, rows, shown, _QUEUE, metric, zero=True)
        for metric in metrics
        for (_, rows), (shown, _) in zip(parts, found, strict=True)
    ]
    title = "Speedup and utilisation against queue depth"
    notes = (*missing(results), *(note for _, told in found for note in told))
    return LineChart("queue_depth", title, tuple(panels), len(parts), notes)


def pes_and_lanes(results: Results) -> LineChart:
    """Return cycles, utilisation and area of PEs x lanes at equal MACs. Raises UnfitError."""
    panels: list[Panel] = []
    for _, rows in part_rows(results):
        equal = _equal_macs(rows) if {_PES, _LANES} <= set(varied(results, rows)) else rows.clear()
        if equal.height:
            panels += _shapes(results, equal)
    if not panels:
        raise UnfitError(
            f"needs at least {_LEAST_SHAPES} pairs of {_PES} and {_LANES} with the same product"
        )
    return LineChart(
        "pes_and_lanes", "PEs and lanes at equal MACs", tuple(panels), 3, missing(results)
    )


def banks_and_words(results: Results) -> LineChart:
    """Return cycles, energy and area against the data memory's banks. Raises UnfitError."""
    panels: list[Panel] = []
    notes = missing(results)
    for _, rows in part_rows(results):
        if _BANKS in varied(results, rows):
            found, told_curves = some_curves(results, rows, [_BANKS])
            notes += told_curves
            told = _pairs(rows, _BANKS, _WORDS) if _WORDS in results.axes else ()
            for metric in ("frame_cycles_mean", "energy_j_frame_mean", "area_um2"):
                panel = metric_panel(results, rows, found, _BANKS, metric)
                if told:
                    panel = replace(panel, x=_shape_axis(f"banks {TIMES} words of each", told))
                panels.append(panel)
    if not panels:
        raise UnfitError(f"needs several numbers of banks (axis {_BANKS})")
    return LineChart("banks_and_words", "Banks of the data memory", tuple(panels), 3, notes)


def metric_panel(
    results: Results,
    rows: pl.DataFrame,
    found: Sequence[Curve],
    axis: str,
    metric: str,
    zero: bool = False,
) -> Panel:
    """Return a metric against a numeric axis, a line for each curve.

    Linear scales begin at zero; `zero`: the scale is linear however wide the range.
    """
    quantity, _ = scaled(metric, rows)
    factor, times = _factor(metric, rows), parameter_factor(axis)
    lines = [
        series(c, lambda r: _times(r[axis].to_list(), times),
               lambda r: _times(r[metric].to_list(), factor))
        for c in found
    ]  # fmt: skip
    places = sorted(finite(_times(rows[axis].to_list(), times)))
    scale = Scale.LOG2 if places and places[0] > 0 and places[-1] / places[0] >= 8 else Scale.LINEAR
    ticks = tuple((place, f"{place:g}") for place in dict.fromkeys(places))
    share = zero or quantity.unit.startswith(("%", "dB"))  # dB are logarithms already
    y_scale = Scale.LINEAR if share else scale_of([y for line in lines for y in line.y])
    title = part_title(rows, part_layer(results, rows))
    return Panel(
        title,
        Axis(parameter_quantity(axis), scale, ticks=ticks),
        Axis(quantity, y_scale, zero=y_scale is Scale.LINEAR),
        _collapsed(lines),
    )


def _speed(parts: Sequence[tuple[str, pl.DataFrame]]) -> str:
    known = all(rows["speedup_achieved"].null_count() == 0 for _, rows in parts)
    return "speedup_achieved" if known else "frame_cycles_mean"


def _shapes(results: Results, rows: pl.DataFrame) -> list[Panel]:
    found = [
        Curve(_macs_label(curve, macs, several), split, curve.hue, curve.dash)
        for curve in curves(results, rows, [_PES, _LANES])
        for several in [curve.rows["_macs"].n_unique() > 1]
        for (macs,), split in curve.rows.group_by(["_macs"], maintain_order=True)
    ]
    axis = _shape_axis(f"PEs {TIMES} lanes of each", _pairs(rows, _PES, _LANES))
    panels = [
        metric_panel(results, rows, found, _PES, metric, zero=metric == "utilization")
        for metric in ("frame_cycles_mean", "utilization", "area_um2")
    ]
    return [replace(panel, x=axis) for panel in panels]


def _macs_label(curve: Curve, macs: object, several: bool) -> str:
    return f"{curve.label}, {macs} lanes".lstrip(", ") if several else curve.label


def _equal_macs(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose PEs x lanes are those of enough other shapes."""
    rows = rows.with_columns((pl.col(_PES) * pl.col(_LANES)).alias("_macs"))
    shapes = rows.group_by("_macs").agg(pl.col(_PES).n_unique().alias("_shapes"))
    enough = shapes.filter(pl.col("_shapes") >= _LEAST_SHAPES)["_macs"].to_list()
    return rows.filter(pl.col("_macs").is_in(enough))


def _pairs(rows: pl.DataFrame, one: str, other: str) -> tuple[tuple[float, str], ...]:
    """Return a tick for each value of `one` that always goes with the same value of `other`."""
    pairs = rows.select(one, other).unique().sort(one)
    if pairs[one].n_unique() < pairs.height or pairs[other].n_unique() < 2:
        return ()
    return tuple((float(a), f"{a}{TIMES}{b}") for a, b in pairs.rows())


def _shape_axis(label: str, ticks: tuple[tuple[float, str], ...]) -> Axis:
    return Axis(Quantity(label, "number"), Scale.LOG2, ticks=ticks)


def _collapsed(lines: Sequence[Series]) -> tuple[Series, ...]:
    """Return one line where all are the same, as area is whatever runs."""
    first = lines[0]
    if len(lines) > 1 and all((line.x, line.y) == (first.x, first.y) for line in lines):
        points = tuple(tuple(sorted(n for ns in at for n in ns))
                       for at in zip(*(line.points for line in lines), strict=True))  # fmt: skip
        return (replace(first, label="all", points=points, hue=-1, dash=0),)
    return tuple(lines)


def _factor(metric: str, rows: pl.DataFrame) -> float:
    """Return what a metric's values are multiplied by to be in the unit chosen for all rows."""
    _, values = scaled(metric, rows)
    plain = rows[metric].to_list()
    pairs = [(v, p) for v, p in zip(values, plain, strict=True) if v and p]
    return pairs[0][0] / pairs[0][1] if pairs else MEASURES[metric].factor


def _times(values: Sequence[float | None], factor: float) -> list[float | None]:
    return [None if v is None else v * factor for v in values]
