"""Heat maps: banks of cores."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from spusim.experiments.charts.records import HeatChart, HeatPanel
from spusim.experiments.figures.style import CHART_STYLE, COLUMN_IN, PAGE_IN, new_figure
from spusim.experiments.figures.texts import write_title

_MAP = "cividis"  # the same to all eyes, and in grey
_ROW_IN, _HEAD_IN = 0.24, 0.85
_MOST_TEXTS = 16  # columns, up to which cells have their number written in
_MOST_TICKS = 8
_MOST_DECIMALS = 6  # columns, up to which numbers below 100 have decimals
_LONG_TICK = 3  # letters, from which on ticks lean


def draw_heat(chart: HeatChart) -> Figure:
    """Draw maps of rows x columns, each with its scale from 0 to full."""
    rows = -(-len(chart.panels) // chart.columns)
    heights = [
        max(len(p.rows) for p in chart.panels[k : k + chart.columns])
        for k in range(0, len(chart.panels), chart.columns)
    ]
    width = COLUMN_IN if chart.columns == 1 else PAGE_IN
    height = sum(heights) * _ROW_IN + rows * _HEAD_IN + 0.4 + 0.17 * len(chart.notes)
    with matplotlib.rc_context({**CHART_STYLE, "axes.grid": False}):
        figure = new_figure(width, height)
        ratios = [_HEAD_IN + n * _ROW_IN for n in heights]
        grid = figure.subplots(rows, chart.columns, squeeze=False, height_ratios=ratios)
        for axes, panel in zip(grid.flat, chart.panels, strict=False):
            image = _draw_panel(axes, panel)
            axes.set_xlabel(chart.x_title)
            axes.set_ylabel(chart.y_title)
            bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=8)
            bar.set_label(panel.quantity.title.replace(" (", "\n("))
        write_title(figure, chart.title, chart.notes)
    return figure


def _draw_panel(axes: Axes, panel: HeatPanel) -> AxesImage:
    values = np.array([[np.nan if v is None else v for v in row] for row in panel.values])
    image = axes.imshow(
        values, cmap=_MAP, vmin=0, vmax=panel.full, aspect="auto", interpolation="nearest"
    )
    axes.set_yticks(range(len(panel.rows)), panel.rows)
    every = -(-len(panel.columns) // _MOST_TICKS)
    axes.set_xticks(range(0, len(panel.columns), every), panel.columns[::every])
    if max(map(len, panel.columns)) > _LONG_TICK:
        for label in axes.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")
    axes.set_title(" ", pad=9)  # room for a text that may reach over both maps
    title = axes.annotate(
        panel.title, (0, 1), xycoords="axes fraction", xytext=(0, 9), textcoords="offset points",
        fontsize=8.5, fontweight="bold",
    )  # fmt: skip
    title.set_in_layout(False)
    axes.spines[:].set_visible(False)
    if len(panel.columns) <= _MOST_TEXTS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = value < 0.55 * panel.full
                axes.text(
                    column, row, f"{value:.{_decimals(panel)}f}", ha="center", va="center",
                    color="white" if dark else "black",
                )  # fmt: skip
    return image


def _decimals(panel: HeatPanel) -> int:
    """Return how many decimals its cells have room for and need."""
    if len(panel.columns) > _MOST_DECIMALS or panel.full >= 100:
        return 0
    return 1 if panel.full >= 10 else 2
