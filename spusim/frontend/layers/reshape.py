"""Another view of the same elements: how a frame falls into positions and channels."""

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
class FloatReshape(FloatLayer):
    """The input as it is."""

    size: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.size, self.size

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return True

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, size) -> the same."""
        return values

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add nothing."""
        return x


class ReshapeModel(LayerModel):
    """Positions of `channels` elements each, as they lie: 1 for samples of one signal."""

    takes_images: ClassVar[bool] = True
    type: Literal["reshape"]
    channels: Size = Field(default=1, description="elements of a position")
    width: Size | None = Field(default=None, description="positions of a row, of an image")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        if shape.size % self.channels:
            raise TopologyError(
                f"makes positions of {self.channels} channels of {shape.size} "
                "elements, which is no whole number of them; take a divisor"
            )
        positions = shape.size // self.channels
        if self.width is not None and positions % self.width:
            raise TopologyError(
                f"makes rows of {self.width} of {positions} positions, which is no whole number of "
                "them; take a divisor"
            )
        return Shape(positions, self.channels, self.width)

    def bind(self, shape: Shape, keys: Keys) -> FloatReshape:
        """Return the view."""
        return FloatReshape(self.name, shape.size)
