"""One random layer of given shape and densities, alone on an architecture."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from spusim.api import random_codebook, random_layer, retime_layer, simulate_layer_recorded
from spusim.arch import Arch, presets_computing
from spusim.arch.precisions import CODEBOOK
from spusim.errors import SpusimError
from spusim.formats.codes import INDEX_BITS
from spusim.machine import Recording
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
    codebook_bits: int | None = None  # of an entry, where weights are indices of 4 bits


def run_linear(layer: RandomLinear, arch: Arch, *, baseline: bool = True) -> RunResult:
    """Draw a layer and its frames (see `spusim.random_layer`), and run it alone.

    Raises LayerError for an impossible shape, density or precision, CompileError for what does
    not fit.
    """
    return record_linear(layer, arch, baseline=baseline)[0]


def record_linear(
    layer: RandomLinear, arch: Arch, *, baseline: bool = True
) -> tuple[RunResult, Recording]:
    """Return what `run_linear` does, and the recording from which other machines are timed."""
    bits = check_linear(layer, arch)
    weight, frames = _draw(layer, bits)
    result, recording = simulate_layer_recorded(
        weight, frames, arch, *bits, baseline=baseline, name="linear", codebook=_codebook(layer)
    )
    return _told(result, layer, bits), recording


def retime_linear(
    layer: RandomLinear, arch: Arch, recording: Recording, *, baseline: bool = True
) -> RunResult:
    """Return what `run_linear` does, timed from a recording; raises RecordingError as well."""
    bits = check_linear(layer, arch)
    weight, frames = _draw(layer, bits)
    result = retime_layer(
        weight, arch, recording, *bits, frames=frames, baseline=baseline, name="linear",
        codebook=_codebook(layer),
    )  # fmt: skip
    return _told(result, layer, bits)


def _draw(layer: RandomLinear, bits: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    densities = (layer.weight_density, layer.activation_density)
    return _drawn(
        layer.inputs, layer.outputs, *densities, layer.frames, layer.seed, *bits, _codebook(layer)
    )


def _codebook(layer: RandomLinear) -> tuple[int, ...]:
    return random_codebook(layer.codebook_bits, layer.seed) if layer.codebook_bits else ()


def _told(result: RunResult, layer: RandomLinear, bits: tuple[int, int]) -> RunResult:
    what = f"indices of {layer.codebook_bits}-bit weights" if layer.codebook_bits else "weights"
    told = (
        f"{layer.inputs} inputs, {layer.outputs} outputs, {bits[0]}-bit {what} at density "
        f"{layer.weight_density:g}, {bits[1]}-bit activations at "
        f"{layer.activation_density:g}, seed {layer.seed}"
    )
    return replace(result, details={**result.details, "input": told})


def check_linear(layer: RandomLinear, arch: Arch) -> tuple[int, int]:
    """Return the layer's weight and activation bits on an architecture; raises LayerError."""
    weight_bits = arch.core.layer_weight_bits if layer.weight_bits is None else layer.weight_bits
    activation_bits = (
        arch.core.layer_activation_bits if layer.activation_bits is None else layer.activation_bits
    )
    weights = str(weight_bits)
    if layer.codebook_bits is not None:
        weight_bits, weights = _index_bits(layer), f"{CODEBOOK}{layer.codebook_bits}"
    _check(layer, arch, f"{weights}x{activation_bits}")
    if activation_bits == 1 and layer.activation_density < 1.0:
        raise LayerError(
            f"activation density (={layer.activation_density:g}) of binary activations must be 1: "
            "one bit is +1 or -1, never 0"
        )
    return weight_bits, activation_bits


def _index_bits(layer: RandomLinear) -> int:
    if layer.codebook_bits not in (8, 16):
        raise LayerError(f"codebook bits (={layer.codebook_bits}) must be 8 or 16, of an entry")
    if layer.weight_bits not in (None, INDEX_BITS):
        raise LayerError(
            f"weight bits (={layer.weight_bits}) must be {INDEX_BITS} with a codebook, as indices "
            "are; leave them out"
        )
    return INDEX_BITS


@lru_cache(maxsize=1)  # a sweep runs one layer on many architectures
def _drawn(*drawing: Any) -> tuple[np.ndarray, np.ndarray]:
    weight, frames = random_layer(*drawing)
    weight.setflags(write=False)
    frames.setflags(write=False)
    return weight, frames


def _presets(precision: str) -> str:
    presets = presets_computing(precision)
    return f"; {' and '.join(presets)} can" if presets else ""


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
            f"{', '.join(arch.core.precisions)}{_presets(precision)}"
        )
