"""The figure: complete, inside its borders, and told apart without colour."""

import dataclasses

import pytest

from spusim.experiments.figure import run_figure
from spusim.experiments.figures.style import CAUSES, image_bytes
from spusim.experiments.units import SECTIONS


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title(loc="left").startswith(title))


def test_cycles_of_every_frame(spotted):
    line = panel(run_figure(spotted), "Cycles per frame").lines[0]
    assert list(line.get_ydata()) == list(spotted.frame_cycles)


def test_bars_of_every_unit_reach_100_percent(spotted):
    axes = panel(run_figure(spotted), "Where the cycles")
    ends = {}
    for bar in axes.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        ends[row] = max(ends.get(row, 0), bar.get_x() + bar.get_width())
    assert len(ends) == 14
    assert list(ends.values()) == pytest.approx([100] * 14)


def test_speedup_and_energy(spotted):
    figure = run_figure(spotted)
    heights = [bar.get_height() for bar in panel(figure, "Speedup").patches]
    assert heights == [spotted.speedup["achieved"], spotted.speedup["ideal"]]
    widths = [bar.get_width() for bar in panel(figure, "Energy").patches]
    assert sum(widths) == pytest.approx(spotted.energy_pj["total"] * 1e-12 / 12)


def test_without_baseline_it_says_so(alone):
    texts = [text.get_text() for text in panel(run_figure(alone), "Speedup").texts]
    assert texts == ["baseline left out"]


def test_unbounded_speedup(spotted):
    unbounded = dataclasses.replace(spotted, speedup={"achieved": 2.0, "ideal": float("inf")})
    texts = [text.get_text() for text in panel(run_figure(unbounded), "Speedup").texts]
    assert texts == ["2.00x", "unbounded"]


@pytest.mark.parametrize("which", ["spotted", "alone"])
def test_nothing_leaves_the_figure(request, which):
    figure = run_figure(request.getfixturevalue(which))
    figure.canvas.draw()
    drawn = figure.get_tightbbox()  # inches
    width, height = figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height


def test_every_cause_has_a_style_of_its_own():
    causes = {cause for _, known in SECTIONS.values() for cause in known} | {"busy", "idle"}
    assert causes == set(CAUSES)
    assert len(set(CAUSES.values())) == len(CAUSES)


def test_same_bytes_for_the_same_run(alone):
    for kind in ("png", "svg"):
        assert image_bytes(run_figure(alone), kind) == image_bytes(run_figure(alone), kind)
    assert b"<dc:date>" not in image_bytes(run_figure(alone), "svg")
