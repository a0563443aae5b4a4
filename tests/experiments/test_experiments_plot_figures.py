"""Figures: complete, with axes that say their units, inside their borders, the same every time."""

import dataclasses
import functools
import io
import itertools
import re
import xml.etree.ElementTree as ET

import plot_folders as folders
import polars as pl
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from spusim.experiments.charts.catalogue import CHARTS, fitting_charts, make_chart
from spusim.experiments.charts.records import LineChart, Role, Series, StackChart, chart_table
from spusim.experiments.charts.source import open_results
from spusim.experiments.figures.draw import chart_files, draw_chart
from spusim.experiments.figures.texts import plain_number, spread

# every chart, from the first folder that it fits
OF = {
    "speedup_vs_sparsity": "densities",
    "queue_depth": "queues",
    "pes_and_lanes": "shapes",
    "banks_and_words": "banks",
    "formats": "formats",
    "dataflows": "dataflows",
    "structures": "structures",
    "structures_by_machine": "maps",
    "tradeoffs": "tradeoffs",
    "number_formats": "numbers",
    "energy": "queues",
    "stalls": "machines",
    "bank_occupancy": "densities",
    "roofline": "queues",
    "pareto": "machines",
    "overview": "hazards",
}
MAPS = ("bank_occupancy", "structures_by_machine")


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    """Return the chart of a name, which is a frozen record."""

    @functools.cache
    def make(name):
        folder = tmp_path_factory.mktemp(name) / OF[name]
        return make_chart(open_results(folders.FOLDERS[OF[name]](folder)), name)

    return make


@pytest.fixture(scope="module")
def drawn(chart):
    """Return the chart of a name as a figure, which tests only look at."""
    return functools.cache(lambda name: draw_chart(chart(name)))


def test_every_chart_is_drawn_here():
    assert set(OF) == set(CHARTS)


@pytest.mark.parametrize("name", OF)
def test_axes_say_what_they_are_and_in_which_unit(chart, drawn, name):
    found = chart(name)
    named = [axes for axes in drawn(name).axes if axes.get_label() != "<colorbar>"]
    for number, axes in enumerate(named):
        assert re.search(r"\w+ \(.+\)", axes.get_xlabel())
        # bars beside those of the first panel have its labels
        if number == 0 or not isinstance(found, StackChart):
            assert re.search(r"\w+\s\(.+\)", axes.get_ylabel())


@pytest.mark.parametrize("name", OF)
def test_letters_are_at_least_eight_points_at_column_width(drawn, name):
    figure = drawn(name)
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert texts
    assert min(text.get_fontsize() for text in texts) >= 8
    assert figure.get_size_inches()[0] in (3.5, 7.16)


@pytest.mark.parametrize("name", OF)
def test_nothing_leaves_the_figure(drawn, name):
    figure = drawn(name)
    figure.canvas.draw()
    box = figure.get_tightbbox()  # inches
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y1 <= height + 0.01


@pytest.mark.parametrize("name", OF)
def test_three_files_with_the_same_bytes_every_time(chart, drawn, name):
    found = chart(name)
    files = chart_files(found, dpi=60)
    assert sorted(files) == [f"{name}.{kind}" for kind in ("csv", "png", "svg")]
    assert chart_files(found, dpi=60) == files
    assert b"<dc:date>" not in files[f"{name}.svg"]
    ET.fromstring(files[f"{name}.svg"])
    width = drawn(name).get_size_inches()[0]
    assert imread(io.BytesIO(files[f"{name}.png"])).shape[1] == int(60 * width)
    read = pl.read_csv(files[f"{name}.csv"])
    assert read.height == chart_table(found).height


@pytest.mark.parametrize("name", sorted(set(OF) - {"energy", "stalls", *MAPS}))
def test_lines_are_the_charts(chart, drawn, name):
    found = chart(name)
    assert isinstance(found, LineChart)
    for axes, panel in zip(drawn(name).axes, found.panels, strict=True):
        lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]
        for series in panel.series:
            assert (list(series.x), list(series.y)) in lines


def test_bars_are_the_charts(chart, drawn):
    found = chart("energy")
    for axes, panel in zip(drawn("energy").axes, found.panels, strict=True):
        widths = [bar.get_width() for bar in axes.patches]
        assert widths == pytest.approx([v for _, values in panel.parts for v in values])
        assert axes.get_xlim()[0] == 0


@pytest.mark.parametrize("name", MAPS)
def test_map_is_the_charts(chart, drawn, name):
    found = chart(name)
    maps = [axes for axes in drawn(name).axes if axes.images]
    for axes, panel in zip(maps, found.panels, strict=True):
        values = axes.images[0].get_array().filled(-1).tolist()
        assert values == [[-1 if v is None else v for v in row] for row in panel.values]
        assert axes.images[0].get_clim() == (0, panel.full)


def test_series_are_told_apart_without_colour(chart, drawn):
    panel = chart("queue_depth").panels[0]
    axes = drawn("queue_depth").axes[0]
    looks = {(line.get_marker(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == len(panel.series) == 2


def test_extremes_of_replicas_are_drawn(chart):
    found = chart("queue_depth")
    panel = found.panels[0]
    line = dataclasses.replace(panel.series[0], low=(1.0, 2.0, 2.5), high=(3.0, 3.0, 3.5))
    panel = dataclasses.replace(panel, series=(line,))
    axes = draw_chart(dataclasses.replace(found, panels=(panel,), columns=1)).axes[0]
    (bars,) = axes.collections
    assert [tuple(segment[:, 1]) for segment in bars.get_segments()] == [
        (1, 3), (2, 3), (2.5, 3.5),
    ]  # fmt: skip


def test_letters_of_the_front_are_explained(chart, drawn):
    found, figure = chart("pareto"), drawn("pareto")
    written = {text.get_text() for axes in figure.axes for text in axes.texts}
    letters = {letter for p in found.panels for s in p.series if s.role is Role.FRONT
               for letter in s.letters}  # fmt: skip
    assert letters <= written
    explained = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {meaning for _, meaning in found.key} <= set(explained)
    assert set(dict(found.key)) == letters


def crowded(count):
    """Return a front whose points lie closer together than their letters are wide."""
    steps = [k / 400 for k in range(count)]
    letters = tuple("ABCDEFGHIJKLMNOP"[:count])
    x, y = tuple(8 + step for step in steps), tuple(131 - step for step in steps)
    points = tuple((k,) for k in range(count))
    front = Series("front", x, y, points, Role.FRONT, letters=letters)
    cloud = Series("other", (8.01, 8.2, 15.0), (131.0, 134.0, 160.0), ((0,),) * 3, Role.CLOUD)
    return front, cloud


@pytest.mark.parametrize("count", [2, 5, 9, 14])
def test_letters_of_a_crowded_front_do_not_touch(chart, count):
    found = chart("pareto")
    panel = dataclasses.replace(found.panels[0], series=crowded(count), marks=(), note="")
    key = tuple((letter, letter) for letter in panel.series[0].letters)
    figure = draw_chart(dataclasses.replace(found, panels=(panel, panel), columns=2, key=key))
    figure.canvas.draw()
    for axes in figure.axes:
        letters = {text for text in axes.texts if text.get_text() in panel.series[0].letters}
        assert len(letters) == count
        boxes = [Text.get_window_extent(text) for text in letters]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        assert all(axes.bbox.x0 <= box.x0 and box.y1 <= axes.bbox.y1 for box in boxes)


def test_tags_do_not_touch(drawn):
    figure = drawn("speedup_vs_sparsity")
    figure.canvas.draw()
    boxes = sorted(
        (text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in
         ("fc1", "fc2", "network")),
        key=lambda box: box.y0,
    )  # fmt: skip
    assert len(boxes) == 3
    for below, above in itertools.pairwise(boxes):
        assert below.y1 <= above.y0 + 2.5  # pixels, of which ascenders and descenders take more


@pytest.mark.parametrize(
    ("places", "moved"),
    [
        ([0, 100], [0, 100]),
        ([0, 0], [-5, 5]),
        ([0, 4, 8], [-6, 4, 14]),
        ([50, 0, 2], [50, -4, 6]),
        ([0, 0, 12], [-6, 4, 14]),
    ],
)
def test_spread_keeps_order_and_distance(places, moved):
    assert spread(places, 10) == pytest.approx(moved)


def test_plain_numbers():
    assert [plain_number(v) for v in (0.5, 2, 20, 2000)] == ["0.5", "2", "20", "2,000"]


def test_a_thousand_points_are_drawn_in_a_small_figure(tmp_path):
    axes = [f"core.{name}" for name in ("pes", "queue.depth", "vector.lanes")]
    rows = [
        folders.point(n, {axes[0]: n % 10 + 1, axes[1]: n // 10 % 10 + 1, axes[2]: n // 100 + 1})
        for n in range(1000)
    ]
    one = folders.record(0)
    folder = folders.write_results(tmp_path / "many", rows, axes, records={0: one})
    charts, _ = fitting_charts(open_results(folder))
    for name in ("queue_depth", "energy", "stalls", "roofline"):
        width, height = draw_chart(charts[name]).get_size_inches()
        assert height <= 1.6 * width, name
    assert any("of 100 curves" in note for note in charts["queue_depth"].notes)
    assert any("of 1,000 points" in note for note in charts["stalls"].notes)
