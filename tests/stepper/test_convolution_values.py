"""The values of `conv` and `pool`, as golden computes them, against PyTorch's own operators."""

import random

import numpy as np
import pytest
from convolution_agreement import random_sizes
from convolution_case import ConvCase
from convolution_programs import window_line
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim import golden
from spusim.source import read_source

torch = pytest.importorskip("torch")

HEAD = """
.arch row64
.set core.pes=2
.set link.channel_words=4000
"""


def program(lines: list[str], x: np.ndarray, planar: bool, code: str) -> golden.GoldenResult:
    """Run code on activations (channels, height, width) of 16 bits at word 0."""
    flat = x.reshape(len(x), -1)
    if planar:
        flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4)))
    data = flat.ravel() if planar else flat.T.ravel()
    text = "\n".join([
        HEAD, *lines, ".input elements=4", ".output elements=4", ".frame 1, 2, 3, 4",
        ".data x 0 bits=16", f"  .values {', '.join(map(str, data.tolist()))}",
        ".thread main tokens=1", "  recv channel=0, dst=60000, words=1", f"  {code}",
        "  send dest={host}, channel=0, src=60000, words=1, thread=0", "  end",
    ])  # fmt: skip
    source = read_source(text, "values")
    return golden.run(source.program, source.frames, source.starts)


def tensor(result: golden.GoldenResult, address: int, shape: tuple, planar: bool) -> np.ndarray:
    """Return a result of 32 bits, (channels, height, width)."""
    channels, pixels = shape[0], shape[1] * shape[2]
    raw = result.data_memory[0][address:].reshape(-1).view("<i4")
    if planar:
        words = -(-pixels // 2)
        return raw[: channels * words * 2].reshape(channels, -1)[:, :pixels].reshape(shape)
    return raw[: channels * pixels].reshape(pixels, channels).T.reshape(shape)


def padded(x: np.ndarray, padding: tuple, value: float) -> "torch.Tensor":
    """Pad by top, left, bottom, right."""
    top, left, bottom, right = padding
    return torch.nn.functional.pad(
        torch.from_numpy(x.astype(np.float64))[None], (left, right, top, bottom), value=value
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 30), st.booleans())
def test_convolutions_are_pytorchs(seed: int, planar: bool) -> None:
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    case = ConvCase(**random_sizes(rng), weight=[], x=[])
    inputs = case.channels // case.groups
    x = draw.integers(-500, 500, (case.channels, case.height, case.width))
    weight = draw.integers(-90, 90, (case.filters, inputs, *case.kernel))
    bias = draw.integers(-9999, 9999, case.filters)
    spread = np.zeros((case.filters, case.channels, *case.kernel), np.int64)
    for row in range(case.filters):
        first = row // (case.filters // case.groups) * inputs
        spread[row, first : first + inputs] = weight[row]
    columns = spread if planar else np.moveaxis(spread, 1, 3)
    layout = "planar" if planar else "interleaved"
    lines = [
        window_line("w", case, groups=case.groups, rows=case.out[0], layout=layout,
                    activations=16, outputs=32),
        f".matrix m format=bitmap rows={case.filters} columns={spread[0].size} activations=16",
        *(f"  .values {', '.join(map(str, row.ravel().tolist()))}" for row in columns),
        f"  .bias {', '.join(map(str, bias.tolist()))}",
    ]  # fmt: skip
    result = program(lines, x, planar, "conv w=w, m=m, d=4000, a=x, table=none")
    expected = torch.nn.functional.conv2d(
        padded(x, case.padding, 0.0), torch.from_numpy(weight.astype(np.float64)),
        torch.from_numpy(bias.astype(np.float64)), case.stride, 0, case.dilation, case.groups,
    )  # fmt: skip
    found = tensor(result, 4000, (case.filters, *case.out), planar)
    assert np.array_equal(found, expected[0].numpy().astype(np.int64))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 30), st.booleans(), st.booleans())
def test_poolings_are_pytorchs(seed: int, planar: bool, average: bool) -> None:
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    sizes = random_sizes(rng)
    if average:
        sizes["dilation"] = (1, 1)
    case = ConvCase(**sizes, weight=[], x=[])
    if min(case.out) < 1:
        return
    x = draw.integers(-3000, 3000, (case.channels, case.height, case.width))
    pooling = "average" if average else "max"
    layout = "planar" if planar else "interleaved"
    line = window_line("p", case, rows=case.out[0], layout=layout, activations=16, outputs=32,
                       pooling=pooling)  # fmt: skip
    result = program([line], x, planar, "pool w=p, d=4000, a=x")
    if average:
        expected = case.kernel[0] * case.kernel[1] * torch.nn.functional.avg_pool2d(
            padded(x, case.padding, 0.0), case.kernel, case.stride
        )  # fmt: skip
    else:
        outside = padded(x, case.padding, -torch.inf)
        pooled = torch.nn.functional.max_pool2d(outside, case.kernel, case.stride, 0, case.dilation)
        expected = torch.where(torch.isinf(pooled), 0.0, pooled)
    found = tensor(result, 4000, (case.channels, *case.out), planar)
    assert np.array_equal(found, np.round(expected[0].numpy()).astype(np.int64))


def test_an_average_without_what_is_outside_is_that_of_the_places_inside() -> None:
    x = np.array([[[8, 16], [24, 32]]])
    line = (
        ".window p channels=1 height=2 width=2 rows=3 kernel_height=2 kernel_width=2 top=1 left=1 "
        "bottom=1 right=1 activations=16 outputs=32 pooling=average counted=0 "
        "multiplier=16384 shift=16"
    )
    result = program([line], x, False, "pool w=p, d=4000, a=x")
    expected = [[8, 12, 16], [16, 20, 24], [24, 28, 32]]
    assert tensor(result, 4000, (1, 3, 3), False).tolist() == [expected]
