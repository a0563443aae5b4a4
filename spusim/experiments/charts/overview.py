"""Any sweep: cycles and energy against its first axis."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from spusim.experiments.charts.machine import metric_panel
from spusim.experiments.charts.measures import parameter_quantity
from spusim.experiments.charts.records import Axis, LineChart, Panel, Quantity, Role
from spusim.experiments.charts.select import (
    UnfitError,
    is_number,
    missing,
    part_rows,
    some_curves,
    varied,
)
from spusim.experiments.results import Results

_METRICS = ("frame_cycles_mean", "energy_j_frame_mean")
_PLACE = "_place"


def overview(results: Results) -> LineChart:
    """Return cycles and energy against the first numeric axis, else the first. Raises UnfitError.

    A sweep of replicas alone is drawn against the point's number.
    """
    notes = dict.fromkeys(missing(results))
    panels: list[Panel] = []
    for _, rows in part_rows(results):
        made, told = _panels(results, rows)
        panels += made
        notes.update(dict.fromkeys(told))
    if not panels:
        raise UnfitError("needs at least two finished points")
    return LineChart("overview", results.name, tuple(panels), 2, tuple(notes))


def _panels(results: Results, rows: pl.DataFrame) -> tuple[list[Panel], tuple[str, ...]]:
    if rows.height < 2:
        return [], ()
    axes = varied(results, rows)
    numeric = [axis for axis in axes if is_number(rows, axis)]
    if numeric:
        found, notes = some_curves(results, rows, numeric[:1])
        panels = [metric_panel(results, rows, found, numeric[0], metric) for metric in _METRICS]
        return panels, notes
    axis = axes[0] if axes else "point"
    return category_panels(results, rows, axis)


def category_panels(
    results: Results, rows: pl.DataFrame, axis: str, metrics: Sequence[str] = _METRICS
) -> tuple[list[Panel], tuple[str, ...]]:
    """Return panels with an axis's values side by side, without lines between them."""
    values: Sequence[object] = rows[axis].unique(maintain_order=True).to_list()
    places = {value: float(k) for k, value in enumerate(values)}
    placed = rows.with_columns(pl.Series(_PLACE, [places[value] for value in rows[axis].to_list()]))
    found, notes = some_curves(results, placed, [axis])
    name = parameter_quantity(axis).label if axis != "point" else "point"
    x = Axis(Quantity(name, "number" if axis == "point" else "name"),
             ticks=tuple((place, str(value)) for value, place in places.items()))  # fmt: skip
    panels = [metric_panel(results, placed, found, _PLACE, metric) for metric in metrics]
    clouds = [
        replace(p, x=x, series=tuple(replace(s, role=Role.CLOUD) for s in p.series)) for p in panels
    ]
    return clouds, notes
