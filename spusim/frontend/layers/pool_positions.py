"""Pooling over positions: the mean or maximum of windows, or the last one."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import positions
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.conv1d import window_count
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape, Size
from spusim.network.records import Quantum, Shift, Tensor

SUM_BITS = 32
SHARE_BITS = 16  # of 1 / kernel


@dataclass(frozen=True)
class FloatPoolPositions(FloatLayer):
    """The mean or maximum of `kernel` positions from each multiple of `stride` on."""

    kind: str
    shape: Shape
    kernel: int
    stride: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.count * self.shape.channels

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return self.kind != "mean"

    @property
    def count(self) -> int:
        """Positions of the output."""
        return window_count(self.shape.positions, self.kernel, self.stride, 1)

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * channels) -> (frames, count * channels)."""
        grid = values.reshape(len(values), self.shape.positions, self.shape.channels)
        taps = np.stack([grid[:, self._seen(tap)] for tap in range(self.kernel)])
        pooled = taps.mean(axis=0) if self.kind == "mean" else taps.max(axis=0)
        return np.asarray(pooled.reshape(len(values), -1))

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add views of each tap, and their maximum or their sum, which is then divided."""
        taps = [
            positions.pick(
                job, f"{self.name}.tap{tap}", self.name, x, self.shape.channels, self._seen(tap)
            )
            for tap in range(self.kernel)
        ]
        kind = "max" if self.kind == "max" else "add"
        quantum = output if kind == "max" else Quantum(SUM_BITS, x.quantum.exponent)
        best = taps[0]
        for number, tap in enumerate(taps[1:], 1):
            so_far = Tensor(f"{self.name}.{kind}{number}", tap.size, quantum)
            best = job.combine(kind, best, tap, so_far, self.name)
        return best if kind == "max" else self._divided(job, best, output)

    def _seen(self, tap: int) -> list[int]:
        return [tap + number * self.stride for number in range(self.count)]

    def _divided(self, job: Job, total: Tensor, output: Quantum) -> Tensor:
        """Divide a sum by the kernel: a shift where that is a power of two, else a product."""
        y = Tensor(self.name, total.size, output)
        shift, rest = math.frexp(self.kernel)[1] - 1, self.kernel & (self.kernel - 1)
        down = output.exponent - total.quantum.exponent
        if not rest:
            job.add(Shift(y.name, self.name, total.name, y, sd=down + shift))
            return y
        share = Quantum(SHARE_BITS, -SHARE_BITS - shift)  # 1 / kernel is 2**14 to 2**15 of these
        codes = np.full(total.size, round(math.ldexp(1.0 / self.kernel, -share.exponent)))
        part = job.constant(f"{self.name}.share", self.name, codes, share)
        return job.combine("mul", total, part, y, self.name, sd=down - share.exponent)


class PoolPositionsModel(LayerModel):
    """The mean or maximum over windows of positions."""

    type: Literal["mean_positions", "max_positions"]
    kernel: Size | None = Field(default=None, description="positions of a window; default: all")
    stride: Size | None = Field(
        default=None, description="positions from one window to the next; default: kernel"
    )

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        kernel, stride = self._window(shape)
        count = window_count(shape.positions, kernel, stride, 1)
        if count < 1:
            raise TopologyError(
                f"pools windows of {kernel} positions, and its input has "
                f"{shape.positions}; take a smaller kernel"
            )
        return Shape(count, shape.channels)

    def bind(self, shape: Shape, keys: Keys) -> FloatPoolPositions:
        """Return the pool of an input."""
        kind = self.type.removesuffix("_positions")
        return FloatPoolPositions(self.name, kind, shape, *self._window(shape))

    def _window(self, shape: Shape) -> tuple[int, int]:
        kernel = self.kernel or shape.positions
        return kernel, self.stride or kernel
