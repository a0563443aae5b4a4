"""Layers whose operands get their scale from every frame: near the floats, and beside PyTorch's."""

import warnings

import numpy as np
import pytest
import torch
from compiler_networks import arch_of, golden
from integer_reference import evaluate
from recurrent_layers import LAYERS, module, network, stream, torch_outputs

from spusim import machine
from spusim.compiler import compile_network
from spusim.frontend import quantise_input
from spusim.frontend.bounds import bounds
from spusim.frontend.chain import FloatNetwork, float_forward
from spusim.frontend.layers import FloatLinear
from spusim.frontend.quantise import quantise
from spusim.network import Network, Product, Stream, tensor
from spusim.numerics import Numerics

BOUNDED = sorted(set(LAYERS) - {"rnn_relu"})  # which can grow without end
LANES = "core.precisions={8x8: 2, 8x16: 1, 4x8: 1, 4x16: 1, 16x16: null, 16x8: null}"


def dynamic(floats: FloatNetwork, ranges, bits: int = 8, wide: int = 16, **how) -> Network:
    """Quantise with every scale found at run time."""
    names = frozenset(layer.name for layer in floats.layers if layer.matrices)
    return quantise(floats, ranges, activation_bits=bits, dynamic=names, wide_bits=wide, **how)


def outputs(found: Network, frames: Stream, accumulator_bits: int = 32) -> np.ndarray:
    """Return what the integer reference makes of a stream, as real values."""
    numerics = Numerics(accumulator_bits=accumulator_bits)
    values = evaluate(found, quantise_input(frames, found).frames, frames.starts, numerics)
    return values * 2.0 ** tensor(found, found.output).quantum.exponent


def decibels(exact: np.ndarray, found: np.ndarray) -> float:
    """Return the ratio of signal to quantisation noise."""
    noise = float(((exact - found) ** 2).sum())
    return 10 * float(np.log10((exact**2).sum() / noise)) if noise else np.inf


def torch_dynamic(layer: torch.nn.Module, frames: Stream) -> np.ndarray:
    """Return what PyTorch's dynamically quantised layer makes: int8 weights, uint8 activations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = torch.nn.Sequential(layer).float()
        made = torch.ao.quantization.quantize_dynamic(whole, {type(layer)}, dtype=torch.qint8)
    assert "quantized.dynamic" in type(made[0]).__module__
    parts = np.split(frames.frames.astype(np.float32), frames.starts[1:])
    with torch.no_grad():
        found = [made(torch.tensor(part)[:, None]) for part in parts]
    return np.concatenate([(y[0] if isinstance(y, tuple) else y)[:, 0].numpy() for y in found])


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("bias", [True, False])
def test_recurrent_layers_stay_near_the_floats(kind: str, bias: bool) -> None:
    """int8 operands at their own scales: 30 dB and more; int16 ones: what 16 bits allow."""
    floats = network(kind, module(kind, bias), bias)
    frames = stream(3.0)
    exact = float_forward(floats, frames.frames, frames.starts)
    for bits, least in ((8, 30.0), (16, 45.0)):
        found = dynamic(floats, frames, bits, weight_bits=8 if bits == 8 else 16)
        products = [node for node in found.nodes if isinstance(node, Product)]
        assert len(products) == 2 + (kind == "lstm_projected")
        assert all(node.normalised_bits == bits for node in products)
        assert decibels(exact, outputs(found, frames, 32 if bits == 8 else 48)) > least


@pytest.mark.parametrize("kind", BOUNDED)
def test_no_calibration_is_needed(kind: str) -> None:
    """Ranges that follow from the weights serve streams of any loudness within the frame's."""
    floats = network(kind, module(kind))
    found = dynamic(floats, bounds(floats, 4.0), wide=32)
    for absmax in (4.0, 0.4, 0.04):
        frames = stream(absmax)
        exact = float_forward(floats, frames.frames, frames.starts)
        assert decibels(exact, outputs(found, frames)) > 30.0


@pytest.mark.parametrize("kind", BOUNDED)
def test_bounds_hold(kind: str) -> None:
    """No tensor of any stream within the frame's range leaves its bound, but cells, which clip."""
    floats = network(kind, module(kind))
    peaks = bounds(floats, 3.0)
    seen = {}
    for seed in range(3):
        frames = np.sign(np.random.default_rng(seed).normal(size=(60, 6))) * 3.0
        float_forward(floats, frames, (0,), lambda name, v: seen.setdefault(name, []).append(v))
    assert seen.keys() == peaks.keys()
    for name, found in seen.items():
        assert np.abs(np.concatenate(found)).max(axis=0).shape == peaks[name].shape
        assert (np.abs(np.concatenate(found)) <= peaks[name] + 1e-9).all(), name


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_as_good_as_pytorch(kind: str) -> None:
    """Power-of-two scales cost a bit at most, 6 dB, against PyTorch's dynamic quantisation."""
    layer = module(kind)
    floats, frames = network(kind, layer), stream(3.0)
    exact = torch_outputs(layer, frames.frames, frames.starts)
    theirs = decibels(exact, torch_dynamic(layer, frames))
    assert 20 < theirs < 60  # it is quantised
    assert decibels(exact, outputs(dynamic(floats, frames), frames)) > theirs - 6


@pytest.mark.parametrize("per_channel", [True, False])
def test_linear_is_within_its_roundings(per_channel: bool) -> None:
    """Frame by frame: half a unit of the frame's own scale a column, and half a weight's."""
    rng = np.random.default_rng(3)
    layer = FloatLinear("fc", rng.normal(size=(9, 30)), rng.normal(size=9))
    loudness = 10.0 ** rng.uniform(-2, 0, 40)
    values = rng.uniform(-1, 1, (40, 30)) * loudness[:, None]
    frames = Stream(values, (0,), ("a",))
    floats = FloatNetwork("net", (layer,), 30)
    found = dynamic(floats, frames, per_channel=per_channel)
    exact = float_forward(floats, values, (0,))
    largest = np.abs(values).max(axis=1)
    unit = 2.0 ** np.ceil(np.log2(largest / 127))  # of a frame's integers, at most twice
    scales = np.abs(layer.weight).max(axis=1 if per_channel else None) / 127
    rounded = (unit / 2 + 2.0**-16)[:, None] * np.abs(layer.weight).sum(axis=1)
    coded = scales / 2 * (np.abs(values).sum(axis=1) + 30 * unit)[:, None]
    step = 2.0 ** tensor(found, "fc").quantum.exponent
    assert (np.abs(exact - outputs(found, frames)) <= rounded + coded + step).all()


@pytest.mark.parametrize("kind", LAYERS)
def test_machine_and_golden_compute_the_network(kind: str) -> None:
    """On one core and on two, where each finds the scale of what both made."""
    frames = stream(2.0, frames=8)
    found = dynamic(network(kind, module(kind)), frames)
    integers = quantise_input(frames, found)
    expected = evaluate(found, integers.frames, integers.starts)
    for cores in (1, 2):
        arch = arch_of(f"cores={cores}", LANES, "core.data_memory.words=4096")
        program = compile_network(found, arch)
        run = machine.run(program, arch, integers.frames, integers.starts)
        np.testing.assert_array_equal(run.outputs, expected)
        held = golden(program, integers.frames, integers.starts)
        np.testing.assert_array_equal(held.outputs, expected)
