"""ResNet-50's convolutions on the presets, without PyTorch: values and exact cycles.

One image of 224 x 224, int8 weights of which 20 % are not zero, 8-bit activations of which half are
not zero. `python -m benchmarks.resnet_layers` runs all of them on both presets and prints the
process's peak memory in MB.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.machine import peak_bytes
from spusim.arch import Arch, load_arch
from spusim.compiler.storage import layout_for
from spusim.experiments.resnet50 import resnet50_convolutions
from spusim.experiments.smartskip import profile_path
from spusim.frontend.sparsity_profile import read_profile
from spusim.machine.conv_engine import TileTime
from spusim.machine.conv_plan import engine_for
from spusim.machine.conv_time import plan_pixel, plan_row, run_pixel, run_row
from spusim.machine.conv_values import plan_values, run_values
from spusim.numerics.convolution import Convolution

WEIGHT_DENSITY, ACTIVATION_DENSITY, SEED, BITS = 0.2, 0.5, 1, 8
PRESETS = {"row": "row64", "pixel": "smartskip"}  # by dataflow
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A layer with its operands, planned: `values` and, by dataflow, `times` run it."""

    name: str
    shape: Convolution
    weights: np.ndarray  # (filters, channels, R, S) int8
    x: np.ndarray  # (channels, height, width) int16
    values: Callable[[], np.ndarray]
    times: dict[str, Callable[[], TileTime]]


def layer_shapes(names: list[str] | None = None) -> dict[str, Convolution]:
    """Return the shapes of all convolutions, or of those named."""
    profile = read_profile(profile_path("resnet50_pruned_83"))
    shapes = resnet50_convolutions({n: layer.shape for n, layer in profile.layers.items()})
    return {n: s for n, s in shapes.items() if n != "fc" and (names is None or n in names)}


def draw_operands(shape: Convolution, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw weights int8 and activations int16 at the benchmark's densities."""
    weights = rng.integers(-127, 128, shape.weight_shape).astype(np.int8)
    weights[rng.random(weights.shape) >= WEIGHT_DENSITY] = 0
    x = rng.integers(1, 128, (shape.channels, shape.height, shape.width)).astype(np.int16)
    x[rng.random(x.shape) >= ACTIVATION_DENSITY] = 0
    return weights, x


def draw_layers(names: list[str] | None = None) -> Iterator[Layer]:
    """Yield all layers, or those named, drawn and planned on both presets."""
    archs = {dataflow: load_arch(preset) for dataflow, preset in PRESETS.items()}
    rng = np.random.default_rng(SEED)
    for name, shape in layer_shapes(names).items():
        yield _planned(name, shape, archs, *draw_operands(shape, rng))


def _planned(
    name: str, shape: Convolution, archs: dict[str, Arch], weights: np.ndarray, x: np.ndarray
) -> Layer:
    values = plan_values(shape, weights)
    engines = {flow: engine_for(arch, f"{BITS}x{BITS}", BITS, False)
               for flow, arch in archs.items()}  # fmt: skip
    layouts = {flow: layout_for(arch, arch.core.sparse.format, BITS, False)
               for flow, arch in archs.items()}  # fmt: skip
    row = plan_row(shape, weights, engines["row"], layouts["row"])
    pixel = plan_pixel(shape, weights, engines["pixel"], layouts["pixel"])
    times = {"row": lambda: run_row(row, x), "pixel": lambda: run_pixel(pixel)}
    return Layer(name, shape, weights, x, lambda: run_values(values, x), times)


def main() -> None:
    """Run every layer on both presets, all plans kept as a network's are; print the peak."""
    layers = list(draw_layers())
    for layer in layers:
        layer.values()
        for run in layer.times.values():
            run()
    print(f"{peak_bytes() / MEGABYTE:.0f}")


if __name__ == "__main__":
    main()
