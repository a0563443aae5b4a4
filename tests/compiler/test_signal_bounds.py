"""How near signal layers come: bounds over all inputs, and integers worked out by hand."""

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_reference import TableSettings, evaluate
from signal_cases import CASES, made

from spusim.frontend import quantise_input
from spusim.frontend.layers import Job, Shape
from spusim.frontend.layers.conv1d import FloatConv1d
from spusim.frontend.layers.l2_norm import FloatL2Norm
from spusim.frontend.layers.magnitude import FloatMagnitude
from spusim.frontend.layers.pool_positions import FloatPoolPositions
from spusim.frontend.quantise import quantise
from spusim.network import Network, Product, Quantum, Tensor, check_network

INPUT = Quantum(16, -12)


def expanded(layer, output: Quantum, ranges=None) -> Network:
    """Return a network of one layer, its input and output in given quanta."""
    size = layer.sizes[0]
    peaks = {name: np.zeros(layer.sizes[1]) for name in (layer.name, *(ranges or {}))}
    job = Job(peaks, {layer.name: 0.0, **(ranges or {})}, 8, True)
    frame = Tensor("input", size, INPUT)
    y = layer.expand(job, frame, output)
    network = Network("net", frame, tuple(job.states), tuple(job.nodes), y.name)
    check_network(network)
    return network


def vectors(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Return integer vectors of all lengths, from 1 to what 16 bits hold."""
    scale = np.exp(rng.uniform(0, np.log(32768), (count, 1)))
    return np.clip(np.rint(rng.normal(size=(count, size)) * scale), -32768, 32767).astype(np.int32)


# Signs and quadrants are alike, so that a grid of the first one is enough.
@pytest.mark.parametrize("address_bits", [6, 8, 10])
def test_magnitude_is_within_its_bound(address_bits: int) -> None:
    rng = np.random.default_rng(4)
    pairs = np.concatenate(
        [
            vectors(rng, 4000, 2),
            [[a, b] for a in range(0, 40, 3) for b in range(-40, 40, 7)],
            [[32767, 32767], [-32768, 0], [-32768, -32768], [1, 0], [0, -1]],
        ]
    )
    network = expanded(FloatMagnitude("m", Shape(1, 2)), Quantum(16, -11))
    found = evaluate(network, pairs, (0,), tables=TableSettings(address_bits))[:, 0]
    exact = np.hypot(*pairs.astype(float).T) * 0.5  # in the output's units
    h, u = 2.0 ** (16 - address_bits), 2.0**11
    relative = (h / u) ** 2 / 32 + 1 / (2 * u)
    # near zero one chord of the finest table, sqrt(h) / 4 of a quarter unit of the input
    least = max(h**0.5 / 4 / 4 / 2, 0.5) + 1
    assert np.all(found <= np.minimum(exact, 32767) + 1)
    assert np.all(found >= np.minimum(exact, 32767) * (1 - relative) - least)
    assert relative < {6: 0.009, 8: 0.00074, 10: 0.0003}[address_bits]


def test_magnitude_of_zero_is_zero_and_rises() -> None:
    network = expanded(FloatMagnitude("m", Shape(1, 2)), INPUT)
    ramp = np.stack([np.arange(32768), np.zeros(32768, int)], axis=1)[::7]
    found = evaluate(network, ramp, (0,))[:, 0]
    assert found[0] == 0 and np.all(np.diff(found) >= 0)


@pytest.mark.parametrize("channels", [1, 2, 5, 64, 300])
def test_l2_norm_is_within_its_bound(channels: int) -> None:
    rng = np.random.default_rng(channels)
    frames = vectors(rng, 150, channels)
    frames[0], frames[1], frames[2] = 0, -32768, 32767
    frames[3] = 0
    frames[3, -1] = 1
    network = expanded(FloatL2Norm("n", Shape(1, channels)), Quantum(16, -15))
    found = evaluate(network, frames, (0,)) * 2.0**-15
    length = np.sqrt((frames.astype(float) ** 2).sum(axis=1, keepdims=True))
    exact = np.divide(frames, length, out=np.zeros(frames.shape), where=length > 0)
    assert not found[0].any()
    # of the value: chords, shifted bits and two roundings; of a unit: elements halved, and rounding
    bound = 2.4e-4 * np.abs(exact) + 2.5 * 2.0**-15
    assert np.all(np.abs(found - np.clip(exact, -1, 1 - 2.0**-15)) <= bound)


def test_l2_norm_of_every_position_is_its_own() -> None:
    frames = vectors(np.random.default_rng(8), 20, 12)
    whole = evaluate(expanded(FloatL2Norm("n", Shape(3, 4)), Quantum(16, -15)), frames, (0,))
    single = expanded(FloatL2Norm("n", Shape(1, 4)), Quantum(16, -15))
    for place in range(3):
        part = slice(4 * place, 4 * place + 4)
        np.testing.assert_array_equal(whole[:, part], evaluate(single, frames[:, part], (0,)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2),
    st.integers(0, 3), st.sampled_from(["zeros", "reflect"]), st.sampled_from([1, 2, 10]),
    st.integers(0, 10**6),
)  # fmt: skip
def test_convolutions_are_the_sums_that_they_say(
    taps: int, stride: int, dilation: int, groups: int, pads: int, mode: str, channels: int,
    seed: int,
) -> None:  # fmt: skip
    """Every shape at once, in plain integers: loops over outputs, taps and channels."""
    rng = np.random.default_rng(seed)
    positions, out = 8, 4
    channels *= groups
    weight = rng.normal(size=(out, channels // groups, taps))
    bias = rng.normal(size=out)
    layer = FloatConv1d(
        "c", weight, bias, Shape(positions, channels), stride, dilation, (pads, pads), mode
    )
    network = expanded(layer, Quantum(16, -8))
    frame = rng.integers(-2000, 2000, (1, positions * channels))
    found = evaluate(network, frame, (0,))[0].reshape(layer.count, out)
    (node,) = (n for n in network.nodes if isinstance(n, Product) and n.name == "c")
    scale = np.abs(weight).reshape(out, -1).max(axis=1) / 127
    x = frame[0].reshape(positions, channels)
    for place in range(layer.count):
        for row in range(out):
            codes = np.rint(weight[row] / scale[row]).astype(int)
            acc = round(bias[row] / (scale[row] * 2.0**-12))
            for tap in range(taps):
                at = place * stride + tap * dilation - pads
                if mode == "reflect":
                    at = abs(at) if at < positions else 2 * (positions - 1) - at
                for inner in range(channels // groups):
                    channel = row // (out // groups) * (channels // groups) + inner
                    if 0 <= at < positions:
                        acc += int(codes[inner, tap]) * int(x[at, channel])
            head = node.heads[0].requant
            scaled = Fraction(acc * int(head.multiplier[row]), 2 ** int(head.shift[row]))
            assert found[place, row] == np.clip((scaled + Fraction(1, 2)) // 1, -32768, 32767)


def test_a_grouped_weight_is_zero_between_its_groups() -> None:
    drawn = made(CASES["conv grouped"])
    network = quantise(drawn.network, drawn.stream)
    (node,) = (n for n in network.nodes if isinstance(n, Product))
    whole = node.weight.reshape(4, 3, 6)
    assert not whole[:2, :, 3:].any() and not whole[2:, :, :3].any()
    assert np.count_nonzero(whole) <= 4 * 3 * 3


@pytest.mark.parametrize("kernel", [2, 3, 4, 7])
def test_means_are_rounded_once(kernel: int) -> None:
    layer = FloatPoolPositions("p", "mean", Shape(kernel, 1), kernel, 1)
    network = expanded(layer, INPUT)
    frames = np.random.default_rng(kernel).integers(-32768, 32768, (200, kernel))
    found = evaluate(network, frames, (0,))[:, 0]
    exact = frames.sum(axis=1) / kernel
    # 1 / kernel is good to half a unit of 2**14 to 2**15
    assert np.all(np.abs(found - exact) <= 0.5 + np.abs(exact) * 2.0**-15)


def test_a_ring_buffer_restarts_with_every_file() -> None:
    drawn = made(CASES["conv causal"], frames=6)
    network = quantise(drawn.network, drawn.stream)
    frames = quantise_input(drawn.stream, network).frames
    whole = evaluate(network, frames, (0, 4))
    np.testing.assert_array_equal(whole[:4], evaluate(network, frames[:4], (0,)))
    np.testing.assert_array_equal(whole[4:], evaluate(network, frames[4:], (0,)))
    assert (evaluate(network, frames, (0,))[4:] != whole[4:]).any()


def test_roots_by_hand() -> None:
    network = expanded(FloatMagnitude("m", Shape(1, 2)), INPUT)
    for re, im in ((3, 4), (300, 400), (8119, 5741), (-20000, 15000)):
        (found,) = evaluate(network, np.array([[re, im]]), (0,))[0]
        assert abs(found - isqrt(re * re + im * im)) <= 0.00074 * abs(found) + 2
