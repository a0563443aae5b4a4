"""Layers over images: floats as PyTorch's, integers as a second opinion and near the floats."""

from typing import Any

import numpy as np
import pytest
import torch
from convnet_cases import drawn, flat, images, torch_conv
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from integer_reference import evaluate
from torch.nn import functional as F

from spusim.frontend import TopologyError, quantise_input
from spusim.frontend.chain import float_forward
from spusim.frontend.fold import fold_image_norms
from spusim.frontend.layers import FloatBatchNorm, FloatConv2d
from spusim.frontend.quantise import quantise
from spusim.network import Convolution, Pooling, tensor
from spusim.numerics import Numerics

EXACT = {"rtol": 1e-10, "atol": 1e-10}
WIDE = Numerics(48)
PAIRS = st.one_of(st.integers(1, 3), st.lists(st.integers(1, 3), min_size=2, max_size=2))


@st.composite
def convolutions(draw: Any) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """Draw a conv2d that fits an image, and the image's shape."""
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    channels, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    padding = draw(
        st.one_of(st.integers(0, 2), st.lists(st.integers(0, 2), min_size=4, max_size=4))
    )
    layer = {
        "type": "conv2d", "name": "c", "outputs": outputs, "groups": groups, "padding": padding,
        "kernel": draw(PAIRS), "stride": draw(PAIRS), "dilation": draw(PAIRS),
        "bias": draw(st.booleans()),
    }  # fmt: skip
    return layer, (channels, draw(st.integers(1, 9)), draw(st.integers(1, 9)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(convolutions(), st.integers(0, 10**6))
def test_convolution(case: tuple[dict[str, Any], tuple[int, int, int]], seed: int) -> None:
    layer, shape = case
    try:
        found = drawn([layer], shape, seed)
    except TopologyError as error:
        assert "the output has no positions" in str(error)
        reject()
    expected = torch_conv(found, found.images, layer)
    floats = float_forward(found.network, found.stream.frames, found.stream.starts)
    np.testing.assert_allclose(floats, flat(expected), **EXACT)
    _check_integers(found, layer, flat(expected))


def _check_integers(found: Any, layer: dict[str, Any], expected: np.ndarray) -> None:
    """Compare integers with PyTorch's exact sums, and bound their distance from the floats."""
    network = quantise(found.network, found.stream, weight_bits=16, per_channel=True)
    codes = quantise_input(found.stream, network).frames
    outputs = evaluate(network, codes, found.stream.starts, WIDE)
    (node,) = network.nodes
    assert isinstance(node, Convolution)
    integers = dict(found.tensors) | {"c.weight": node.weight.astype(np.float64)}
    if node.bias is not None:
        integers["c.bias"] = node.bias.astype(np.float64)
    as_integers = type(found)(found.topology, found.network, integers, found.stream)
    sums = torch_conv(as_integers, images(codes.astype(np.float64), found.topology), layer)
    acc = flat(sums).reshape(len(codes), -1, node.geometry.filters)
    scaled = acc * node.requant.multiplier / 2.0**node.requant.shift
    exact = np.clip(np.floor(scaled + 0.5), -(2**15), 2**15 - 1).reshape(outputs.shape)
    # float64 holds the sums exactly; half a unit may round either way where it is reached
    assert np.abs(outputs - exact).max() <= 1 and (outputs != exact).mean() < 0.01
    unit, x_unit = (2.0**t.quantum.exponent for t in (node.output, network.input))
    ratio = node.requant.multiplier / 2.0**node.requant.shift  # output units of a weight unit
    step = np.broadcast_to(ratio, node.geometry.filters) * unit / x_unit  # of a weight
    taps = node.weight[0].size
    largest = np.abs(found.stream.frames).max() + x_unit
    inputs = np.abs(found.tensors["c.weight"]).reshape(len(step), -1).sum(axis=1) * x_unit / 2
    weights = taps * largest * step / 2 + step * x_unit / 2  # and the bias
    bound = inputs + weights + unit / 2 + (taps * largest * step * 2**15 + 4.0) * 2.0**-29
    error = np.abs(outputs * unit - expected).reshape(-1, len(step))
    assert (error <= bound).all(), (error.max(), bound.min())


POOLS = {
    "max": ({"type": "max_pool2d", "kernel": 2}, lambda x: F.max_pool2d(x, 2)),
    "max, overlapping": (
        {"type": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1},
        lambda x: F.max_pool2d(x, 3, 2, 1),
    ),
    "max, dilated": (
        {"type": "max_pool2d", "kernel": [2, 3], "stride": 1, "dilation": [2, 1]},
        lambda x: F.max_pool2d(x, (2, 3), 1, dilation=(2, 1)),
    ),
    "max, ceil": (
        {"type": "max_pool2d", "kernel": 3, "stride": 2, "ceil": True},
        lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    ),
    "max, ceil and padding": (
        {"type": "max_pool2d", "kernel": 2, "stride": 3, "padding": 1, "ceil": True},
        lambda x: F.max_pool2d(x, 2, 3, 1, ceil_mode=True),
    ),
    "average": ({"type": "avg_pool2d", "kernel": 2}, lambda x: F.avg_pool2d(x, 2)),
    "average with padding": (
        {"type": "avg_pool2d", "kernel": 3, "stride": 2, "padding": 1},
        lambda x: F.avg_pool2d(x, 3, 2, 1),
    ),
    "average without padding": (
        {"type": "avg_pool2d", "kernel": 3, "stride": 1, "padding": 1, "count_padding": False},
        lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    ),
    "global": ({"type": "global_pool"}, lambda x: F.adaptive_avg_pool2d(x, 1)),
    "global, largest": (
        {"type": "global_pool", "kind": "max"},
        lambda x: F.adaptive_max_pool2d(x, 1),
    ),
}


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 7, 6), (1, 5, 11)], ids=str)
@pytest.mark.parametrize("name", POOLS)
def test_pooling(name: str, shape: tuple[int, int, int]) -> None:
    layer, expected = POOLS[name]
    found = drawn([{"name": "p", **layer}], shape)
    floats = float_forward(found.network, found.stream.frames, found.stream.starts)
    exact = flat(expected(found.images))
    np.testing.assert_allclose(floats, exact, **EXACT)
    network = quantise(found.network, found.stream)
    (node,) = network.nodes
    assert isinstance(node, Pooling)
    codes = quantise_input(found.stream, network)
    outputs = evaluate(network, codes.frames, codes.starts, WIDE)
    unit, x_unit = (2.0**t.quantum.exponent for t in (node.output, network.input))
    # inputs and the output are rounded; multipliers have 20 bits and more
    bound = x_unit / 2 + (node.kind == "average") * unit / 2 + np.abs(exact).max() * 2.0**-20
    assert np.abs(outputs * unit - exact).max() <= bound


def test_batch_norm_goes_into_what_is_before_it() -> None:
    layers = [
        {"type": "conv2d", "name": "c", "outputs": 4, "kernel": 3, "bias": False},
        {"type": "batch_norm", "name": "n"},
        {"type": "relu", "name": "r"},
        {"type": "flatten", "name": "f"},
        {"type": "linear", "name": "l", "outputs": 5},
        {"type": "batch_norm", "name": "m", "eps": 0.01},
    ]
    found = drawn(layers, (2, 5, 6))
    t = {key: torch.tensor(value) for key, value in found.tensors.items()}
    x = F.conv2d(found.images, t["c.weight"])
    stats = (t["n.running_mean"], t["n.running_var"], t["n.weight"], t["n.bias"])
    x = torch.relu(F.batch_norm(x, *stats))
    y = F.linear(x.flatten(1), t["l.weight"], t["l.bias"])
    stats = (t["m.running_mean"], t["m.running_var"], t["m.weight"], t["m.bias"])
    expected = F.batch_norm(y, *stats, eps=0.01)
    frames, starts = found.stream.frames, found.stream.starts
    np.testing.assert_allclose(float_forward(found.network, frames, starts), expected, **EXACT)
    whole = fold_image_norms(found.network)
    assert [layer.name for layer in whole.layers] == ["c", "r", "f", "l"] and whole.output == "l"
    np.testing.assert_allclose(float_forward(whole, frames, starts), expected, **EXACT)
    assert fold_image_norms(whole) == whole
    network = quantise(found.network, found.stream, weight_bits=16, per_channel=True)
    assert [type(node).__name__ for node in network.nodes] == ["Convolution", "Shift", "Product"]


def test_batch_norm_stays_where_it_cannot_go() -> None:
    layers = [
        {"type": "conv2d", "name": "c", "outputs": 3, "kernel": 3, "padding": 1},
        {"type": "relu", "name": "r"},
        {"type": "batch_norm", "name": "n"},
        {"type": "conv2d", "name": "d", "outputs": 3, "kernel": 1},
        {"type": "batch_norm", "name": "m"},
        {"type": "add", "name": "s", "inputs": ["d", "m"]},
    ]
    found = drawn(layers, (2, 5, 6), seed=5)
    whole = fold_image_norms(found.network)
    assert [type(each) is FloatBatchNorm for each in whole.layers] == [
        False, False, True, False, True, False,
    ]  # fmt: skip
    t = {key: torch.tensor(value) for key, value in found.tensors.items()}
    x = torch.relu(torch_conv(found, found.images, layers[0]))
    x = F.batch_norm(x, t["n.running_mean"], t["n.running_var"], t["n.weight"], t["n.bias"])
    x = torch_conv(found, x, layers[3])
    y = F.batch_norm(x, t["m.running_mean"], t["m.running_var"], t["m.weight"], t["m.bias"])
    frames, starts = found.stream.frames, found.stream.starts
    np.testing.assert_allclose(float_forward(whole, frames, starts), flat(x + y), **EXACT)
    network = quantise(found.network, found.stream, weight_bits=8, per_channel=False)
    scales = [n for n in network.nodes if isinstance(n, Convolution) and n.name in "nm"]
    # one weight a channel, as large as 8 bits go: the scale is the requantisation's
    assert [np.abs(n.weight).min() for n in scales] == [127, 127]
    codes = quantise_input(found.stream, network).frames
    outputs = evaluate(network, codes, starts, WIDE)
    unit = 2.0 ** tensor(network, network.output).quantum.exponent
    error = np.abs(outputs * unit - flat(x + y)).max()
    assert error < 0.04 * np.abs(flat(x + y)).max()  # 8-bit weights, one scale


@pytest.mark.parametrize("order", ["channels", "positions"])
def test_flatten_puts_columns_into_the_tensors_order(order: str) -> None:
    layers = [
        {"type": "flatten", "name": "f", "order": order},
        {"type": "leaky_relu", "name": "r", "slope": 0.25},
        {"type": "linear", "name": "l", "outputs": 7},
    ]
    found = drawn(layers, (3, 4, 5))
    x = found.images
    x = x.flatten(1) if order == "channels" else x.permute(0, 2, 3, 1).flatten(1)
    expected = F.linear(
        F.leaky_relu(x, 0.25), torch.tensor(found.tensors["l.weight"]),
        torch.tensor(found.tensors["l.bias"]),
    )  # fmt: skip
    floats = float_forward(found.network, found.stream.frames, found.stream.starts)
    np.testing.assert_allclose(floats, expected, **EXACT)


def test_functions_and_merges_over_images() -> None:
    layers = [
        {"type": "prelu", "name": "p", "parameters": 3},
        {"type": "relu6", "name": "r", "input": "input"},
        {"type": "add", "name": "a", "inputs": ["p", "r"]},
        {"type": "affine", "name": "s"},
        {"type": "concat", "name": "c", "inputs": ["s", "input"]},
        {"type": "slice", "name": "cut", "first": 1, "size": 4},
        {"type": "conv2d", "name": "d", "outputs": 2, "kernel": 2},
    ]
    found = drawn(layers, (3, 4, 5))
    t = {key: torch.tensor(value) for key, value in found.tensors.items()}
    x = found.images
    s = F.prelu(x, t["p.weight"]) + F.relu6(x)
    s = s * t["s.weight"].reshape(1, -1, 1, 1) + t["s.bias"].reshape(1, -1, 1, 1)
    y = F.conv2d(torch.cat([s, x], 1)[:, 1:5], t["d.weight"], t["d.bias"])
    frames, starts = found.stream.frames, found.stream.starts
    np.testing.assert_allclose(float_forward(found.network, frames, starts), flat(y), **EXACT)
    network = quantise(found.network, found.stream, weight_bits=16, per_channel=True)
    outputs = evaluate(network, quantise_input(found.stream, network).frames, starts, WIDE)
    unit = 2.0 ** tensor(network, network.output).quantum.exponent
    # six roundings to 15 bits, each of at most one part in 2**14 of its range, times gains of < 10
    assert np.abs(outputs * unit - flat(y)).max() < 2e-3 * np.abs(flat(y)).max()


def test_a_mean_over_frames_divides_in_a_convolution() -> None:
    layers = [
        {"type": "conv2d", "name": "a", "outputs": 2, "kernel": 1},
        {"type": "flatten", "name": "f", "order": "positions"},
        {"type": "mean_time", "name": "m", "frames": 4},
        {"type": "reshape", "name": "i", "channels": 2, "width": 3},
        {"type": "conv2d", "name": "b", "outputs": 2, "kernel": 2},
    ]
    found = drawn(layers, (1, 3, 3), frames=4)
    stream = type(found.stream)(found.stream.frames, (0,), ("a",))
    floats = float_forward(found.network, stream.frames, stream.starts)
    network = quantise(found.network, stream, weight_bits=16, per_channel=True)
    outputs = evaluate(network, quantise_input(stream, network).frames, stream.starts, WIDE)
    unit = 2.0 ** tensor(network, network.output).quantum.exponent
    assert np.abs(outputs * unit - floats).max() < 2e-3 * np.abs(floats).max()
    assert isinstance(found.network.layers[-1], FloatConv2d)
