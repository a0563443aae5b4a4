"""One random convolution of given shape and densities, alone on an architecture."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from spusim.api.identity import array_hash, check_recording, layer_hash, numerics_hash
from spusim.api.random_layers import random_codes
from spusim.api.speedup import dense_arch, unpruned, with_speedup
from spusim.arch import Arch
from spusim.compiler import compile_conv_layer
from spusim.compiler.reuse import outline_conv_layer
from spusim.energy import attach_energy
from spusim.experiments.layers import MOST_VALUES, LayerError
from spusim.formats.codes import TERNARY_BITS
from spusim.machine import Recording
from spusim.machine.conv_bench import (
    record_conv_layer,
    retime_conv_layer,
    unskipped_conv_cycles,
)
from spusim.numerics.convolution import Convolution
from spusim.numerics.errors import NumericsError
from spusim.result import RunResult


@dataclass(frozen=True)
class RandomConv:
    """A convolution to be drawn: kernel x kernel at size x size; densities from 0 to 1.

    padding None: kernel // 2, on all sides; bits None: the architecture's own.
    """

    in_channels: int
    out_channels: int
    kernel: int
    size: int
    weight_density: float
    activation_density: float
    stride: int = 1
    padding: int | None = None
    dilation: int = 1
    groups: int = 1
    frames: int = 1
    seed: int = 0
    weight_bits: int | None = None
    activation_bits: int | None = None

    def shape(self) -> Convolution:
        """Return its sizes; raises LayerError."""
        pads = self.kernel // 2 if self.padding is None else self.padding
        try:
            return Convolution(
                self.in_channels, self.size, self.size, self.out_channels, self.kernel,
                self.kernel, (self.stride, self.stride), (pads,) * 4,
                (self.dilation, self.dilation), self.groups,
            )  # fmt: skip
        except NumericsError as error:
            raise LayerError(str(error)) from error


def run_conv(layer: RandomConv, arch: Arch, *, baseline: bool = True) -> RunResult:
    """Draw a convolution and its frames, and run it alone; outputs are the raw accumulators.

    Exactly round(density x size) nonzeros in the weights and in each frame, positions without
    replacement, values uniform over the nonzero codes, all from default_rng(seed), no bias. Raises
    LayerError for an impossible shape or density, CompileError for what does not fit.
    """
    return record_conv(layer, arch, baseline=baseline)[0]


def record_conv(
    layer: RandomConv, arch: Arch, *, baseline: bool = True
) -> tuple[RunResult, Recording]:
    """Return what `run_conv` does, and the recording from which other machines are timed."""
    shape = layer.shape()
    bits = check_conv(layer, arch, shape)
    weight, frames = _drawn(layer, shape, bits)
    program = compile_conv_layer(weight, shape, *bits, arch)
    result, patterns, order = record_conv_layer(program, arch, frames)
    told = layer_hash(weight, *bits, ()), array_hash(frames), numerics_hash(arch)
    recording = Recording(program.name, *told, (0,), result.outputs, patterns, order)
    return _complete(result, layer, weight, bits, arch, baseline), recording


def retime_conv(
    layer: RandomConv, arch: Arch, recording: Recording, *, baseline: bool = True
) -> RunResult:
    """Return what `run_conv` does, timed from a recording; raises RecordingError as well."""
    shape = layer.shape()
    bits = check_conv(layer, arch, shape)
    weight, _ = _drawn(layer, shape, bits)
    hashed = layer_hash(weight, *bits, ())
    check_recording(recording, "network", recording.network, hashed)
    check_recording(recording, "numerics", recording.numerics, numerics_hash(arch))
    program = outline_conv_layer(weight, shape, *bits, arch, hashed=hashed)
    result = retime_conv_layer(program, arch, recording)
    return _complete(result, layer, weight, bits, arch, baseline)


def _complete(
    result: RunResult, layer: RandomConv, weight: np.ndarray, bits: tuple[int, int], arch: Arch,
    baseline: bool,
) -> RunResult:  # fmt: skip
    """Attach energy, the speedup over the dense twin, and what was drawn."""
    shape, result = layer.shape(), attach_energy(result, arch)
    if baseline:
        dense = dense_arch(arch)
        whole = unpruned(weight, bits[0])
        hashed = layer_hash(whole, *bits, ())
        twin = outline_conv_layer(whole, shape, *bits, dense, check_capacity=False, hashed=hashed)
        result = with_speedup(result, arch, unskipped_conv_cycles(twin, dense, result.frames))
    return replace(result, details={**result.details, "input": _told(layer, shape, bits)})


def check_conv(layer: RandomConv, arch: Arch, shape: Convolution) -> tuple[int, int]:
    """Return the layer's weight and activation bits on an architecture; raises LayerError."""
    core = arch.core
    weight_bits = core.layer_weight_bits if layer.weight_bits is None else layer.weight_bits
    given = layer.activation_bits
    activation_bits = core.layer_activation_bits if given is None else given
    for name, least in (("frames", 1), ("seed", 0)):
        if getattr(layer, name) < least:
            raise LayerError(f"{name} (={getattr(layer, name)}) must be at least {least}")
    for name in ("weight_density", "activation_density"):
        value = getattr(layer, name)
        if not 0.0 <= value <= 1.0:  # NaN too
            raise LayerError(f"{name.replace('_', ' ')} (={value:g}) must be from 0 to 1")
    if activation_bits == 1 and layer.activation_density < 1.0:
        raise LayerError(
            f"activation density (={layer.activation_density:g}) of binary activations must be 1: "
            "one bit is +1 or -1, never 0"
        )
    pixels = shape.channels * shape.height * shape.width
    sizes = (
        ("weights", shape.filters * shape.channels * shape.places),
        ("activations of all frames", pixels * layer.frames),
        ("accumulators", shape.filters * shape.positions),
    )
    for what, size in sizes:
        if size > MOST_VALUES:
            raise LayerError(f"{size} {what} must be at most {MOST_VALUES}; make the layer smaller")
    return weight_bits, activation_bits


def draw_conv(
    layer: RandomConv, shape: Convolution, bits: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw weights (filters, channels of a group, R, S) and frames (frames, C, H, W) int32."""
    rng = np.random.default_rng(layer.seed)
    weight_bits, activation_bits = bits
    size, code_bits = int(np.prod(shape.weight_shape)), 1 if weight_bits == TERNARY_BITS else None
    weight = random_codes(rng, size, layer.weight_density, code_bits or weight_bits)
    pixels = shape.channels * shape.height * shape.width
    frames = [
        random_codes(rng, pixels, layer.activation_density, activation_bits)
        for _ in range(layer.frames)
    ]
    image = (-1, shape.channels, shape.height, shape.width)
    drawn = np.stack(frames) if frames else np.zeros(0, np.int32)
    return weight.reshape(shape.weight_shape), drawn.reshape(image)


@lru_cache(maxsize=1)  # a sweep runs one layer on many architectures; nobody writes to it
def _drawn(
    layer: RandomConv, shape: Convolution, bits: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    return draw_conv(layer, shape, bits)


def _told(layer: RandomConv, shape: Convolution, bits: tuple[int, int]) -> str:
    steps = [(layer.stride, "stride"), (layer.dilation, "dilation"), (layer.groups, "groups")]
    more = "".join(f", {name} {value}" for value, name in steps if value > 1)
    return (
        f"{layer.out_channels} filters of {layer.kernel} x {layer.kernel} over {shape.channels} x "
        f"{shape.height} x {shape.width}{more}, {bits[0]}-bit weights at density "
        f"{layer.weight_density:g}, {bits[1]}-bit activations at {layer.activation_density:g}, "
        f"seed {layer.seed}"
    )
