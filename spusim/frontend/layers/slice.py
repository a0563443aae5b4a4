"""A slice of a tensor's channels or positions."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape, Size
from spusim.network.records import Quantum, Tensor


@dataclass(frozen=True)
class FloatSlice(FloatLayer):
    """y = elements first to first + size - 1 of every one of `positions` positions."""

    shape: Shape
    first: int
    size: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.shape.positions * self.size

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return True

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum: its part is one too."""
        return True

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Slice frames."""
        shaped = values.reshape(len(values), self.shape.positions, self.shape.channels)
        return shaped[:, :, self.first : self.first + self.size].reshape(len(values), -1)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add a Cut; where there are positions to go through, one at each and a Join."""
        if self.shape.positions == 1:
            return job.cut(self.name, self.name, x, self.first, self.size)
        firsts = range(self.first, x.size, self.shape.channels)
        parts = [
            job.cut(f"{self.name}.{place}", self.name, x, first, self.size)
            for place, first in enumerate(firsts)
        ]
        return job.join(self.name, self.name, parts)


class SliceModel(LayerModel):
    """`size` consecutive channels of every position, or positions, from `first` on."""

    takes_images: ClassVar[bool] = True
    type: Literal["slice"]
    first: int = Field(default=0, ge=0, description="first channel or position, from 0")
    size: Size = Field(description="how many of them")
    axis: Literal["channels", "positions"] = Field(default="channels", description="what is sliced")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the slice; raises TopologyError where it goes beyond its input."""
        there = shape.channels if self.axis == "channels" else shape.positions
        if self.first + self.size > there:
            raise TopologyError(
                f"slice of {self.axis} {self.first} to {self.first + self.size - 1} goes beyond "
                f"the {there} that its input has; correct first or size"
            )
        if self.axis == "channels":
            return Shape(shape.positions, self.size, shape.width)
        return Shape(self.size, shape.channels)

    def bind(self, shape: Shape, keys: Keys) -> FloatSlice:
        """Return the slice; positions lie one after the other, so that a run of them is one."""
        if self.axis == "channels":
            return FloatSlice(self.name, shape, self.first, self.size)
        whole = Shape(1, shape.size)
        first, size = self.first * shape.channels, self.size * shape.channels
        return FloatSlice(self.name, whole, first, size)
