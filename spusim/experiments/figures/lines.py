"""Line charts: curves, bounds, clouds of points and fronts."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from spusim.experiments.charts.records import Axis, LineChart, Panel, Role, Scale, Series
from spusim.experiments.figures.letters import place_letters
from spusim.experiments.figures.style import (
    CHART_STYLE,
    COLUMN_IN,
    PAGE_IN,
    TITLE_LETTERS_AN_INCH,
    colour,
    dashes,
    marker,
    new_figure,
)
from spusim.experiments.figures.texts import place_tags, plain_number, thin_ticks, write_title

_PANEL_HEIGHT_IN = 2.35
_LINE_IN = 0.17  # a line of text
_MOST_LEGEND_COLUMNS = 4
_BLACK = -2
_LETTERS_A_POINT = 0.068  # inches of a letter of the legend, for choosing its columns


def draw_lines(chart: LineChart) -> Figure:
    """Draw a line chart: a column of a page wide for one panel, else the whole page."""
    rows = -(-len(chart.panels) // chart.columns)
    width = COLUMN_IN if chart.columns == 1 else PAGE_IN
    handles = _handles(chart)
    columns = _legend_columns(handles, width)
    below = -(-len(handles) // columns) + len(chart.notes)
    height = rows * _PANEL_HEIGHT_IN + 0.3 + _LINE_IN * below
    panels = chart.panels
    one_title = len(panels) > 1 and len({panel.title for panel in panels}) == 1
    width_letters = int(TITLE_LETTERS_AN_INCH * width / chart.columns)
    with matplotlib.rc_context(CHART_STYLE):
        figure = new_figure(width, height)
        grid = figure.subplots(rows, chart.columns, squeeze=False)
        for axes in grid.flat[len(chart.panels) :]:
            axes.remove()
        for axes, panel in zip(grid.flat, chart.panels, strict=False):
            _draw_panel(axes, panel, "" if one_title else fill(panel.title, width_letters))
        title = f"{chart.title}: {panels[0].title}" if one_title else chart.title
        write_title(figure, title, chart.notes)
        if handles:
            figure.legend(
                handles=handles,
                loc="outside lower center",
                ncols=columns,
                title=fill(chart.key_title, width_letters * chart.columns) or None,
                title_fontsize=8,
            )
        tags = [
            place_tags(axes, panel) for axes, panel in zip(figure.axes, chart.panels, strict=True)
        ]
        figure.draw_without_rendering()  # tags keep their distance on the axes as laid out
        for axes, panel, old in zip(figure.axes, chart.panels, tags, strict=True):
            for tag in old:
                tag.remove()
            place_tags(axes, panel)
            place_letters(axes, panel)
            thin_ticks(axes, panel.x)
    return figure


def _draw_panel(axes: Axes, panel: Panel, title: str) -> None:
    _scale(axes, panel)
    for series in panel.series:
        _DRAW[series.role](axes, series)
    axes.set_title(title)
    axes.set_xlabel(panel.x.quantity.title)
    axes.set_ylabel(panel.y.quantity.title)
    _limits(axes, panel)
    _ticks(axes, panel.x, "x")
    _ticks(axes, panel.y, "y")
    for k, mark in enumerate(panel.marks):
        _draw_mark(axes, mark.x, mark.text, 0.98 - 0.1 * k)
    if panel.note:
        note = axes.text(0.03, 0.98, panel.note, transform=axes.transAxes, va="top", fontsize=8)
        note.set_in_layout(False)


def _draw_curve(axes: Axes, series: Series) -> None:
    hollow = series.dash % 2 == 1
    shade = colour(series.hue)
    if series.low:
        below = [y - low for y, low in zip(series.y, series.low, strict=True)]
        above = [high - y for y, high in zip(series.y, series.high, strict=True)]
        axes.errorbar(
            series.x, series.y, (below, above), color=shade, linewidth=0, elinewidth=0.8, capsize=2
        )
    axes.plot(
        series.x,
        series.y,
        color=shade,
        marker=marker(series.hue),
        linestyle=dashes(series.dash),
        markerfacecolor="white" if hollow else shade,
        zorder=3,
    )


def _draw_ideal(axes: Axes, series: Series) -> None:
    axes.plot(series.x, series.y, color=colour(series.hue), linestyle=(0, (5, 2)), linewidth=0.9)


def _draw_bound(axes: Axes, series: Series) -> None:
    axes.plot(series.x, series.y, color=colour(series.hue), linestyle=(0, (1, 1.4)), linewidth=1.1)


def _draw_cloud(axes: Axes, series: Series) -> None:
    shade = colour(series.hue)
    axes.plot(
        series.x,
        series.y,
        linestyle="",
        color=shade,
        marker=marker(max(0, series.hue)),
        markerfacecolor="white" if series.dash % 2 or series.hue < 0 else shade,
        zorder=3,
    )


def _draw_front(axes: Axes, series: Series) -> None:
    shade = colour(series.hue)
    axes.step(series.x, series.y, where="post", color=shade, linewidth=0.9)
    axes.plot(series.x, series.y, linestyle="", color=shade, marker="o", zorder=4)


_DRAW = {
    Role.MEASURED: _draw_curve,
    Role.IDEAL: _draw_ideal,
    Role.BOUND: _draw_bound,
    Role.CLOUD: _draw_cloud,
    Role.FRONT: _draw_front,
}


def _draw_mark(axes: Axes, x: float, text: str, height: float) -> None:
    axes.axvline(x, color="0.35", linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    beyond = axes.transData.transform((x, 1))[0] > axes.transAxes.transform((0.5, 0))[0]
    note = axes.annotate(
        text,
        (x, height),
        xycoords=("data", "axes fraction"),
        xytext=(-3 if beyond else 3, 0),
        textcoords="offset points",
        ha="right" if beyond else "left",
        va="top",
        fontsize=8,
        bbox={
            "boxstyle": "square,pad=0.1",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.85,
        },
        zorder=6,
    )
    note.set_in_layout(False)


def _scale(axes: Axes, panel: Panel) -> None:
    for axis, set_scale in ((panel.x, axes.set_xscale), (panel.y, axes.set_yscale)):
        if axis.scale is not Scale.LINEAR:
            set_scale("log", base=2 if axis.scale is Scale.LOG2 else 10)


def _limits(axes: Axes, panel: Panel) -> None:
    axes.margins(x=0.05, y=0.09)
    if panel.y.zero:
        axes.set_ylim(0, axes.get_ylim()[1])
    if panel.x.zero:
        axes.set_xlim(0, axes.get_xlim()[1])


def _ticks(axes: Axes, axis: Axis, which: str) -> None:
    along = axes.xaxis if which == "x" else axes.yaxis
    if axis.ticks:
        along.set_ticks([place for place, _ in axis.ticks], [text for _, text in axis.ticks])
        along.set_minor_locator(NullLocator())
    elif axis.scale is Scale.LOG:
        low, high = sorted(along.get_view_interval())
        along.set_major_locator(LogLocator(10, subs=(1, 2, 5) if high / low < 200 else (1,)))
        along.set_major_formatter(FuncFormatter(plain_number))
        along.set_minor_formatter(NullFormatter())


def _handles(chart: LineChart) -> list[Line2D]:
    """Return what the legend explains: each label once, then roles."""
    tagged = {series.label for p in chart.panels for series in p.series if series.tag}
    shown: dict[str, Series] = {}
    for panel in chart.panels:
        for series in panel.series:
            if series.label and series.label not in tagged:
                shown.setdefault(series.label, series)
    found = {series.role for panel in chart.panels for series in panel.series}
    roles = [(role, label) for role, label in chart.roles if role in found]
    return [
        *(_handle(series.label, series) for series in shown.values()),
        *(_handle(label, Series(label, (), (), (), role, hue=_BLACK)) for role, label in roles),
        *(_letter_handle(letter, meaning) for letter, meaning in chart.key),
    ]


def _letter_handle(letter: str, meaning: str) -> Line2D:
    mark = rf"$\mathrm{{{letter}}}$"
    return Line2D([], [], color="black", linestyle="", marker=mark, markersize=6, label=meaning)


def _handle(label: str, series: Series) -> Line2D:
    shade = colour(series.hue)
    hollow = series.dash % 2 == 1 or series.hue == -1
    face = "white" if hollow else shade
    looks: dict[Role, dict[str, Any]] = {
        Role.MEASURED: {"linestyle": dashes(series.dash), "marker": marker(max(0, series.hue))},
        Role.IDEAL: {"linestyle": (0, (5, 2)), "linewidth": 0.9},
        Role.BOUND: {"linestyle": (0, (1, 1.4)), "linewidth": 1.1},
        Role.CLOUD: {"linestyle": "", "marker": marker(max(0, series.hue))},
        Role.FRONT: {"linestyle": "-", "marker": "o"},
    }
    look = looks[series.role]
    return Line2D([], [], color=shade, markerfacecolor=face, label=label, **look)


def _legend_columns(handles: Sequence[Line2D], width_in: float) -> int:
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    fitting = int(width_in / (0.45 + longest * _LETTERS_A_POINT))
    return max(1, min(_MOST_LEGEND_COLUMNS, fitting, len(handles)))
