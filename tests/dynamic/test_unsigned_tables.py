"""Unsigned codes beyond relu: sigmoids of products (A10, A11), and what stays symmetric and why."""

import numpy as np
import pytest
from integer_reference import TableSettings, evaluate

from spusim import golden, machine
from spusim.arch import load_arch
from spusim.compiler import compile_network
from spusim.frontend import quantise_input
from spusim.frontend.chain import FloatActivation, FloatLinear, FloatNetwork, float_forward
from spusim.frontend.layers.clamp import FloatClamp
from spusim.frontend.quantise import quantise
from spusim.frontend.zero_points import asymmetric_activations
from spusim.network import Network, Product, Quantum, Stream, check_network, tensor
from spusim.numerics.modes import numerics_of

LANES = "core.precisions={8x4: 1, 8x8: 1, 8x16: 1, 16x16: null}"


def linear(name: str, inputs: int, outputs: int) -> FloatLinear:
    """Return a random layer."""
    rng = np.random.default_rng(list(name.encode()))
    return FloatLinear(name, rng.normal(size=(outputs, inputs)) / 2, rng.normal(size=outputs))


def networks(function, bits: int = 8) -> tuple[Network, Network, FloatNetwork, Stream]:
    """Return a chain with a function between two linear layers: symmetric, asymmetric, floats."""
    layers = (linear("fc1", 12, 20), function, linear("fc2", 20, 6))
    floats = FloatNetwork("net", layers, 12)
    values = np.random.default_rng(5).normal(size=(30, 12))
    stream = Stream(values, (0,), ("a",))
    symmetric = quantise(floats, stream, activation_bits=bits)
    check_network(symmetric)
    found = asymmetric_activations(symmetric, bits)
    check_network(found)
    return symmetric, found, floats, stream


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("function", ["sigmoid", "hardsigmoid"])
def test_sigmoids_take_all_codes(function: str, bits: int) -> None:
    """From 0 to 1 in 2**bits steps, read by lanes of so many bits, near the floats."""
    _, found, floats, stream = networks(FloatActivation("s", function, 20), bits)
    assert tensor(found, "s").quantum == Quantum(bits, -bits, -(2 ** (bits - 1)))
    assert f"s: unsigned codes of {bits} bits, zero point {-(2 ** (bits - 1))}" in found.notes
    assert [type(node) for node in found.nodes] == [Product, Product]
    frames = quantise_input(stream, found).frames
    codes = evaluate(found, frames, (0,))
    exact = float_forward(floats, stream.frames, (0,))
    real = codes * 2.0 ** tensor(found, "fc2").quantum.exponent
    step = 2.0**-bits  # half of it by rounding, as much again by the table's entries
    reach = np.abs(floats.layers[2].weight).sum(axis=1) * step
    last = 2.0 ** tensor(found, "fc2").quantum.exponent
    coded = np.abs(floats.layers[2].weight).max() / 127 * 20
    assert (np.abs(real - exact) <= reach + last + coded).all()


@pytest.mark.parametrize("overflow", ["saturate", "wrap", "nullify"])
@pytest.mark.parametrize("bits", [4, 8])
def test_golden_machine_and_reference_agree(bits: int, overflow: str) -> None:
    """The largest sigmoid is the largest code in every mode: entries end there."""
    _, found, _, stream = networks(FloatActivation("s", "sigmoid", 20), bits)
    loud = Stream(stream.frames * 4, (0,), ("a",))
    settings = [LANES, f"numerics.requantize_overflow={overflow}", "core.data_memory.words=4096"]
    arch = load_arch("tiny", settings)
    frames = quantise_input(loud, found).frames
    n = arch.numerics
    tables = TableSettings(n.table_address_bits, n.table_interpolate)
    expected = evaluate(found, frames, (0,), numerics_of(n), tables)
    program = compile_network(found, arch)
    np.testing.assert_array_equal(golden.run(program, frames, (0,)).outputs, expected)
    np.testing.assert_array_equal(machine.run(program, arch, frames, (0,)).outputs, expected)


def test_what_stays_symmetric_says_why() -> None:
    """Sixteen bits of sigmoid, a clip by constants, scales found at run time, other readers."""
    _, found, _, _ = networks(FloatActivation("s", "sigmoid", 20), 16)
    assert tensor(found, "s").quantum.zero_point == 0
    assert any(note.startswith("s: stays symmetric: no product makes it") for note in found.notes)
    _, found, _, _ = networks(FloatClamp("c", 20, 0.0, 0.5))
    (note,) = [note for note in found.notes if "symmetric" in note]
    assert note.split(": ")[1:] == [
        "stays symmetric",
        "no product makes it, and only products add zero points (relu and sigmoid right after one)",
    ]
    layers = (linear("fc1", 12, 20), FloatActivation("r", "relu", 20), linear("fc2", 20, 6))
    stream = Stream(np.random.default_rng(5).normal(size=(30, 12)), (0,), ("a",))
    dynamic = quantise(
        FloatNetwork("net", layers, 12), stream, activation_bits=8, dynamic=frozenset({"fc2"})
    )
    (note,) = [each for each in asymmetric_activations(dynamic, 8).notes if "symmetric" in each]
    assert note == (
        "r: stays symmetric: its readers find its scale at run time; quantise.scales=static has "
        "zero points"
    )
