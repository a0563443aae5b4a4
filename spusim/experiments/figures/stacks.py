"""Stacked bars: energy by term, cycles by cause."""

from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from spusim.experiments.charts.records import StackChart, StackPanel
from spusim.experiments.figures.style import (
    CAUSES,
    CHART_STYLE,
    COLUMN_IN,
    PAGE_IN,
    TITLE_LETTERS_AN_INCH,
    UNKNOWN_CAUSE,
    colour,
    new_figure,
)
from spusim.experiments.figures.texts import write_title

_LEAST_BARS = 4  # that a panel has room for, so that its labels do
_BAR_IN, _HEAD_IN, _LINE_IN = 0.165, 0.62, 0.17
_HATCHES = ("", "////", "", "xxxx", "", "....", "", "\\\\\\\\", "")
_LEGEND_COLUMNS = {COLUMN_IN: 2, PAGE_IN: 6}
_Look = tuple[str, str]


def draw_stacks(chart: StackChart) -> Figure:
    """Draw stacked bars, one a point, lying."""
    rows = -(-len(chart.panels) // chart.columns)
    width = COLUMN_IN if chart.columns == 1 and not _long(chart) else PAGE_IN
    looks = _looks(chart)
    legend_columns = _LEGEND_COLUMNS[width]
    bars = [
        max(_LEAST_BARS, *(len(p.bars) for p in chart.panels[k : k + chart.columns]))
        for k in range(0, len(chart.panels), chart.columns)
    ]
    below = -(-len(looks) // legend_columns) + len(chart.notes)
    height = sum(bars) * _BAR_IN + rows * _HEAD_IN + 0.35 + below * _LINE_IN
    with matplotlib.rc_context(CHART_STYLE):
        figure = new_figure(width, height)
        grid = figure.subplots(
            rows, chart.columns, squeeze=False, sharex=chart.shared,
            height_ratios=[_HEAD_IN + n * _BAR_IN for n in bars],
        )  # fmt: skip
        for axes in grid.flat[len(chart.panels) :]:
            axes.remove()
        for n, (axes, panel) in enumerate(zip(grid.flat, chart.panels, strict=False)):
            _draw_panel(axes, panel, looks, int(TITLE_LETTERS_AN_INCH * width / chart.columns))
            axes.xaxis.set_tick_params(labelbottom=True)
            first = chart.panels[n - n % chart.columns]
            if panel is first or panel.bars != first.bars:
                axes.set_ylabel(_wrapped(panel.along, len(panel.bars)))
            else:
                axes.set_yticklabels([])
        write_title(figure, chart.title, chart.notes)
        handles = [_patch(name, look) for name, look in looks.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns)
    return figure


def _draw_panel(axes: Axes, panel: StackPanel, looks: dict[str, _Look], title_letters: int) -> None:
    places = range(len(panel.bars))
    left = [0.0] * len(panel.bars)
    for name, values in panel.parts:
        shade, hatch = looks[name]
        axes.barh(
            places, values, left=left, color=shade, hatch=hatch, edgecolor="white", linewidth=0.3,
            height=0.8,
        )  # fmt: skip
        left = [a + b for a, b in zip(left, values, strict=True)]
    if not panel.parts:
        axes.text(0.5, 0.5, "not used", ha="center", transform=axes.transAxes, color="0.4")
    axes.set_yticks(places, panel.bars)
    middle, half = (len(panel.bars) - 1) / 2, max(_LEAST_BARS, len(panel.bars)) / 2
    axes.set_ylim(middle + half + 0.1, middle - half - 0.1)
    axes.grid(visible=False, axis="y")
    if panel.shares:
        axes.set_xlim(0, 100)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    lines = panel.title.splitlines()
    axes.set_title("\n".join(fill(line, title_letters) for line in lines))
    axes.set_xlabel(panel.quantity.title)


def _wrapped(text: str, bars: int) -> str:
    """Return a title of the bars, broken where it would be longer than they are high."""
    return "\n".join(fill(line, max(14, round(2.4 * bars))) for line in text.split(", "))


def _looks(chart: StackChart) -> dict[str, _Look]:
    names = list(dict.fromkeys(name for panel in chart.panels for name, _ in panel.parts))
    if chart.causes:
        known = [name for name in CAUSES if name in names and name != "idle"]
        ordered = [*known, *(n for n in names if n not in CAUSES), "idle"]
        return {n: CAUSES.get(n, UNKNOWN_CAUSE) for n in ordered if n in names}
    return {
        name: (colour(k) if k < 8 else "#D9D9D9", _HATCHES[k % len(_HATCHES)])
        for k, name in enumerate(names)
    }


def _patch(name: str, look: _Look) -> Patch:
    return Patch(
        facecolor=look[0], hatch=look[1], edgecolor="white", linewidth=0.3,
        label=name.replace("pe_", "PE_").replace("_", " "),
    )  # fmt: skip


def _long(chart: StackChart) -> bool:
    return max(len(bar) for panel in chart.panels for bar in panel.bars) > 16
