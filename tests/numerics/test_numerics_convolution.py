"""The geometry of convolutions (T33) against an enumeration of where kernels fit."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spusim.numerics.convolution import Convolution
from spusim.numerics.errors import NumericsError


def fitting(size: int, before: int, after: int, kernel: int, dilation: int, stride: int) -> int:
    """Count the starts from which a whole dilated kernel lies on the padded line."""
    line = range(-before, size + after)
    starts = range(-before, size + after, stride)
    return sum(all(s + k * dilation in line for k in range(kernel)) for s in starts)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(1, 12), st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 3),
    st.integers(1, 3),
)  # fmt: skip
def test_T33_output_is_where_the_kernel_fits(
    size: int, before: int, after: int, kernel: int, dilation: int, stride: int
) -> None:
    count = fitting(size, before, after, kernel, dilation, stride)
    assume(count)
    tall = Convolution(1, size, 1, 1, kernel, 1, (stride, 1), (before, 0, after, 0), (dilation, 1))
    wide = Convolution(1, 1, size, 1, 1, kernel, (1, stride), (0, before, 0, after), (1, dilation))
    assert (tall.out_height, tall.out_width) == (count, 1)
    assert (wide.out_height, wide.out_width) == (1, count)


def test_sizes_of_a_grouped_convolution() -> None:
    shape = Convolution(6, 5, 5, 4, 3, 3, padding=(1, 1, 1, 1), groups=2)
    assert shape.weight_shape == (4, 3, 3, 3)
    assert shape.dense_macs == 25 * 4 * 27
    assert list(shape.offsets())[:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 3}, r"groups \(=3\) must divide channels \(=4\)"),
        ({"filters": 3, "groups": 2}, r"groups \(=2\) must divide filters \(=3\)"),
        ({"stride": (0, 1)}, r"stride \(=\(0, 1\)\) must be at least 1"),
        ({"padding": (0, -1, 0, 0)}, r"padding .* must be at least 0"),
        ({"channels": 0}, r"channels \(=0\) must be at least 1"),
        ({"kernel_height": 7}, r"no positions: the padded input is 5 high, the dilated kernel 7"),
        ({"kernel_width": 3, "dilation": (1, 3)}, r"padded input is 5 wide, the dilated kernel 7"),
    ],
)
def test_what_cannot_be_is_refused(change: dict, message: str) -> None:
    sizes = {"channels": 4, "height": 5, "width": 5, "filters": 4, **change}
    with pytest.raises(NumericsError, match=message):
        Convolution(**sizes)
