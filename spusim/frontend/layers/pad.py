"""Padding: zeros or reflected positions, before and after those of a frame."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import positions
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.network.records import Quantum, Tensor

Pad = Field(default=0, ge=0, le=1_048_576)
Mode = Literal["zeros", "reflect"]


@dataclass(frozen=True)
class FloatPad(FloatLayer):
    """Positions of zeros, or those near an edge in reverse order (without the edge itself)."""

    shape: Shape
    left: int
    right: int
    mode: str

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        shape = self.shape
        return shape.size, (shape.positions + self.left + self.right) * shape.channels

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return True

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * channels) -> the same with more positions."""
        grid = values.reshape(len(values), self.shape.positions, self.shape.channels)
        return positions.pad(grid, self.left, self.right, self.mode).reshape(len(values), -1)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add a view of zeros and of x; the reflection of few channels is a product with ones."""
        picks = positions.padded(self.shape.positions, self.left, self.right, self.mode)
        return positions.pick(job, self.name, self.name, x, self.shape.channels, picks)


def check_pad(shape: Shape, pads: tuple[int, int], mode: str) -> None:
    """Raise TopologyError for a reflection of more positions than there are beside the edge."""
    if mode == "reflect" and max(pads) >= shape.positions:
        raise TopologyError(
            f"reflects {max(pads)} of {shape.positions} positions, and can reflect "
            f"{shape.positions - 1} at most (the edge itself is left out); pad less, pad zeros, or "
            "say with a reshape layer how the frame falls into positions"
        )


class PadModel(LayerModel):
    """More positions in front of a frame's and behind them."""

    type: Literal["pad"]
    left: int = Pad
    right: int = Pad
    mode: Mode = Field(default="zeros", description="what the new positions hold")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        check_pad(shape, (self.left, self.right), self.mode)
        return Shape(shape.positions + self.left + self.right, shape.channels)

    def bind(self, shape: Shape, keys: Keys) -> FloatPad:
        """Return the padding of an input."""
        return FloatPad(self.name, shape, self.left, self.right, self.mode)
