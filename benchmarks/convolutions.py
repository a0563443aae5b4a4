"""ResNet-50's convolutions against PyTorch: `python -m benchmarks.convolutions`.

One core; layers and operands are those of `benchmarks.resnet_layers`, machines the presets
themselves. PyTorch computes the same layers densely in float32 in the same run. Every layer's
values are compared with PyTorch's in float64 before anything is timed.
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.convolution_retiming import measure_layer_retiming
from benchmarks.resnet_layers import PRESETS, Layer, draw_layers
from benchmarks.rows import Row
from benchmarks.stopwatch import interleave

ROUNDS = 9
TARGETS = {"row": 1.0, "pixel": 0.6}
STRETCH = {"row": 0.8, "pixel": 0.45}
MEMORY_TARGET_MB = 350.0


@dataclass
class Contest:
    """A layer as each contestant runs it, and the seconds that it took."""

    layer: Layer
    runs: dict[str, Callable[[], object]]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Kernel and stride."""
        shape = self.layer.shape
        return f"{shape.kernel_height} x {shape.kernel_width}, stride {shape.stride[0]}"


def load_contest(layer: Layer) -> Contest:
    """Check a layer's values against PyTorch's in float64."""
    shape = layer.shape
    settings = {"stride": shape.stride, "padding": shape.padding[:2]}
    operands = torch.tensor(layer.x[None]), torch.tensor(layer.weights)
    doubles, floats = [part.double() for part in operands], [part.float() for part in operands]
    wanted = torch.nn.functional.conv2d(*doubles, **settings)[0].numpy()
    assert np.array_equal(layer.values(), wanted.astype(np.int64)), layer.name

    def dense() -> object:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(*floats, **settings)

    return Contest(layer, {"torch": dense, "values": layer.values, **layer.times})


def measure_layers(names: list[str] | None = None, rounds: int = ROUNDS) -> list[Contest]:
    """Time every layer of a ResNet-50 (or those named), one after the other."""
    contests = [load_contest(layer) for layer in draw_layers(names)]
    for contest in contests:
        contest.seconds = interleave(contest.runs, rounds, 2)
    return contests


def ratio(contests: list[Contest], dataflow: str) -> float:
    """Return values and cycles over PyTorch."""
    ours = sum(c.seconds["values"] + c.seconds[dataflow] for c in contests)
    return ours / sum(c.seconds["torch"] for c in contests)


def convolution_rows(contests: list[Contest]) -> list[Row]:
    """Return a row for each dataflow, and one for each kind of layer and dataflow."""
    rows = [
        Row(f"ResNet-50, 224 x 224, {PRESETS[name]}, values and cycles / torch",
            ratio(contests, name), "x", "<=", target,
            f"{_detail(contests, name)}; stretch {STRETCH[name]:g}")
        for name, target in TARGETS.items()
    ]  # fmt: skip
    kinds = dict.fromkeys(contest.kind for contest in contests)
    return rows + [
        Row(f"{kind}, {PRESETS[name]} / torch", ratio(part, name), detail=_detail(part, name))
        for kind in kinds
        for part in [[contest for contest in contests if contest.kind == kind]]
        for name in TARGETS
    ]


def measure_memory() -> Row:
    """Return the peak memory of a process of its own, which runs all layers without torch."""
    command = [sys.executable, "-m", "benchmarks.resnet_layers"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    return Row("ResNet-50, both presets, peak memory without torch", float(told.stdout), "MB",
               "<=", MEMORY_TARGET_MB)  # fmt: skip


def measure_convolutions() -> list[Row]:
    """Return all rows: time, by kind of layer too, memory, and timing again."""
    return [*convolution_rows(measure_layers()), measure_memory(), *measure_layer_retiming()]


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
