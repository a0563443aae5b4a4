"""Speedup against weight sparsity: what pruning buys."""

from dataclasses import replace
from typing import Any

import polars as pl

from spusim.experiments.charts.measures import TIMES, parameter_quantity
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
_ROLES = (
    (Role.MEASURED, "achieved"),
    (Role.IDEAL, "ideal: skipped zeros cost nothing"),
    (Role.BOUND, "floor: one cycle for every nonzero activation"),
)
_LONGEST_TAG = 12  # letters; longer ones go into the legend
_NETWORK, _BLACK = "network", 6
_SAME_ONSET = 0.05  # of the sparsity, within which one mark serves all curves
_WAITS = 2  # of the PEs, that the note of a network names


def speedup_vs_sparsity(results: Results) -> LineChart:
    """Return achieved and ideal speedup against weight sparsity, by part and by layer.

    A layer alone also has the bound of its floor: a pushed column costs every PE a cycle at
    least (T5, T11). Raises UnfitError.
    """
    panels: list[Panel] = []
    parts = [rows.filter(pl.col("speedup_achieved").is_not_null())
             for _, rows in part_rows(results)]  # fmt: skip
    # layers alone are simpler than networks, and come first
    for rows in sorted(parts, key=lambda rows: rows["network"].null_count() == 0):
        if rows.height and set(WEIGHT_AXES) & set(varied(results, rows)):
            panels.append(_part(results, rows))
    if not panels:
        raise UnfitError(
            f"needs several weight densities (axis {' or '.join(WEIGHT_AXES)}) and the dense "
            "baseline (not `baseline: false`)"
        )
    return LineChart(
        "speedup_vs_sparsity",
        "Speedup over the same machine skipping nothing",
        tuple(panels),
        columns=min(len(panels), 2),
        notes=missing(results),
        roles=_ROLES,
    )


def _part(results: Results, rows: pl.DataFrame) -> Panel:
    layer = part_layer(results, rows)
    found = curves(results, rows, WEIGHT_AXES)
    whole = tuple(s for curve in found for s in _pair(curve))
    panel = Panel(part_title(rows, layer), _X, _Y, whole, tags=_tags(found))
    if layer:
        return _with_floor(results, panel, found)
    panel = replace(panel, note=_waits(rows) if len(found) == 1 else "")
    layers = _layers(results, rows) if len(found) == 1 else ()
    if len(layers) <= 2:  # one layer's achieved and ideal
        return panel
    network = [
        replace(s, label=_NETWORK, hue=_BLACK, tag="" if s.role is Role.IDEAL else _NETWORK)
        for s in whole
    ]
    return replace(panel, series=(*layers, *network))


def _pair(curve: Curve) -> list[Series]:
    achieved = series(curve, _sparsity, lambda r: r["speedup_achieved"].to_list())
    ideal = series(curve, _sparsity, lambda r: r["speedup_ideal"].to_list(), Role.IDEAL)
    tag = _tag(curve)
    return [replace(achieved, tag=tag if len(tag) <= _LONGEST_TAG else ""), ideal]


def _tags(found: list[Curve]) -> str:
    return parameter_quantity(found[0].axes[0]).label if len(found[0].axes) == 1 else ""


def _tag(curve: Curve) -> str:
    label = parameter_quantity(curve.axes[0]).label if len(curve.axes) == 1 else ""
    return curve.label.removeprefix(label).strip()


def _sparsity(rows: pl.DataFrame) -> list[float | None]:
    return [None if d is None else 100 * (1 - d) for d in rows["weight_density"].to_list()]


def _with_floor(results: Results, panel: Panel, found: list[Curve]) -> Panel:
    """Add the bound of one cycle a pushed column, and mark where the ideal passes it."""
    pushes = "count.queue.push"
    if pushes not in found[0].rows.columns:
        return panel
    pes = {
        arch: sum(kind_of(unit)[1] == "pe" for unit in results.record(key)["stalls"])
        for curve in found
        for arch, key in curve.rows.unique("arch_hash").select("arch_hash", "key").rows()
    }
    machines = pl.col("arch_hash").replace_strict(pes, return_dtype=pl.Int64)
    columns = pl.col(pushes) / machines
    dense = pl.col("cycles") * pl.col("speedup_achieved")
    bounds, onsets = [], []
    for curve in found:
        told = curve.rows.filter(pl.col(pushes) > 0).with_columns(_bound=dense / columns)
        bounded = Curve(curve.label, told, curve.hue, curve.dash, curve.axes)
        bounds.append(series(bounded, _sparsity, lambda r: r["_bound"].to_list(), Role.BOUND))
        # the ideal is 1 / (weight density x activation density)
        onsets += (1 - 1 / (told["_bound"] * told["activation_density"])).to_list()
    if not onsets or max(onsets) - min(onsets) > _SAME_ONSET:
        return replace(panel, series=(*panel.series, *bounds))
    onset = 100 * sum(onsets) / len(onsets)
    note = (
        f"floor: past {onset:.0f} % a PE\nhas less than a cycle of\n"
        "work a column on average,\nyet each column costs one"
    )
    marks = (Mark(onset, note),) if 0 < onset < 100 else ()
    return replace(panel, series=(*panel.series, *bounds), marks=marks)


def _waits(rows: pl.DataFrame) -> str:
    """Return what the PEs did most in the sparsest point, work apart."""
    sparsest = rows.sort("weight_density").row(0, named=True)
    causes = {
        name.removeprefix("stall.pe."): value
        for name, value in sparsest.items()
        if name.startswith("stall.pe.") and value
    }
    whole = sum(causes.values())
    if not whole:
        return ""
    waits = sorted((c for c in causes if c != "busy"), key=lambda cause: -causes[cause])[:_WAITS]
    told = [f"{cause.replace('_', ' ')} {100 * causes[cause] / whole:.0f} %"
            for cause in ("busy", *waits)]  # fmt: skip
    sparsity = 100 * (1 - sparsest["weight_density"])
    return f"PEs at {sparsity:.0f} % sparsity:\n" + "\n".join(told)


def _layers(results: Results, rows: pl.DataFrame) -> tuple[Series, ...]:
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
                tag = name if role is Role.MEASURED else ""
                found.append(Series(name, xs, ys, points, role, hue=hue, tag=tag))
    return tuple(found)


def _achieved(layer: dict[str, Any]) -> float:
    return float(layer["dense_engine_cycles"] / layer["engine_cycles"])


def _ideal(layer: dict[str, Any]) -> float:
    return float(layer["dense"] / layer["effective"]) if layer["effective"] else 0.0


def _layer_sparsity(layer: dict[str, Any]) -> float:
    return 100 * (1 - float(layer["weight_nonzero"] / layer["dense"]))
