"""Pruning structures on every machine, as maps of structure x architecture."""

from collections.abc import Iterator

import polars as pl

from spusim.experiments.charts.measures import scaled
from spusim.experiments.charts.records import HeatChart, HeatPanel
from spusim.experiments.charts.select import (
    Curve,
    UnfitError,
    curves,
    missing,
    part_rows,
    varied,
)
from spusim.experiments.results import Results

_STRUCTURE, _ARCH = "prune.structure", "arch"
_AXES = (_STRUCTURE, _ARCH)
_ALL = ("latency_s_mean", "energy_j_frame_mean")
_SAME = ("memory_used_bytes", "sqnr_db")  # whatever else was swept
_MOST = 4  # values of other axes that have maps of their own


def structures_by_machine(results: Results) -> HeatChart:
    """Return latency, energy, bytes and, where compared, noise of structures x machines.

    Raises UnfitError.
    """
    panels = [
        panel
        for _, rows in part_rows(results)
        if set(_AXES) <= {*varied(results, rows)} and "prune.density" not in varied(results, rows)
        for panel in _panels(results, rows)
    ]
    if not panels:
        raise UnfitError(f"needs several values of {_STRUCTURE} with several of {_ARCH}")
    title = "Pruning structures by machine"
    notes = missing(results)
    return HeatChart(
        "structures_by_machine",
        title,
        tuple(panels),
        2,
        "machine (name)",
        "structure (name)",
        notes,
    )


def _panels(results: Results, rows: pl.DataFrame) -> Iterator[HeatPanel]:
    found = curves(results, rows, _AXES)[:_MOST]
    for metric in _ALL:
        for curve in found:
            yield _panel(rows, curve, metric, curve.label)
    for metric in _SAME:
        if rows[metric].null_count() < rows.height:
            yield _panel(rows, found[0], metric, "")


def _panel(rows: pl.DataFrame, curve: Curve, metric: str, title: str) -> HeatPanel:
    """Return a map of one metric; its scale is that of all rows."""
    quantity, values = scaled(metric, rows)
    at = dict(zip(rows["point"].to_list(), values, strict=True))
    cells = {row[:2]: row[2] for row in curve.rows.select(*_AXES, "point").iter_rows()}
    structures, archs = (rows[axis].unique(maintain_order=True).to_list() for axis in _AXES)
    points = [[cells.get((structure, arch)) for arch in archs] for structure in structures]
    return HeatPanel(
        title,
        quantity,
        max(value for value in values if value is not None),
        tuple(structures),
        tuple(archs),
        tuple(tuple(None if p is None else at[p] for p in row) for row in points),
        points[0][0] or 0,
        tuple(map(tuple, points)),
        "point",
    )
