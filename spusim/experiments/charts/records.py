"""Charts as plain records: what is drawn, in the units in which it is drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import polars as pl

Numbers = tuple[float, ...]
Cell = str | float | int | None


class Role(Enum):
    """What a series is, which its line and marker show."""

    MEASURED = "measured"  # line with markers
    IDEAL = "ideal"  # dashed, no markers
    BOUND = "bound"  # dotted, no markers: what nothing can pass
    CLOUD = "points"  # markers alone
    FRONT = "front"  # filled markers on a staircase, each with its letter


class Scale(Enum):
    """How an axis is divided."""

    LINEAR = "linear"
    LOG = "log"
    LOG2 = "log2"


@dataclass(frozen=True)
class Quantity:
    """What an axis shows, and its unit."""

    label: str
    unit: str

    @property
    def title(self) -> str:
        """The axis's title: energy a frame (nJ)."""
        return f"{self.label} ({self.unit})"


@dataclass(frozen=True)
class Axis:
    """One axis. zero: it begins there; ticks: place and text, where they are not plain numbers."""

    quantity: Quantity
    scale: Scale = Scale.LINEAR
    zero: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    points: numbers of the sweep's points behind each x (several where replicas are averaged);
    low, high: extremes over replicas, else empty; letters: names of points that a chart's key
    explains; hue, dash: places in the palette (-1 for grey) and among the line styles; tag: a
    short name for the line's end.
    """

    label: str
    x: Numbers
    y: Numbers
    points: tuple[tuple[int, ...], ...]
    role: Role = Role.MEASURED
    hue: int = 0
    dash: int = 0
    low: Numbers = ()
    high: Numbers = ()
    letters: tuple[str, ...] = ()
    tag: str = ""


@dataclass(frozen=True)
class Mark:
    """A vertical line at x with a text."""

    x: float
    text: str


@dataclass(frozen=True)
class Panel:
    """Series over a pair of axes. note: a remark in the panel; tags: what the series' tags are."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    note: str = ""
    tags: str = ""


@dataclass(frozen=True)
class LineChart:
    """Panels of series, `columns` side by side.

    key: what letters stand for, its parts as key_title says; roles: what the legend calls each
    role, where it names them.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    columns: int
    notes: tuple[str, ...] = ()
    key: tuple[tuple[str, str], ...] = ()
    key_title: str = ""
    roles: tuple[tuple[Role, str], ...] = ()

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield everything that is drawn: one row a point of a series, and one a mark."""
        meant = dict(self.key)
        for panel in self.panels:
            head = {
                "panel": panel.title,
                "x_axis": panel.x.quantity.title,
                "y_axis": panel.y.quantity.title,
            }
            for series in panel.series:
                for k, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
                    yield {
                        **head,
                        "series": series.label,
                        "role": series.role.value,
                        "points": " ".join(map(str, series.points[k])) if series.points else None,
                        "x": x,
                        "y": y,
                        "y_min": series.low[k] if series.low else None,
                        "y_max": series.high[k] if series.high else None,
                        "letter": series.letters[k] if series.letters else None,
                        "meaning": meant.get(series.letters[k]) if series.letters else None,
                    }
            for mark in panel.marks:
                yield {**head, "series": mark.text, "role": "mark", "x": mark.x}


@dataclass(frozen=True)
class StackPanel:
    """Stacked bars: for each part its share of every bar. shares: bars are percentages of 100.

    along: what tells the bars apart.
    """

    title: str
    quantity: Quantity
    along: str
    bars: tuple[str, ...]
    points: tuple[int, ...]
    parts: tuple[tuple[str, Numbers], ...]
    shares: bool = False


@dataclass(frozen=True)
class StackChart:
    """Panels of stacked bars, `columns` side by side.

    causes: parts are causes of stalls; shared: all panels have one scale.
    """

    name: str
    title: str
    panels: tuple[StackPanel, ...]
    columns: int
    causes: bool = False
    shared: bool = True
    notes: tuple[str, ...] = ()

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield everything that is drawn: one row a part of a bar."""
        for panel in self.panels:
            for part, values in panel.parts:
                for bar, point, value in zip(panel.bars, panel.points, values, strict=True):
                    yield {
                        "panel": panel.title,
                        "axis": panel.quantity.title,
                        "bar": bar,
                        "point": point,
                        "part": part,
                        "value": value,
                    }


@dataclass(frozen=True)
class HeatPanel:
    """Rows x columns of values; None where there is nothing. full: the value of a full cell."""

    title: str
    quantity: Quantity
    full: float
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    point: int
    # what the values are shares of: the cells' counts, for the data beside the figure
    counts: tuple[tuple[int | None, ...], ...]
    counted: str


@dataclass(frozen=True)
class HeatChart:
    """Maps, `columns` side by side."""

    name: str
    title: str
    panels: tuple[HeatPanel, ...]
    columns: int
    x_title: str
    y_title: str
    notes: tuple[str, ...] = ()

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield everything that is drawn: one row a cell."""
        for panel in self.panels:
            for row, values, counts in zip(panel.rows, panel.values, panel.counts, strict=True):
                for column, value, count in zip(panel.columns, values, counts, strict=True):
                    if value is not None:
                        yield {
                            "panel": panel.title,
                            "axis": panel.quantity.title,
                            "point": panel.point,
                            "row": row,
                            "column": column,
                            "value": value,
                            panel.counted: count,
                        }


Chart = LineChart | StackChart | HeatChart


def chart_table(chart: Chart) -> pl.DataFrame:
    """Return all that a chart draws as a table."""
    rows = list(chart.rows())
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: dict[str, list[Any]] = {name: [row.get(name) for row in rows] for name in names}
    return pl.DataFrame(columns, strict=False)
