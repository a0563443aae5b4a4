"""Unsigned codes after relu, and weights with zero points."""

import numpy as np
import pytest

from spusim.arch import load_arch
from spusim.compiler import compile_network
from spusim.frontend.chain import FloatActivation, FloatLinear, FloatNetwork, float_forward
from spusim.frontend.quantise import quantise
from spusim.frontend.streams import quantise_input
from spusim.frontend.zero_points import asymmetric_activations
from spusim.machine import run
from spusim.network import Network, Product, Quantum, Shift, Stream, check_network, tensor

FRAMES = 40


def network_of(layers: tuple, bits: int = 8) -> tuple[Network, FloatNetwork, Stream]:
    """Quantise a chain on the stream that it then runs on."""
    values = np.random.default_rng(5).normal(size=(FRAMES, layers[0].sizes[0]))
    stream = Stream(values, (0,), ("a",))
    floats = FloatNetwork("net", layers, layers[0].sizes[0])
    return quantise(floats, stream, weight_bits=16, activation_bits=bits), floats, stream


def linear(name: str, inputs: int, outputs: int) -> FloatLinear:
    """Return a random layer."""
    rng = np.random.default_rng(list(name.encode()))
    return FloatLinear(name, rng.normal(size=(outputs, inputs)), rng.normal(size=outputs))


LAYERS = (
    linear("fc1", 12, 30), FloatActivation("relu1", "relu", 30),
    linear("fc2", 30, 20), FloatActivation("relu2", "relu", 20), linear("fc3", 20, 6),
)  # fmt: skip


def outputs(network: Network, stream: Stream) -> np.ndarray:
    """Run a network on the machine; return real values."""
    arch = load_arch("spu001", ["core.precisions={16x8: 1, 16x16: 1}"])
    frames = quantise_input(stream, network).frames
    codes = run(compile_network(network, arch), arch, frames).outputs
    return np.ldexp(codes.astype(float), tensor(network, network.output).quantum.exponent)


@pytest.mark.parametrize("bits", [8, 16])
def test_outputs_of_relu_take_unsigned_codes(bits: int) -> None:
    symmetric, _, _ = network_of(LAYERS, bits)
    found = asymmetric_activations(symmetric)
    check_network(found)
    lowest = -(2 ** (bits - 1))
    for name in ("relu1", "relu2"):
        before, after = tensor(symmetric, name).quantum, tensor(found, name).quantum
        assert after == Quantum(bits, before.exponent - 1, lowest)
        assert f"{name}: unsigned codes, zero point {lowest}" in found.notes
    assert not any(isinstance(node, Shift) for node in found.nodes)
    assert tensor(found, "fc3").quantum == tensor(symmetric, "fc3").quantum


def test_unsigned_codes_are_nearer_to_the_floats() -> None:
    symmetric, floats, stream = network_of(LAYERS)
    exact = float_forward(floats.layers, stream.frames, stream.starts)
    errors = [
        float(np.sqrt(((outputs(each, stream) - exact) ** 2).mean()))
        for each in (symmetric, asymmetric_activations(symmetric))
    ]
    assert errors[1] < 0.9 * errors[0]


def test_zeros_after_relu_are_skipped_as_before() -> None:
    symmetric, _, stream = network_of(LAYERS)
    arch = load_arch("spu001", ["core.precisions={16x8: 1, 16x16: 1}"])
    pushes = []
    for network in (symmetric, asymmetric_activations(symmetric)):
        frames = quantise_input(stream, network).frames
        pushes.append(run(compile_network(network, arch), arch, frames).counts["queue.push"])
    dense = arch.cores * arch.core.pes * FRAMES * (12 + 30 + 20)
    # Finer steps tell a few more numbers from zero.
    assert pushes[0] <= pushes[1] < 0.8 * dense


def test_what_others_read_stays_symmetric() -> None:
    # The last relu leaves the network; one before a table has its fixed quantum.
    ending = (linear("fc1", 12, 30), FloatActivation("relu1", "relu", 30))
    network, _, _ = network_of(ending)
    found = asymmetric_activations(network)
    check_network(found)
    assert tensor(found, found.output).quantum.zero_point == 0
    tabled = (*ending, FloatActivation("sigmoid1", "sigmoid", 30), linear("fc2", 30, 3))
    network, _, _ = network_of(tabled, 16)
    found = asymmetric_activations(network)
    check_network(found)
    assert not any(
        head.output.quantum.zero_point
        for node in found.nodes
        if isinstance(node, Product)
        for head in node.heads
    )
