"""The plain integer evaluator: by hand where that is possible, against floats where it is not."""

from dataclasses import replace
from itertools import product
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.frontend import float_forward, load_network, load_stream, quantise_input
from spusim.frontend.chain import (
    FloatActivation,
    FloatLinear,
    FloatLstm,
    FloatNetwork,
    FloatPool,
)
from spusim.frontend.load import find_network, load_float_network
from spusim.frontend.quantise import quantise
from spusim.frontend.topology_file import load_topology
from spusim.network import (
    Apply,
    Combine,
    Curve,
    Head,
    Network,
    Product,
    Quantum,
    Requant,
    Shift,
    State,
    Stream,
    Tensor,
    tensor,
)
from spusim.numerics import Numerics, overflow, requantise, round_shift

Q = Quantum(16, 0)


def linear(weight: list, bias: list | None, multiplier: int = 1, shift: int = 0) -> Network:
    """Return a network of one linear layer."""
    requant = Requant(np.array([multiplier]), np.array([shift]))
    bias_array = None if bias is None else np.array(bias, np.int64)
    head = Head(0, Tensor("y", len(weight), Q), requant)
    layer = Product("fc", "fc", "input", np.array(weight), 8, bias_array, (head,))
    return Network("net", Tensor("input", len(weight[0]), Q), (), (layer,), "y")


def test_linear_rounds_and_saturates(reference: ModuleType) -> None:
    frames = np.array([[5, 1], [-5, -1], [30000, 30000]])
    found = {
        rounding: reference.evaluate(
            linear([[1, 1], [2, -1]], [0, 1], 1, 2), frames, (0,), Numerics(rounding=rounding)
        ).tolist()
        for rounding in ("floor", "half_up", "half_even")
    }
    assert found["floor"] == [[1, 2], [-2, -2], [15000, 7500]]
    assert found["half_up"] == [[2, 3], [-1, -2], [15000, 7500]]
    assert found["half_even"] == [[2, 2], [-2, -2], [15000, 7500]]
    wide = reference.evaluate(linear([[1, 1]], None), frames[2:], (0,))
    assert wide.tolist() == [[32767]]


def test_accumulator_saturates_in_canonical_order(reference: ModuleType) -> None:
    narrow = Numerics(accumulator_bits=8)
    network = linear([[1, 1, 1]], [100])
    assert reference.evaluate(network, [[50, -100, 3]], (0,), narrow).tolist() == [[30]]
    assert reference.evaluate(network, [[-100, 50, 3]], (0,), narrow).tolist() == [[53]]
    wrapping = Numerics(accumulator_bits=8, overflow="wrap")
    assert reference.evaluate(network, [[50, -10, 3]], (0,), wrapping).tolist() == [[-113]]


def test_states_restart_and_operands_floor(reference: ModuleType) -> None:
    frames, starts = np.array([[3], [-3], [-1], [7]]), (0, 2)
    x, old, new = (Tensor(name, 1, Q) for name in ("input", "old", "new"))
    for kind, start, values in (("add", 0, [1, -1, -1, 2]), ("max", -9, [1, 1, -1, 3])):
        step = Combine("step", "pool", kind, "old", "input", new, sb=1)
        network = Network("net", x, (State(old, "new", start, "pool"),), (step,), "new")
        assert reference.evaluate(network, frames, starts)[:, 0].tolist() == values
        late = replace(network, output="old")
        expected = [start, values[0], start, values[2]]
        assert reference.evaluate(late, frames, starts)[:, 0].tolist() == expected


def test_shifts_round_and_cut_off_as_they_say(reference: ModuleType) -> None:
    x, y = Tensor("input", 1, Q), Tensor("y", 1, Quantum(8, 0))
    frames = np.array([[6], [-6], [1000], [-2]])
    cases = {
        (2, False, None): [2, -1, 127, 0],
        (2, False, "floor"): [1, -2, 127, -1],
        (2, True, "half_even"): [2, 0, 127, 0],
        (-1, False, None): [12, -12, 127, -4],
    }
    for (sd, relu, rounding), values in cases.items():
        node = Shift("s", "s", "input", y, sd, relu, rounding)
        network = Network("net", x, (), (node,), "y")
        assert reference.evaluate(network, frames, (0,))[:, 0].tolist() == values


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_tables_are_near_their_function(reference: ModuleType, function: str) -> None:
    quantum, out = Quantum(16, -12), Quantum(16, -15)
    node = Apply("f", "f", "input", Curve(function), Tensor("y", 1, out))
    network = Network("net", Tensor("input", 1, quantum), (), (node,), "y")
    x = np.arange(-32768, 32768, 97)[:, None]
    real = x * 2.0**-12
    expected = np.tanh(real) if function == "tanh" else 1 / (1 + np.exp(-real))
    assert np.abs(reference.evaluate(network, x, (0,)) * 2.0**-15 - expected).max() < 5e-4


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.integers(-(2**47), 2**47 - 1),
    st.integers(1, 2**31 - 1),
    st.integers(0, 62),
    st.sampled_from(
        list(product(("floor", "half_up", "half_even"), ("saturate", "wrap", "nullify")))
    ),
)
def test_two_opinions_of_requantisation(
    reference: ModuleType, acc: int, multiplier: int, shift: int, modes: tuple
) -> None:
    numerics = Numerics(48, "saturate", *modes)
    machine = reference.Machine(numerics, reference.TableSettings())
    requant = Requant(np.array([multiplier]), np.array([shift]))
    found = machine.requantise([acc], requant, 16)
    assert found[0] == requantise(np.array([acc]), multiplier, shift, 16, numerics)[0]
    assert machine.shift([acc], shift, None)[0] == round_shift(acc, shift, modes[0])
    assert machine.fit([acc], 16)[0] == overflow(acc, 16, modes[1])


def random_chain(rng: np.random.Generator, pool: str) -> FloatNetwork:
    """Return a chain with a layer of every type, pooled in the middle."""

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-0.5, 0.5, shape)

    layers = (
        FloatLinear("first", uniform(6, 5), uniform(6)),
        FloatActivation("relu", "relu", 6),
        FloatLstm("lstm", uniform(32, 6), uniform(32, 8), uniform(32)),
        FloatLinear("second", uniform(7, 8), None),
        FloatActivation("sigmoid", "sigmoid", 7),
        FloatPool("pool", pool, 7, 6),
        FloatLinear("third", uniform(4, 7), uniform(4)),
        FloatActivation("tanh", "tanh", 4),
    )
    return FloatNetwork("random", layers, 5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["mean", "max", "last"]),
    st.sampled_from([8, 16]),
    st.booleans(),
    st.sampled_from(["half_up", "half_even"]),
)
def test_quantised_chain_is_near_its_float_chain(
    reference: ModuleType, seed: int, pool: str, bits: int, per_channel: bool, rounding: str
) -> None:
    rng = np.random.default_rng(seed)
    chain = random_chain(rng, pool)
    stream = Stream(rng.normal(size=(12, 5)), (0, 6), ("a", "b"))
    network = quantise(chain, stream, weight_bits=bits, per_channel=per_channel)
    expected = float_forward(chain.layers, stream.frames, stream.starts)
    codes = quantise_input(stream, network).frames
    found = reference.evaluate(network, codes, stream.starts, Numerics(48, rounding=rounding))
    error = np.abs(found * 2.0**-15 - expected).max()
    assert error < (0.002 if bits == 16 else 0.03)


@pytest.mark.parametrize("name", ["kws", "kws_dense"])
def test_keyword_spotter_agrees_with_its_float_network(reference: ModuleType, name: str) -> None:
    network, path = load_network(name), find_network(name)
    stream = load_stream("kws", network)
    layers = load_float_network(path, load_topology(path)).layers
    expected = float_forward(layers, stream.frames, stream.starts)
    codes = quantise_input(stream, network)
    found = reference.evaluate(network, codes.frames, codes.starts)
    exponent, frames = tensor(network, "pool").quantum.exponent, layers[-1].frames
    ends = [*(start - 1 for start in stream.starts[1:]), len(stream.frames) - 1]
    real = found[ends] * 2.0**exponent / frames
    # The running sum floors each frame: half a unit of 2**-5 a frame on average.
    real += 2.0 ** (exponent - 1)
    assert np.abs(real - expected[ends]).max() < 0.25
    assert [network.labels[index] for index in found[ends].argmax(axis=1)] == list(stream.labels)
