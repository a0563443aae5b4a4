"""A tile's window computes just what the whole window computes at its rows."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spusim.compiler.row_tiles import Rows, rows_under, tile_window
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
