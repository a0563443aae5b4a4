"""Ranges before activations that cut values off: finer steps, the same clipping, nothing else."""

from typing import Any

import numpy as np
import pytest
from convnet_cases import Drawn, drawn
from integer_reference import evaluate

from spusim.frontend import quantise_input
from spusim.frontend.chain import float_forward
from spusim.frontend.clipping import clipped_ranges
from spusim.frontend.quantise import quantise
from spusim.network import Network, tensor
from spusim.numerics import Numerics

CONV = {"type": "conv2d", "name": "c", "outputs": 4, "kernel": 3, "padding": 1}
NEXT = {"type": "conv2d", "name": "d", "outputs": 2, "kernel": 1}
BOUNDED = {"type": "hardtanh", "min": -2.0, "max": 2.0}


def case(*layers: dict[str, Any]) -> Drawn:
    """Return layers over a small image, the first convolution's weights made large."""
    found = drawn(list(layers), (3, 6, 6), frames=3)
    found.network.layers[0].weight[:] *= 8.0
    return found


def exponents(network: Network, *names: str) -> list[int]:
    """Return the exponents of tensors' quanta."""
    return [tensor(network, name).quantum.exponent for name in names]


@pytest.mark.parametrize("clip", [{"type": "relu6"}, BOUNDED, {"type": "clamp", "max": 3.0}])
def test_a_clip_sets_the_range_of_the_convolution_before_it(clip: dict[str, Any]) -> None:
    found = case(CONV, {"name": "r", **clip}, NEXT)
    seen: dict[str, float] = {}
    float_forward(
        found.network, found.stream.frames, (0,), lambda n, v: seen.update({n: np.abs(v).max()})
    )
    assert seen["c"] > 8 * seen["r"] or clip["type"] == "clamp"
    ranges = clipped_ranges(found.network, seen)
    assert ranges["c"] == seen["r"] and ranges["d"] == seen["d"] and ranges["r"] == seen["r"]
    network = quantise(found.network, found.stream, activation_bits=8, input_bits=8)
    assert not any("clip at" in note for note in network.notes)


@pytest.mark.parametrize("clip", [{"type": "relu6"}, BOUNDED])
def test_clipped_values_are_finer_than_those_of_the_whole_range(
    clip: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = case(CONV, {"name": "r", **clip})
    expected = float_forward(found.network, found.stream.frames, found.stream.starts)
    errors = []
    for how in (clipped_ranges, lambda network, ranges: ranges):
        monkeypatch.setattr("spusim.frontend.quantise.clipped_ranges", how)
        network = quantise(
            found.network, found.stream, activation_bits=8, input_bits=16, weight_bits=16
        )
        codes = quantise_input(found.stream, network)
        outputs = evaluate(network, codes.frames, codes.starts, Numerics(48))
        unit = 2.0 ** tensor(network, network.output).quantum.exponent
        errors.append(np.abs(outputs * unit - expected).max())
    assert errors[0] < errors[1] / 4


def test_a_convolution_that_others_read_keeps_its_range() -> None:
    layers = [CONV, {"type": "relu6", "name": "r"}, {"type": "add", "name": "s",
              "inputs": ["r", "c"]}]  # fmt: skip
    found = case(*layers)
    seen = {"input": 3.0, "c": 90.0, "r": 6.0, "s": 96.0}
    assert clipped_ranges(found.network, seen) == seen


def test_a_convolution_that_leaves_keeps_its_range() -> None:
    found = case(CONV)
    seen = {"input": 3.0, "c": 90.0}
    assert clipped_ranges(found.network, seen) == seen


def test_a_slope_cuts_nothing_off() -> None:
    found = case(CONV, {"type": "leaky_relu", "name": "r"})
    seen = {"input": 3.0, "c": 90.0, "r": 9.0}
    assert clipped_ranges(found.network, seen) == seen
