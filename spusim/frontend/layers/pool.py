"""Pooling over the frames of a file: a state that takes every frame in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spusim.frontend.layers.base import FloatLayer, Job, Observer, files
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape, Size
from spusim.network.records import Quantum, Tensor


@dataclass(frozen=True)
class FloatPool(FloatLayer):
    """Running mean (sum so far over `frames`), max or last over a file's frames."""

    kind: str
    size: int
    frames: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.size, self.size

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return self.kind != "mean"

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum: the largest or last sum is that of the means."""
        return self.keeps

    @property
    def sums(self) -> int | None:
        """Frames that its output is a sum over."""
        return self.frames if self.kind == "mean" else None

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, size) -> the same shape."""
        pool = _POOLS[self.kind]
        return np.concatenate([pool(self, values[file]) for file in files(starts, len(values))])

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add the state and its step: mean: state += x >> shift, saturating; a sum, divided later.

        The last frame is the frame itself.
        """
        if self.kind == "last":
            return x
        y = Tensor(self.name, x.size, output)
        start = -output.largest - 1 if self.kind == "max" else 0
        so_far = job.state(
            Tensor(f"{self.name}.so_far", x.size, output), self.name, self.name, start
        )
        if self.kind == "max":
            return job.combine("max", so_far, x, y, self.name)
        job.divisor *= self.frames
        shift = output.exponent - x.quantum.exponent
        return job.combine("add", so_far, x, y, self.name, sb=shift)


_POOLS: dict[str, Callable[[FloatPool, np.ndarray], np.ndarray]] = {
    "mean": lambda layer, values: np.cumsum(values, axis=0) / layer.frames,
    "max": lambda layer, values: np.maximum.accumulate(values, axis=0),
    "last": lambda layer, values: values,
}


class MeanTimeModel(LayerModel):
    """Running mean over a file's frames."""

    type: Literal["mean_time"]
    frames: Size = Field(description="frames of a file, by which the sum is divided")

    def bind(self, shape: Shape, keys: Keys) -> FloatPool:
        """Return the mean of every element."""
        return FloatPool(self.name, "mean", shape.size, self.frames)


class PickTimeModel(LayerModel):
    """Running maximum, or last value, over a file's frames."""

    type: Literal["max_time", "last_time"]

    def bind(self, shape: Shape, keys: Keys) -> FloatPool:
        """Return the pool of every element."""
        return FloatPool(self.name, self.type.removesuffix("_time"), shape.size, 1)
