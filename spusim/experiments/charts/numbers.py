"""Number formats of weights, side by side."""

import re
from dataclasses import replace

from spusim.experiments.charts.overview import category_panels
from spusim.experiments.charts.records import LineChart, Panel, Quantity, Series
from spusim.experiments.charts.select import UnfitError, missing, part_rows, varied
from spusim.experiments.results import Results

_AXES = ("quantise.weights", "layer.weight_bits")
_METRICS = ("memory_used_bytes", "frame_cycles_mean", "energy_j_frame_mean", "sqnr_db")
# as `core.precisions` calls them: the words do not fit side by side
_TICKS = {
    "binary": "1", "ternary": "2", "int4": "4", "int8": "8", "int16": "16", "codebook8": "c8",
    "codebook": "c16",
}  # fmt: skip
_ACTIVATIONS = re.compile(r"activations.* (\d+) bit")
_WIDTHS = (1, 4, 8, 16)  # of activations: the same colour in every panel
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
            panels += [_finished(panel) for panel in made]
            notes += told
    if not panels:
        raise UnfitError(f"needs axis {' or '.join(_AXES)}")
    return LineChart("number_formats", "Number formats of the weights", tuple(panels), 2, notes)


def _finished(panel: Panel) -> Panel:
    """Return a panel with short ticks, and a colour for each width of activations."""
    ticks = tuple((place, _TICKS.get(text, text)) for place, text in panel.x.ticks)
    x = replace(panel.x, quantity=_QUANTITY, ticks=ticks)
    return replace(panel, x=x, series=tuple(map(_coloured, panel.series)))


def _coloured(series: Series) -> Series:
    found = _ACTIVATIONS.fullmatch(series.label)
    if not found or int(found[1]) not in _WIDTHS:
        return series
    return replace(series, label=f"activations {found[1]} bit", hue=_WIDTHS.index(int(found[1])))
