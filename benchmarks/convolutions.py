"""ResNet-50's convolutions against PyTorch: `python -m benchmarks.convolutions`.

One image of 224 x 224, one core, int8 weights of which 20 % are not zero, 8-bit activations of
which half are not zero; PyTorch computes the same layers densely in float32 in the same run. Every
layer's values are compared with PyTorch's in float64 before anything is timed.
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim.experiments.resnet50 import resnet50_convolutions
from spusim.experiments.smartskip import ENGINE, profile_path
from spusim.formats.layout import Layout
from spusim.frontend.sparsity_profile import read_profile
from spusim.machine.conv_engine import ConvEngine
from spusim.machine.conv_time import plan_pixel, plan_row, run_pixel, run_row
from spusim.machine.conv_values import plan_values, run_values
from spusim.numerics.convolution import Convolution

WEIGHT_DENSITY, ACTIVATION_DENSITY, SEED = 0.2, 0.5, 1
ROUNDS = 9
TARGETS = {"row": 2.0, "pixel": 1.0}
ROW_ENGINE = ConvEngine(pes=64, lanes=8, queue_depth=8, scanner_width=8, entries_per_cycle=8)
LAYOUT = Layout("bitmap", 64, 64, 64, 8)


@dataclass
class Contest:
    """A layer as each contestant runs it, and the seconds that it took."""

    name: str
    shape: Convolution
    runs: dict[str, Callable[[], object]]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Kernel and stride."""
        shape = self.shape
        return f"{shape.kernel_height} x {shape.kernel_width}, stride {shape.stride[0]}"


def load_contest(name: str, shape: Convolution, rng: np.random.Generator) -> Contest:
    """Draw a layer, plan it, and check its values against PyTorch's in float64."""
    weights = rng.integers(-127, 128, shape.weight_shape).astype(np.int8)
    weights[rng.random(weights.shape) >= WEIGHT_DENSITY] = 0
    x = rng.integers(1, 128, (shape.channels, shape.height, shape.width)).astype(np.int16)
    x[rng.random(x.shape) >= ACTIVATION_DENSITY] = 0
    planned = plan_values(shape, weights)
    row, pixel = (
        plan_row(shape, weights, ROW_ENGINE, LAYOUT),
        plan_pixel(shape, weights, ENGINE, LAYOUT),
    )
    settings = {"stride": shape.stride, "padding": shape.padding[:2]}
    floats = torch.tensor(x[None], dtype=torch.float32), torch.tensor(weights, dtype=torch.float32)
    doubles = (part.double() for part in floats)
    wanted = torch.nn.functional.conv2d(*doubles, **settings)[0].numpy()
    assert np.array_equal(run_values(planned, x), wanted.astype(np.int64))

    def dense() -> object:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(*floats, **settings)

    return Contest(
        name,
        shape,
        {
            "torch": dense,
            "values": lambda: run_values(planned, x),
            "row": lambda: run_row(row, x),
            "pixel": lambda: run_pixel(pixel),
        },
    )


def measure_layers(names: list[str] | None = None) -> list[Contest]:
    """Time every layer of a ResNet-50 (or those named), one after the other."""
    profile = read_profile(profile_path("resnet50_pruned_83"))
    shapes = resnet50_convolutions({n: layer.shape for n, layer in profile.layers.items()})
    rng = np.random.default_rng(SEED)
    contests = [load_contest(n, s, rng) for n, s in shapes.items()
                if n != "fc" and (names is None or n in names)]  # fmt: skip
    for contest in contests:
        contest.seconds = interleave(contest.runs, ROUNDS, 2)
    return contests


def ratio(contests: list[Contest], dataflow: str) -> float:
    """Return values and cycles over PyTorch."""
    ours = sum(c.seconds["values"] + c.seconds[dataflow] for c in contests)
    return ours / sum(c.seconds["torch"] for c in contests)


def measure_convolutions() -> list[Row]:
    """Return a row for each dataflow, and one for each kind of layer and dataflow."""
    contests = measure_layers()
    rows = [
        Row(f"ResNet-50's convolutions, values and cycles, {name} / torch",
            ratio(contests, name), "x", "<=", target, _detail(contests, name))
        for name, target in TARGETS.items()
    ]  # fmt: skip
    kinds = dict.fromkeys(contest.kind for contest in contests)
    return rows + [
        Row(f"{kind}, {name} / torch", ratio(part, name), detail=_detail(part, name))
        for kind in kinds
        for part in [[contest for contest in contests if contest.kind == kind]]
        for name in TARGETS
    ]


def _detail(contests: list[Contest], dataflow: str) -> str:
    parts = {
        name: 1e3 * sum(contest.seconds[name] for contest in contests)
        for name in ("torch", "values", dataflow)
    }
    return (
        f"torch {parts['torch']:.1f} ms, values {parts['values']:.1f} ms, "
        f"cycles {parts[dataflow]:.1f} ms"
    )


def main() -> None:
    """Measure and print."""
    table = Table(title="ResNet-50, one image of 224 x 224, one core", title_justify="left")
    for name in ("measurement", "target", "measured", "verdict", "times"):
        table.add_column(name)
    for row in measure_convolutions():
        measured = f"{row.measured:.2f} {row.unit}"
        table.add_row(row.name, row.wanted, measured, row.verdict, row.detail)
    Console().print(table)


if __name__ == "__main__":
    main()
