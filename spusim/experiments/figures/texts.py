"""Texts in figures that must not lie on one another: tags of lines, notes and keys."""

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from spusim.experiments.charts.records import Axis, Panel
from spusim.experiments.figures.style import colour

_LETTERS_AN_INCH = 13  # of a title
_POINTS_AN_INCH = 72
_LINE_POINTS = 9.5  # from one tag to the next
_LETTER_POINTS = 4.7  # width of a digit


def place_tags(axes: Axes, panel: Panel) -> list[Text]:
    """Write each series' tag beside its last point, moved apart where they would touch."""
    tagged = [series for series in panel.series if series.tag and series.x]
    written: list[Text] = []
    if not tagged:
        return written
    right = max(series.x[-1] for series in tagged)
    ends = [axes.transData.transform((right, series.y[-1]))[1] for series in tagged]
    pixels = axes.figure.dpi / _POINTS_AN_INCH
    heights = spread(ends, _LINE_POINTS * pixels)
    for series, end, height in zip(tagged, ends, heights, strict=True):
        tag = axes.annotate(
            series.tag,
            (right, series.y[-1]),
            xytext=(5, (height - end) / pixels),
            textcoords="offset points",
            va="center",
            color=colour(series.hue),
            fontweight="bold",
            annotation_clip=False,
        )
        written.append(tag)
    if panel.tags:
        top = max(range(len(tagged)), key=lambda k: heights[k])
        head = axes.annotate(
            panel.tags.replace(" ", "\n", 1),
            (right, tagged[top].y[-1]),
            xytext=(5, (heights[top] - ends[top]) / pixels + 0.6 * _LINE_POINTS),
            textcoords="offset points",
            va="bottom",
            annotation_clip=False,
        )
        written.append(head)
    return written


def thin_ticks(axes: Axes, axis: Axis) -> None:
    """Leave out the texts of ticks on the x axis that would touch the one before or the last."""
    if not axis.ticks:
        return
    ticks = sorted(axis.ticks)
    pixels = axes.figure.dpi / _POINTS_AN_INCH
    at = [axes.transData.transform((place, 1))[0] / pixels for place, _ in ticks]
    longest = [max(map(len, text.split("\n"))) for _, text in ticks]
    half = [_LETTER_POINTS * (letters + 0.5) / 2 for letters in longest]
    last = len(ticks) - 1
    kept = [0]
    for k in range(1, last):
        free = at[k] - at[kept[-1]] > half[k] + half[kept[-1]]
        if free and at[last] - at[k] > half[k] + half[last]:
            kept.append(k)
    shown = {*kept, last}
    texts = [text if k in shown else "" for k, (_, text) in enumerate(ticks)]
    axes.set_xticks([place for place, _ in ticks], texts)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Return places moved as little as keeps them `gap` apart, in their order."""
    order = sorted(range(len(places)), key=lambda k: places[k])
    groups: list[list[int]] = []
    for k in order:
        groups.append([k])
        # neighbours that would touch share their middle
        while len(groups) > 1 and _top(groups[-2], places, gap) + gap > _bottom(
            groups[-1], places, gap
        ):
            last = groups.pop()
            groups[-1] += last
    moved = [0.0] * len(places)
    for group in groups:
        for n, k in enumerate(group):
            moved[k] = _bottom(group, places, gap) + n * gap
    return moved


def write_title(figure: Figure, title: str, notes: Sequence[str]) -> None:
    """Write the figure's title, and below it what a reader must know."""
    letters = round(_LETTERS_AN_INCH * figure.get_size_inches()[0])
    text = "\n".join(fill(line, letters) for line in (title, "; ".join(notes)) if line)
    figure.suptitle(text, fontsize=9, x=0.01, ha="left")


def plain_number(value: float, _: object = None) -> str:
    """Return a number as axes show it: 0.5, 20, 2,000."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def _bottom(group: Sequence[int], places: Sequence[float], gap: float) -> float:
    middle = sum(places[k] for k in group) / len(group)
    return middle - gap * (len(group) - 1) / 2


def _top(group: Sequence[int], places: Sequence[float], gap: float) -> float:
    return _bottom(group, places, gap) + gap * (len(group) - 1)
