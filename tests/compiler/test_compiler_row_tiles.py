"""A tile's window computes just what the whole window computes at its rows."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spusim.arch import load_arch
from spusim.compiler.network import plan_network
from spusim.compiler.row_tiles import (
    Group,
    Place,
    Rows,
    elements_of,
    groups_of,
    rows_under,
    tile_window,
    tile_words,
)
from spusim.frontend import load_network
from spusim.numerics.convolution import Convolution
from spusim.numerics.errors import NumericsError
from spusim.program import Window

SIDES = st.tuples(st.integers(1, 14), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(SIDES, st.integers(0, 5), st.integers(0, 5), st.integers(1, 4), st.data())
def test_rows_see_what_they_saw(
    sides: tuple[int, int, int, int], top: int, bottom: int, step: int, data: st.DataObject
) -> None:
    """Each place of the kernel at each row: outside as before, or at the same row of the image."""
    height, kernel, stride, dilation = sides
    try:
        shape = Convolution(
            1, height, 3, 1, kernel, 1, (stride, 1), (top, 0, bottom, 0), (dilation, 1)
        )
    except NumericsError:
        assume(False)
    first = data.draw(st.integers(0, shape.out_height - 1))
    tile = Rows(first, data.draw(st.integers(first + 1, shape.out_height)))
    whole = Window(
        "w", 1, height, 3, shape.out_height, kernel, 1, stride, 1, dilation, 1, top, 0, bottom, 0
    )
    under = rows_under(shape, tile, step)
    part = tile_window(whole, tile, under)
    assert 0 <= under.first < under.end <= height and under.first % step == 0
    assert part.complaint(1) == "" and part.height == under.end - under.first
    for row in range(tile.first, tile.end):
        for place in range(kernel):
            there = row * stride + place * dilation - top
            here = (part.first_row + row - tile.first) * stride + place * dilation - part.top
            inside = 0 <= there < height
            assert inside == (0 <= here < part.height)
            assert not inside or here + under.first == there


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 9), st.data())
def test_planes_of_a_tile_lie_one_behind_the_other(
    planes: int, plane_words: int, data: st.DataObject
) -> None:
    """Every word of the whole tensor that is there has an address of its own, without gaps."""
    first = data.draw(st.integers(0, plane_words - 1))
    words = range(first, data.draw(st.integers(first + 1, plane_words)))
    place = Place(100, words, plane_words)
    found = [place.at(plane * plane_words + word) for plane in range(planes) for word in words]
    assert found == list(range(100, 100 + planes * len(words)))


def test_groups_of_planes() -> None:
    """Rows are of a plane; what a residual adds comes by tiles as narrow as its own."""
    layers = {"input.height": 16, "input.width": 32}
    network = load_network("cnn_small", settings=[f"{key}={n}" for key, n in layers.items()])
    plan = plan_network(network, load_arch("smartskip"))
    groups = {unit.output: unit for unit in groups_of(plan) if isinstance(unit, Group)}
    assert {name: (g.rows, g.row_elements, g.step) for name, g in groups.items()} == {
        "relu1": (16, 32, 1), "pool1": (8, 16, 1), "conv2": (8, 16, 1), "relu2": (16, 8, 1),
        "relu3": (4, 8, 1), "relu4": (4, 8, 1), "pool4": (2, 4, 2),
    }  # fmt: skip
    # conv2 reads pool1 with the rows around a tile's, so that the sum is a group of its own
    assert groups["relu2"].pitched == ("conv2", "pool1", "relu2")
    assert groups["conv2"].pitched == ("conv2",)
    under = elements_of(plan, groups["conv2"], Rows(2, 4), "pool1")
    assert (under.first, under.end) == (16, 80)
    assert tile_words(plan, under) == 16 * 8
