"""Number formats of weights, side by side."""

from dataclasses import replace

from spusim.experiments.charts.overview import category_panels
from spusim.experiments.charts.records import LineChart, Panel, Quantity
from spusim.experiments.charts.select import UnfitError, missing, part_rows, varied
from spusim.experiments.results import Results

_AXES = ("quantise.weights", "layer.weight_bits")
_METRICS = ("memory_used_bytes", "frame_cycles_mean", "energy_j_frame_mean", "sqnr_db")
# as `core.precisions` calls them: the words do not fit side by side
_TICKS = {
    "binary": "1", "ternary": "2", "int4": "4", "int8": "8", "int16": "16", "codebook8": "c8",
    "codebook": "c16",
}  # fmt: skip
_QUANTITY = Quantity("weights", "bit, of a codebook's entries: c")


def number_formats(results: Results) -> LineChart:
    """Return bytes, cycles, energy and, where compared, noise of each format of the weights.

    Raises UnfitError.
    """
    panels: list[Panel] = []
    notes = missing(results)
    for _, rows in part_rows(results):
        for axis in set(_AXES) & {*varied(results, rows)}:
            metrics = [m for m in _METRICS if rows[m].null_count() < rows.height]
            made, told = category_panels(results, rows, axis, metrics)
            panels += [_with_short_ticks(panel) for panel in made]
            notes += told
    if not panels:
        raise UnfitError(f"needs axis {' or '.join(_AXES)}")
    return LineChart("number_formats", "Number formats of the weights", tuple(panels), 2, notes)


def _with_short_ticks(panel: Panel) -> Panel:
    ticks = tuple((place, _TICKS.get(text, text)) for place, text in panel.x.ticks)
    return replace(panel, x=replace(panel.x, quantity=_QUANTITY, ticks=ticks))
