"""Formats and pruning structures against density."""

import math
from collections.abc import Callable, Sequence

import polars as pl

from spusim.experiments.charts.machine import metric_panel
from spusim.experiments.charts.records import LineChart, Mark, Panel, Series
from spusim.experiments.charts.select import (
    UnfitError,
    missing,
    part_rows,
    some_curves,
    varied,
)
from spusim.experiments.charts.speedup import WEIGHT_AXES
from spusim.experiments.results import Results

BETWEEN = " | "  # what is best before a crossing, and from there on
_FORMAT, _STRUCTURE = "core.sparse.format", "prune.structure"
_STRUCTURE_METRICS = (
    "frame_cycles_mean", "energy_j_frame_mean", "memory_used_bytes", "accuracy",
)  # fmt: skip


def formats(results: Results) -> LineChart:
    """Return bytes and cycles of each format against density, where the best one changes marked.

    Raises UnfitError.
    """
    return _against_density(
        results,
        _FORMAT,
        "formats",
        "Sparse formats against density",
        lambda rows: ("memory_used_bytes", "frame_cycles_mean"),
        _with_crossings,
    )


def structures(results: Results) -> LineChart:
    """Return cycles, energy, bytes and accuracy of each pruning structure. Raises UnfitError."""
    return _against_density(
        results,
        _STRUCTURE,
        "structures",
        "Pruning structures at equal density",
        lambda rows: [m for m in _STRUCTURE_METRICS if rows[m].null_count() < rows.height],
        lambda panel: panel,
    )


def _against_density(
    results: Results,
    key: str,
    name: str,
    title: str,
    metrics: Callable[[pl.DataFrame], Sequence[str]],
    finish: Callable[[Panel], Panel],
) -> LineChart:
    panels: list[Panel] = []
    columns = 2
    notes = missing(results)
    for _, rows in part_rows(results):
        axes = varied(results, rows)
        densities = [axis for axis in WEIGHT_AXES if axis in axes]
        if key in axes and densities:
            found, told = some_curves(results, rows, densities[:1])
            notes += told
            panels += [
                finish(metric_panel(results, rows, found, densities[0], metric))
                for metric in metrics(rows)
            ]
    if not panels:
        raise UnfitError(f"needs axis {key} and several densities ({' or '.join(WEIGHT_AXES)})")
    return LineChart(name, title, tuple(panels), columns, notes)


def _with_crossings(panel: Panel) -> Panel:
    """Mark each density at which another series becomes the smallest."""
    return Panel(panel.title, panel.x, panel.y, panel.series, tuple(crossings(panel.series)))


def crossings(lines: Sequence[Series]) -> list[Mark]:
    """Return a mark at each x where another series becomes the smallest, rising x."""
    values = {line.label: dict(zip(line.x, line.y, strict=True)) for line in lines}
    shared = sorted(set.intersection(*(set(at) for at in values.values())))
    marks: list[Mark] = []
    best: str | None = None
    for k, x in enumerate(shared):
        lowest = min(values, key=lambda label: (values[label][x], label != best))
        if best is not None and lowest != best:
            before = shared[k - 1]
            at = _meeting(before, x, values[best], values[lowest])
            marks.append(Mark(at, f"{best}{BETWEEN}{lowest}"))
        best = lowest
    return marks


def _meeting(
    before: float, after: float, one: dict[float, float], other: dict[float, float]
) -> float:
    """Return where straight lines in logarithms of x and y meet."""
    gaps = [math.log(one[x] / other[x]) for x in (before, after)]
    share = gaps[0] / (gaps[0] - gaps[1]) if gaps[0] != gaps[1] else 0.5
    return math.exp(math.log(before) + share * (math.log(after) - math.log(before)))
