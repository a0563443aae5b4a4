"""Letters beside the points of a front: each near its own, on nothing else."""

from collections.abc import Iterator, Sequence
from math import cos, pi, sin

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from spusim.experiments.charts.records import Panel, Role, Series

_POINTS_AN_INCH = 72
_LETTER_POINTS = (8.0, 9.5)  # width and height of a letter with what keeps it apart
_MARKER_POINTS = 6.0
_NEAR_POINTS = 8.0  # a letter so near to its point needs no line to it
_DISTANCES_POINTS = (_NEAR_POINTS, 12.0, 16.0, 21.0, 27.0, 34.0, 42.0, 51.0)
_DIRECTIONS = 16


def place_letters(axes: Axes, panel: Panel) -> None:
    """Write the letters of a panel's fronts where they touch neither points nor one another.

    The axes must be laid out. A letter that finds room only away from its point has a line to it;
    one that finds none stays beside its point.
    """
    pixels = axes.figure.dpi / _POINTS_AN_INCH
    taken = [
        _box(x, y, _MARKER_POINTS * pixels, _MARKER_POINTS * pixels)
        for series in panel.series
        if series.role in (Role.FRONT, Role.CLOUD)
        for x, y in axes.transData.transform([*zip(series.x, series.y, strict=True)])
    ]
    for series in panel.series:
        if series.role is Role.FRONT:
            _place(axes, series, taken, pixels)


def _place(axes: Axes, series: Series, taken: list[Bbox], pixels: float) -> None:
    for x, y, letter in zip(series.x, series.y, series.letters, strict=True):
        at_x, at_y = axes.transData.transform((x, y))
        away_x, away_y, box = _free(axes.bbox, at_x, at_y, taken, pixels)
        taken.append(box)
        far = (away_x**2 + away_y**2) ** 0.5 > 1.01 * _NEAR_POINTS
        line = {"arrowstyle": "-", "linewidth": 0.4, "color": "0.4", "shrinkA": 0, "shrinkB": 2}
        axes.annotate(
            letter,
            (x, y),
            xytext=(away_x, away_y),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            zorder=5,
            arrowprops=line if far else None,
        ).set_in_layout(False)


def _free(
    inside: Bbox, x: float, y: float, taken: Sequence[Bbox], pixels: float
) -> tuple[float, float, Bbox]:
    """Return the nearest place free for a letter: points away from (x, y), and its box."""
    width, height = (points * pixels for points in _LETTER_POINTS)
    offered = [
        (away_x, away_y, _box(x + away_x * pixels, y + away_y * pixels, width, height))
        for away_x, away_y in _offers()
    ]
    free = (
        offer
        for offer in offered
        if inside.x0 <= offer[2].x0 and offer[2].x1 <= inside.x1
        and inside.y0 <= offer[2].y0 and offer[2].y1 <= inside.y1
        and not any(offer[2].overlaps(other) for other in taken)
    )  # fmt: skip
    return next(free, offered[0])


def _offers() -> Iterator[tuple[float, float]]:
    """Yield places around a point, the nearest first, from upper right on."""
    for distance in _DISTANCES_POINTS:
        for k in range(_DIRECTIONS):
            angle = pi / 4 + 2 * pi * k / _DIRECTIONS
            yield distance * cos(angle), distance * sin(angle)


def _box(x: float, y: float, width: float, height: float) -> Bbox:
    return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)
