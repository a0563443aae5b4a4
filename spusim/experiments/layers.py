"""One random layer of given shape and densities, alone on an architecture."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from spusim.api import random_layer, simulate_layer
from spusim.arch import Arch
from spusim.errors import SpusimError
from spusim.result import RunResult

MOST_VALUES = 1 << 28  # of weights, and of activations: a few GiB while they are drawn


class LayerError(SpusimError):
    """A layer that cannot be drawn."""


@dataclass(frozen=True)
class RandomLinear:
    """A linear layer to be drawn; densities from 0 to 1, bits None for the architecture's own."""

    inputs: int
    outputs: int
    weight_density: float
    activation_density: float
    frames: int = 1
    seed: int = 0
    weight_bits: int | None = None
    activation_bits: int | None = None


def run_linear(layer: RandomLinear, arch: Arch, *, baseline: bool = True) -> RunResult:
    """Draw a layer and its frames (see `spusim.random_layer`), and run it alone.

    Raises LayerError for an impossible shape, density or precision, CompileError for what does
    not fit.
    """
    weight_bits, activation_bits = check_linear(layer, arch)
    shape = (layer.inputs, layer.outputs, layer.weight_density, layer.activation_density)
    weight, frames = _drawn(*shape, layer.frames, layer.seed, weight_bits, activation_bits)
    result = simulate_layer(
        weight, frames, arch, weight_bits, activation_bits, baseline=baseline, name="linear"
    )
    told = (
        f"{layer.inputs} inputs, {layer.outputs} outputs, {weight_bits}-bit weights at density "
        f"{layer.weight_density:g}, {activation_bits}-bit activations at "
        f"{layer.activation_density:g}, seed {layer.seed}"
    )
    return replace(result, details={**result.details, "input": told})


def check_linear(layer: RandomLinear, arch: Arch) -> tuple[int, int]:
    """Return the layer's weight and activation bits on an architecture; raises LayerError."""
    weight_bits = arch.core.layer_weight_bits if layer.weight_bits is None else layer.weight_bits
    activation_bits = (
        arch.core.layer_activation_bits if layer.activation_bits is None else layer.activation_bits
    )
    _check(layer, arch, f"{weight_bits}x{activation_bits}")
    return weight_bits, activation_bits


@lru_cache(maxsize=1)  # a sweep runs one layer on many architectures
def _drawn(*drawing: Any) -> tuple[np.ndarray, np.ndarray]:
    weight, frames = random_layer(*drawing)
    weight.setflags(write=False)
    frames.setflags(write=False)
    return weight, frames


def _check(layer: RandomLinear, arch: Arch, precision: str) -> None:
    for name, least in (("inputs", 1), ("outputs", 1), ("frames", 1), ("seed", 0)):
        value = getattr(layer, name)
        if value < least:
            raise LayerError(f"{name} (={value}) must be at least {least}")
    for name in ("weight_density", "activation_density"):
        value = getattr(layer, name)
        if not 0.0 <= value <= 1.0:  # NaN too
            raise LayerError(f"{name.replace('_', ' ')} (={value:g}) must be from 0 to 1")
    for name, values in (("outputs", layer.outputs), ("frames", layer.frames)):
        if layer.inputs * values > MOST_VALUES:
            raise LayerError(
                f"inputs x {name} (={layer.inputs} x {values}) must be at most {MOST_VALUES} "
                "values; make the layer smaller"
            )
    if precision not in arch.core.precisions:
        raise LayerError(
            f"weight x activation bits (={precision}) must be a precision of {arch.name}: "
            f"{', '.join(arch.core.precisions)}"
        )
