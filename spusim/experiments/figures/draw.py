"""Charts as files: PNG, SVG and the data beside them."""

import io
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from spusim.experiments.charts.records import Chart, HeatChart, LineChart, StackChart, chart_table
from spusim.experiments.figures.heat import draw_heat
from spusim.experiments.figures.lines import draw_lines
from spusim.experiments.figures.stacks import draw_stacks
from spusim.experiments.figures.style import image_bytes

KINDS = ("png", "svg", "csv")
_DRAW: dict[type, Callable[[Any], Figure]] = {
    LineChart: draw_lines,
    StackChart: draw_stacks,
    HeatChart: draw_heat,
}


def draw_chart(chart: Chart) -> Figure:
    """Return a chart as a figure."""
    return _DRAW[type(chart)](chart)


def chart_files(chart: Chart, dpi: float | None = None) -> dict[str, bytes]:
    """Return name -> content: NAME.png, NAME.svg, and NAME.csv with exactly what is drawn.

    The same chart gives the same bytes.
    """
    figure = draw_chart(chart)
    data = io.BytesIO()
    chart_table(chart).write_csv(data)
    images = {f"{chart.name}.{kind}": image_bytes(figure, kind, dpi) for kind in ("png", "svg")}
    return {**images, f"{chart.name}.csv": data.getvalue()}
