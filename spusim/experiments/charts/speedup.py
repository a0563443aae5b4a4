"""Speedup against weight sparsity: what pruning buys."""

from typing import Any

import polars as pl

from spusim.experiments.charts.measures import TIMES
from spusim.experiments.charts.records import (
    Axis,
    LineChart,
    Mark,
    Panel,
    Quantity,
    Role,
    Scale,
    Series,
)
from spusim.experiments.charts.select import (
    Curve,
    UnfitError,
    curves,
    missing,
    part_layer,
    part_rows,
    part_title,
    series,
    varied,
)
from spusim.experiments.results import Results
from spusim.experiments.units import kind_of

WEIGHT_AXES = ("layer.weight_density", "prune.density")
_X = Axis(Quantity("weight sparsity", "%"))
_Y = Axis(Quantity("speedup", TIMES), Scale.LOG)


def speedup_vs_sparsity(results: Results) -> LineChart:
    """Return achieved and ideal speedup against weight sparsity, by part and by layer.

    A layer alone also has the bound of its floor: a pushed column costs every PE a cycle at
    least (T5, T11). Raises UnfitError.
    """
    panels: list[Panel] = []
    for _, rows in part_rows(results):
        rows = rows.filter(pl.col("speedup_achieved").is_not_null())
        if rows.height and set(WEIGHT_AXES) & set(varied(results, rows)):
            panels += _part(results, rows)
    if not panels:
        raise UnfitError(
            f"needs several weight densities (axis {' or '.join(WEIGHT_AXES)}) and the dense "
            "baseline (not `baseline: false`)"
        )
    return LineChart(
        "speedup_vs_sparsity",
        "Speedup over the same machine skipping nothing",
        tuple(panels),
        columns=min(len(panels), 3),
        notes=missing(results),
    )


def _part(results: Results, rows: pl.DataFrame) -> list[Panel]:
    layer = part_layer(results, rows)
    found = curves(results, rows, WEIGHT_AXES)
    title = part_title(rows, layer)
    whole = [s for curve in found for s in _pair(curve, curve.label)]
    if layer:
        return [_with_floor(results, Panel(title, _X, _Y, tuple(whole)), found)]
    panels = [Panel(title, _X, _Y, tuple(whole))]
    if len(found) == 1:
        layers = _layers(results, rows)
        panels += [Panel(f"layers of {title}", _X, _Y, tuple(layers))] if layers else []
    return panels


def _pair(curve: Curve, label: str) -> list[Series]:
    return [
        series(curve, _sparsity, lambda r: r["speedup_achieved"].to_list(), label=label),
        series(curve, _sparsity, lambda r: r["speedup_ideal"].to_list(), Role.IDEAL, label),
    ]


def _sparsity(rows: pl.DataFrame) -> list[float | None]:
    return [None if d is None else 100 * (1 - d) for d in rows["weight_density"].to_list()]


def _with_floor(results: Results, panel: Panel, found: list[Curve]) -> Panel:
    """Add the bound of one cycle a pushed column, and mark where the ideal passes it."""
    stalls = results.record(found[0].rows["key"][0])["stalls"]
    pes = sum(kind_of(unit)[1] == "pe" for unit in stalls)
    onsets, bounds = [], []
    for curve in found:
        if "count.queue.push" not in curve.rows.columns:
            return panel
        columns = [pushes / pes for pushes in curve.rows["count.queue.push"].to_list()]
        dense = (curve.rows["cycles"] * curve.rows["speedup_achieved"]).to_list()
        limits = [d / c if c else None for d, c in zip(dense, columns, strict=True)]
        bounds.append(
            series(curve, _sparsity, lambda r, y=limits: y, Role.BOUND, curve.label)  # type: ignore[misc]
        )
        pushed = columns[0] / (curve.rows["macs_dense"][0] / _rows_a_column(results, curve))
        onsets.append(1 - 1 / (limits[0] * pushed) if limits[0] else 0.0)
    onset = 100 * sum(onsets) / len(onsets)
    marks = (Mark(onset, "floor"),) if 0 < onset < 100 else ()
    return Panel(panel.title, panel.x, panel.y, (*panel.series, *bounds), marks)


def _rows_a_column(results: Results, curve: Curve) -> int:
    record = results.record(curve.rows["key"][0])
    return int(record["identity"]["layer"]["outputs"])


def _layers(results: Results, rows: pl.DataFrame) -> list[Series]:
    """Return achieved and ideal speedup of every matrix layer's engine time, from the records."""
    records = {number: results.record(key) for number, key in rows.select("point", "key").rows()}
    names = list(dict.fromkeys(name for r in records.values() for name in r["layers"]))
    found = []
    for hue, name in enumerate(names):
        told = [(number, r["layers"][name]) for number, r in records.items() if name in r["layers"]]
        told = [(number, layer) for number, layer in told if layer.get("dense_engine_cycles")]
        for role, ratio in ((Role.MEASURED, _achieved), (Role.IDEAL, _ideal)):
            at = sorted((_layer_sparsity(layer), ratio(layer), number) for number, layer in told)
            kept = [(x, y, number) for x, y, number in at if y]
            if kept:
                xs, ys, numbers = zip(*kept, strict=True)
                points = tuple((number,) for number in numbers)
                found.append(Series(name, xs, ys, points, role, hue=hue))
    return found


def _achieved(layer: dict[str, Any]) -> float:
    return float(layer["dense_engine_cycles"] / layer["engine_cycles"])


def _ideal(layer: dict[str, Any]) -> float:
    return float(layer["dense"] / layer["effective"]) if layer["effective"] else 0.0


def _layer_sparsity(layer: dict[str, Any]) -> float:
    return 100 * (1 - float(layer["weight_nonzero"] / layer["dense"]))
