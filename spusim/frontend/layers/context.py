"""The end of the frame before, in front of a frame: what overlapping windows of a stream need."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spusim.frontend.layers.base import FloatLayer, Job, Observer, files
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape, Size
from spusim.network.records import Quantum, Tensor


@dataclass(frozen=True)
class FloatContext(FloatLayer):
    """The last `kept` positions of the frames before, zeros at first, then the frame."""

    shape: Shape
    kept: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.shape.size + self.kept * self.shape.channels

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return True

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, size) -> (frames, kept * channels + size)."""
        old = self.kept * self.shape.channels
        seen = np.empty((len(values), old + values.shape[1]))
        for file in files(starts, len(values)):
            ring = np.zeros(old)
            for frame in range(file.start, file.stop):
                seen[frame] = np.concatenate([ring, values[frame]])
                ring = seen[frame, values.shape[1] :]
        return seen

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add the ring buffer: both = [old; x], of which the end is kept."""
        name, size = self.name, self.kept * self.shape.channels
        old = job.state(Tensor(f"{name}.old", size, output), f"{name}.end", name)
        both = job.join(name, name, (old, x))
        job.cut(f"{name}.end", name, both, x.size, size)
        return both


class ContextModel(LayerModel):
    """What the frame before ended with, in front of the frame."""

    type: Literal["context"]
    positions: Size = Field(description="positions kept of the frames before")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output."""
        return Shape(shape.positions + self.positions, shape.channels)

    def bind(self, shape: Shape, keys: Keys) -> FloatContext:
        """Return the ring buffer of an input."""
        return FloatContext(self.name, shape, self.positions)
