"""Quantising: exact choices of quanta, error bounds, zeros that stay zeros, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.frontend import StreamError
from spusim.frontend.bind import bind
from spusim.frontend.chain import (
    FloatActivation,
    FloatLayer,
    FloatLinear,
    FloatLstm,
    FloatNetwork,
    FloatPool,
)
from spusim.frontend.quanta import mean_shift, quantum_for
from spusim.frontend.quantise import calibrate, quantise
from spusim.frontend.topology import TopologyModel
from spusim.frontend.weights import quantise_matrix
from spusim.network import Network, NetworkError, Product, Quantum, Shift, Stream, inputs_of, tensor


def rng_of(name: str) -> np.random.Generator:
    """Return a generator that depends on the name alone."""
    return np.random.default_rng(list(name.encode()))


def linear(name: str, inputs: int, outputs: int, scale: float = 1.0) -> FloatLinear:
    """Return a random linear layer."""
    rng = rng_of(name)
    weight = rng.normal(size=(outputs, inputs)) * scale
    return FloatLinear(name, weight, rng.normal(size=outputs) * scale)


def lstm(name: str, inputs: int, hidden: int) -> FloatLstm:
    """Return a random LSTM layer."""
    rng = rng_of(name)
    weight = rng.normal(size=(4 * hidden, inputs + hidden)) * 0.5
    return FloatLstm(name, weight[:, :inputs], weight[:, inputs:], rng.normal(size=4 * hidden))


def stream(features: int, absmax: float = 1.0, frames: int = 12) -> Stream:
    """Return random frames in two files whose largest magnitude is absmax."""
    values = rng_of("stream").uniform(-absmax, absmax, (frames, features))
    values[0, 0] = absmax
    return Stream(values, (0, 5), ("a", "b"))


def quantised(layers: list[FloatLayer], absmax: float = 1.0, **options: object) -> Network:
    """Quantise a chain on a random calibration."""
    size = layers[0].sizes[0]
    return quantise(FloatNetwork("net", tuple(layers), size), stream(size, absmax), **options)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(1e-30, 1e30), st.sampled_from([8, 16]))
def test_quantum_is_the_finest_that_fits(absmax: float, bits: int) -> None:
    quantum = quantum_for(absmax, bits)
    assert absmax <= math.ldexp(quantum.largest, quantum.exponent)
    assert absmax > math.ldexp(quantum.largest, quantum.exponent - 1)


def test_quantum_at_the_edges() -> None:
    assert quantum_for(32767.0, 16).exponent == 0
    assert quantum_for(32767.5, 16).exponent == 1
    assert quantum_for(127 / 128, 8).exponent == -7
    assert quantum_for(0.0, 16) == Quantum(16, -15)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([4, 8, 16]), st.booleans(), st.integers(-14, 0))
def test_matrix_error_bounds(seed: int, bits: int, per_channel: bool, exponent: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(6, 5)) * (rng.random((6, 5)) < 0.5)
    weight[rng.integers(6)] = 0.0
    bias = rng.normal(size=6)
    found = quantise_matrix(weight, bias, bits, per_channel, 2.0**exponent, 2.0**-12)
    limit = 2 ** (bits - 1) - 1
    absmax = np.abs(weight).max()
    rows = np.abs(weight).max(axis=1)
    scale = np.where(rows > 0, rows, absmax) if per_channel else np.full(6, absmax)
    scale = (scale if absmax else np.ones(6)) / limit
    assert np.all(found.weight[weight == 0] == 0)
    assert np.abs(found.weight).max() <= limit
    assert np.all(np.abs(found.weight * scale[:, None] - weight) <= scale[:, None] / 2 + 1e-12)
    assert np.all(np.abs(found.bias * scale * 2.0**exponent - bias) <= scale * 2.0**exponent)
    ratio = found.requant.multiplier / 2.0**found.requant.shift
    assert np.allclose(ratio, scale[: len(ratio)] * 2.0 ** (exponent + 12), rtol=2**-29)
    assert len(ratio) == (6 if per_channel else 1)
    assert found.lost == np.count_nonzero(weight) - np.count_nonzero(found.weight)
    assert found.widened == 0


def test_bias_that_would_not_fit_makes_its_scale_coarser() -> None:
    weight, bias = np.array([[1e-9], [1.0]]), np.array([1.0, 1.0])
    found = quantise_matrix(weight, bias, 8, True, 2.0**-12, 2.0**-12)
    assert np.abs(found.bias).max() <= 2**30
    assert found.widened == 1
    output = found.bias * found.requant.multiplier / 2.0**found.requant.shift
    assert output == pytest.approx([4096, 4096], rel=1e-2)


def test_weights_all_zero() -> None:
    layer = FloatLinear("fc", np.zeros((3, 4)), np.array([0.5, -1.0, 0.0]))
    for per_channel in (False, True):
        (found,) = quantised([layer], per_channel=per_channel).nodes
        (head,) = found.heads
        assert not found.weight.any()
        output = found.bias * head.requant.multiplier / 2.0**head.requant.shift
        assert output * 2.0**head.output.quantum.exponent == pytest.approx([0.5, -1, 0], abs=1e-4)
    assert quantised([FloatLinear("fc", np.zeros((3, 4)), None)]).nodes[0].bias is None


def test_input_all_zero_in_the_calibration() -> None:
    silent = Stream(np.zeros((3, 4)), (0,), ("a",))
    found = quantise(FloatNetwork("net", (linear("fc", 4, 2),), 4), silent)
    assert found.input.quantum == Quantum(16, -15)


def test_quanta_of_a_linear_chain() -> None:
    layers = [linear("fc", 4, 3), FloatActivation("relu", "relu", 3), linear("out", 3, 2)]
    found = quantised(layers, absmax=3.0, activation_bits=8, input_bits=16)
    ranges = calibrate(FloatNetwork("net", tuple(layers), 4), stream(4))
    assert set(ranges) == {"input", "fc", "relu", "out"}
    assert found.input.quantum == Quantum(16, -13)
    first, relu, last = (tensor(found, name).quantum for name in ("fc", "relu", "out"))
    assert first == relu
    assert (first.bits, last.bits) == (8, 8)
    assert [type(node) for node in found.nodes] == [Product, Shift, Product]
    assert [node.layer for node in found.nodes] == ["fc", "relu", "out"]


def test_linear_before_relu_uses_the_range_before_it() -> None:
    layer = FloatLinear("fc", np.array([[-1.0]]), None)
    frames = Stream(np.array([[10.0], [0.1]]), (0,), ("a",))
    relu = FloatActivation("relu", "relu", 1)
    found = quantise(FloatNetwork("net", (layer, relu), 1), frames)
    assert tensor(found, "fc").quantum == quantum_for(10.0, 16)


def test_lstm_shares_one_quantum_and_has_margin_in_its_cell() -> None:
    layers = (linear("fc", 4, 5, 0.3), lstm("lstm", 5, 6), linear("out", 6, 2))
    network = FloatNetwork("net", layers, 4)
    frames = stream(4)
    ranges = {name: peak.max() for name, peak in calibrate(network, frames).items()}
    found = quantise(network, frames)
    names = ("fc", "lstm", "lstm.h", "lstm.xh")
    assert {tensor(found, name).quantum for name in names} == {
        quantum_for(max(ranges["fc"], ranges["lstm"]), 16)
    }
    (cell,) = (node for node in found.nodes if node.name == "lstm")
    assert {head.entry for head in cell.heads} == {Quantum(16, -12)}
    functions = [head.function.function for head in cell.heads]
    assert functions == ["sigmoid", "sigmoid", "tanh", "sigmoid"]
    assert {tensor(found, name).quantum for name in ("lstm.c", "lstm.new_c", "lstm.kept")} == {
        quantum_for(2 * ranges["lstm.cell"], 16)
    }
    assert cell.weight.shape == (24, 11)
    assert {(s.tensor.name, s.next, s.start) for s in found.states} == {
        ("lstm.h", "lstm", 0),
        ("lstm.c", "lstm.new_c", 0),
    }
    scale = np.abs(np.concatenate([layers[1].weight_ih, layers[1].weight_hh], 1)).max() / 127
    np.testing.assert_array_equal(cell.weight[:, :5], np.rint(layers[1].weight_ih / scale))
    assert not any("clip" in note for note in found.notes)


def test_gates_that_clip_are_noted() -> None:
    cell = lstm("lstm", 4, 3)
    wide = replace(cell, bias=np.full(12, 20.0))
    assert any("lstm: gate pre-activations reach" in note for note in quantised([wide]).notes)


def test_lost_nonzeros_are_noted() -> None:
    weight = np.array([[1.0, 0.001, 0.0], [0.5, 0.003, 0.9]])
    found = quantised([FloatLinear("fc", weight, None)])
    assert found.notes == ("fc: 2 of 5 nonzero weights rounded to zero",)
    assert "fc: 2 of 5" not in str(quantised([FloatLinear("fc", weight, None)], weight_bits=16))


def test_sums_beyond_a_common_accumulator_are_noted() -> None:
    layer = FloatLinear("fc", np.ones((2, 64)), None)
    ones = Stream(np.ones((1, 64)), (0,), ("a",))
    network = FloatNetwork("net", (layer,), 64)
    found = quantise(network, ones, weight_bits=16)
    # 64 x (2**15 - 1) x 2**14: just below 2**35, and a sign.
    assert found.notes == (
        "fc: sums reach 36 bits in the calibration; give numerics.accumulator_bits=38 or "
        "narrower weights",
    )
    assert quantise(network, ones, weight_bits=8).notes == ()


def test_functions_get_the_quanta_of_their_tables() -> None:
    layers = [linear("a", 4, 3, 9.0), FloatActivation("f", "sigmoid", 3), linear("b", 3, 2)]
    found = quantised(layers, activation_bits=8)
    assert tensor(found, "a").quantum == Quantum(16, -12)
    assert tensor(found, "f").quantum == Quantum(16, -15)
    assert found.nodes[-1].input == "f"
    assert any("a: outputs reach" in note and "clip at 8" in note for note in found.notes)


def test_table_on_eight_bits_reads_them_widened() -> None:
    found = quantised([FloatActivation("f", "tanh", 3)], input_bits=8)
    widen, table = found.nodes
    assert isinstance(widen, Shift) and table.a == widen.output.name
    assert found.input.quantum == Quantum(8, -6)
    assert (widen.output.quantum, widen.sd) == (Quantum(16, -12), -6)
    assert quantised([FloatActivation("f", "tanh", 3)]).input.quantum == quantum_for(1.0, 16)


def test_mean_shift_fits_the_sum_and_the_next_layer_divides() -> None:
    layers = [linear("a", 4, 3), FloatPool("pool", "mean", 3, 61), linear("b", 3, 2)]
    network = FloatNetwork("net", tuple(layers), 4)
    frames = stream(4)
    absmax = calibrate(network, frames)["a"].max()
    found = quantise(network, frames)
    _, step, after = found.nodes
    pool = tensor(found, "pool").quantum.exponent
    assert 61 * absmax <= 32767 * 2.0**pool < 4 * 61 * absmax
    assert step.sb == pool - tensor(found, "a").quantum.exponent
    assert (step.kind, step.a, step.b, step.sa, step.sd) == ("add", "pool.so_far", "a", 0, 0)
    requant = after.heads[0].requant
    ratio = requant.multiplier[0] / 2.0 ** requant.shift[0]
    scale = np.abs(layers[2].weight).max() / 127
    expected = scale * 2.0**pool / 61 / 2.0 ** tensor(found, "b").quantum.exponent
    assert ratio == pytest.approx(expected, rel=1e-6)
    bias = after.bias * scale * 2.0**pool / 61
    assert bias == pytest.approx(layers[2].bias, abs=1e-3)


def test_a_sum_over_one_frame_is_no_sum() -> None:
    found = quantised([FloatPool("pool", "mean", 4, 1), lstm("lstm", 4, 3)])
    assert not any("divided" in node.name for node in found.nodes)
    assert found.output == "lstm"


def test_mean_shift_is_never_negative() -> None:
    assert mean_shift(1, -3, 0.0) == 0
    assert mean_shift(2, 0, 5.0) == 0
    assert mean_shift(61, -11, 15.9) == 6


@pytest.mark.parametrize("reader", [lstm("next", 3, 2), FloatActivation("next", "tanh", 3)])
def test_all_but_linear_read_a_sum_over_time_divided(reader: FloatLayer) -> None:
    found = quantised([linear("a", 4, 3), FloatPool("pool", "mean", 3, 9), reader])
    nodes = {node.name: node for node in found.nodes}
    factor, divide = nodes["pool.divided.reciprocal"], nodes["pool.divided mul"]
    total, mean = (tensor(found, name).quantum for name in ("pool", "pool.divided"))
    ratio = factor.values * 2.0 ** (mean.exponent - total.exponent - divide.sd)
    assert (divide.kind, divide.a, divide.b) == ("mul", "pool", factor.output.name)
    assert ratio == pytest.approx(1 / 9, rel=2**-15)
    after = [name for node in found.nodes if node.layer == "next" for name in inputs_of(node)]
    assert after.count("pool") == 1, "only the division reads the sum"


@pytest.mark.parametrize("frames", [1, 2, 5, 61, 64, 2**19 + 1])
def test_a_divided_sum_is_the_mean(frames: int) -> None:
    layers = [FloatPool("pool", "mean", 2, frames), FloatActivation("next", "tanh", 2)]
    found = quantised(layers)
    shift = next((node for node in found.nodes if node.name == "pool.divided"), None)
    if frames & (frames - 1) == 0:
        assert not any(node.name.endswith("reciprocal") for node in found.nodes)
        assert (shift is None) == (frames == 1)
        return
    factor = next(node for node in found.nodes if node.name == "pool.divided.reciprocal")
    assert 2**14 <= factor.values[0] < 2**15
    real = factor.values[0] * 2.0**factor.output.quantum.exponent
    assert real == pytest.approx(1 / frames, rel=2**-14)


@pytest.mark.parametrize(
    ("frames", "pattern"),
    [
        (np.zeros((0, 4)), "shape"),
        (np.zeros((2, 3)), "calibration stream has 3 features, the network takes 4"),
        (np.array([[0, 0, np.nan, 0]]), "nan at frame 0, feature 2"),
    ],
)
def test_bad_calibration(frames: np.ndarray, pattern: str) -> None:
    with pytest.raises(StreamError, match=pattern):
        quantise(FloatNetwork("net", (linear("fc", 4, 2),), 4), Stream(frames, (0,), ("a",)))


def test_a_layer_called_like_a_part_of_another_is_refused() -> None:
    """Its range would be taken for that of the LSTM's gates, or theirs for its own."""
    lstm = {"type": "lstm", "name": "l", "hidden": 2, "bias": False}
    for name in ("l.gate", "l.gates"):
        layers = ({"type": "relu", "name": name}, lstm)
        topology = TopologyModel.model_validate(
            {"name": "net", "input": {"size": 3}, "layers": layers}, strict=False
        )
        tensors = {"l.weight_ih_l0": np.ones((8, 3)), "l.weight_hh_l0": np.ones((8, 2))}
        network, stream = bind(topology, tensors), Stream(np.ones((4, 3)), (0,), ("x",))
        if name == "l.gates":
            quantise(network, stream)
            continue
        with pytest.raises(NetworkError, match=r"layer l\.gate: another layer calls a part"):
            quantise(network, stream)
