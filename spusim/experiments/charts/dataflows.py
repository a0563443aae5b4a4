"""One convolution on machines of different dataflow: cycles and speedup over both densities."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from spusim.experiments.charts.compression import BETWEEN, crossings
from spusim.experiments.charts.machine import metric_panel
from spusim.experiments.charts.records import Axis, LineChart, Mark, Panel, Scale, Series
from spusim.experiments.charts.select import (
    Curve,
    UnfitError,
    convolution_text,
    curves,
    missing,
    part_layer,
    part_rows,
    varied,
)
from spusim.experiments.results import Results

WEIGHTS = "conv.weight_density"
_ACTIVATIONS = "activation density "
_AT = " at "
_CYCLES, _SPEEDUP = "frame_cycles_mean", "speedup_achieved"


def dataflows(results: Results) -> LineChart:
    """Return cycles and speedup of a convolution by dataflow, where the faster one changes marked.

    Parts whose machines have the same MACs a cycle share panels. What a dataflow does not skip
    changes nothing, and is drawn once. Raises UnfitError.
    """
    groups = _groups(results)
    if not groups:
        raise UnfitError(f"needs random convolutions (conv:) at several densities (axis {WEIGHTS})")
    shapes = {shape for shape, _ in groups}
    panels: list[Panel] = []
    for (shape, macs), parts in groups.items():
        title = f"{macs:,} MACs a cycle"
        title = title if len(shapes) == 1 else f"{shape}, {title}"
        panels += [replace(panel, title=title) for panel in _panels(results, parts)]
    title = f"{shapes.pop()}, by dataflow" if len(shapes) == 1 else "Convolutions by dataflow"
    columns = -(-len(panels) // len(groups))
    panels, notes = _short_marks(panels)
    return LineChart("dataflows", title, tuple(panels), columns, (*notes, *missing(results)))


def _groups(results: Results) -> dict[tuple[str, int], list[pl.DataFrame]]:
    """Return the parts that draw convolutions, by their shape and their machine's MACs a cycle."""
    groups: dict[tuple[str, int], list[pl.DataFrame]] = {}
    for _, rows in part_rows(results):
        layer = part_layer(results, rows) or {}
        if "kernel" in layer and WEIGHTS in varied(results, rows):
            key = convolution_text(layer), int(rows["peak_macs_per_cycle"][0])
            groups.setdefault(key, []).append(rows)
    return groups


def _panels(results: Results, parts: Sequence[pl.DataFrame]) -> Iterator[Panel]:
    """Yield cycles, and speedup if the dense baseline is there."""
    rows, found = pl.concat(parts), _curves(results, parts)
    for metric in (_CYCLES, _SPEEDUP):
        if rows[metric].null_count() < rows.height:
            panel = metric_panel(results, rows, found, WEIGHTS, metric)
            # what is drawn once for several points has no spread
            lines = tuple(replace(line, low=(), high=()) for line in panel.series)
            panel = replace(panel, series=lines)
            if metric == _CYCLES:
                y = Axis(panel.y.quantity, Scale.LOG)
                panel = replace(panel, y=y, marks=_changes(lines))
            yield panel


def _curves(results: Results, parts: Sequence[pl.DataFrame]) -> list[Curve]:
    """Return a curve for each part and combination of its other axes; equal ones once."""
    names = [_dataflow(results, part) for part in parts]
    if len(set(names)) < len(names):
        names = [part["part"][0] for part in parts]
    found: list[Curve] = []
    for hue, (name, part) in enumerate(zip(names, parts, strict=True)):
        own = curves(results, part, [WEIGHTS])
        first = own[0].rows["cycles"].to_list()
        if all(curve.rows["cycles"].to_list() == first for curve in own):
            found.append(Curve(name, part, hue, 0))  # averaged: all are the same
        else:
            found += [
                replace(curve, label=f"{name}, {curve.label}", hue=hue, dash=dash)
                for dash, curve in enumerate(own)
            ]
    return found


def _dataflow(results: Results, rows: pl.DataFrame) -> str:
    names = results.record(rows["key"][0]).get("names", {})
    return str(names.get("dataflow", rows["part"][0]))


def _changes(lines: Sequence[Series]) -> tuple[Mark, ...]:
    """Return where lines of different dataflow cross, and which is the faster one from there."""
    found = []
    for k, one in enumerate(lines):
        for other in lines[k + 1 :]:
            if one.hue != other.hue:
                found += [_told(mark, one, other) for mark in crossings((one, other))]
    return tuple(sorted(found, key=lambda mark: mark.x))


def _told(mark: Mark, one: Series, other: Series) -> Mark:
    """Return a crossing as the name of the faster line from there on: row at 25 %."""
    faster = mark.text.split(BETWEEN)[1].partition(",")[0]
    _, _, which = max(one.label, other.label, key=len).partition(", ")
    return Mark(mark.x, f"{faster}{_AT}{which.removeprefix(_ACTIVATIONS)}" if which else faster)


def _short_marks(panels: Sequence[Panel]) -> tuple[list[Panel], tuple[str, ...]]:
    """Return panels whose marks leave out the faster one if it is the same everywhere; a note."""
    faster = {mark.text.partition(_AT)[0] for panel in panels for mark in panel.marks}
    if not faster:
        return list(panels), ()
    if len(faster) > 1:
        told = "what is named there takes fewer cycles"
        return list(panels), (f"dashed: beyond it, {told}",)
    (name,) = faster
    short = [
        replace(panel, marks=tuple(
            Mark(mark.x, mark.text.removeprefix(name).removeprefix(_AT)) for mark in panel.marks
        ))
        for panel in panels
    ]  # fmt: skip
    return short, (f"dashed: beyond it, {name} takes fewer cycles; %: of the activations",)
