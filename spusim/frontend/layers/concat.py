"""Concatenation, along the channels of every position or along positions."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatMerge, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import MergeModel, Shape
from spusim.network.records import Quantum, Tensor


@dataclass(frozen=True)
class FloatConcat(FloatMerge):
    """y = the inputs, one after the other at every one of `positions` positions."""

    positions: int

    @property
    def gives(self) -> int:
        """Features out."""
        return sum(self.inputs)

    @property
    def keeps(self) -> bool:
        """Whether its output has the quantum of its inputs."""
        return True

    def forward(
        self, values: tuple[np.ndarray, ...], starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Concatenate frames."""
        shaped = [each.reshape(len(each), self.positions, -1) for each in values]
        return np.concatenate(shaped, axis=2).reshape(len(values[0]), -1)

    def add_nodes(self, job: Job, xs: tuple[Tensor, ...], output: Quantum) -> Tensor:
        """Add a Join, and where there are positions to go through, a Cut of each at each."""
        if self.positions == 1:
            return job.join(self.name, self.name, xs)
        parts = [
            job.cut(f"{self.name}.{place}.{number}", self.name, x, place * width, width)
            for place in range(self.positions)
            for number, x in enumerate(xs)
            for width in (x.size // self.positions,)
        ]
        return job.join(self.name, self.name, parts)


class ConcatModel(MergeModel):
    """Inputs joined along channels (then as many positions each) or positions (channels)."""

    takes_images: ClassVar[bool] = True
    type: Literal["concat"]
    axis: Literal["channels", "positions"] = Field(
        default="channels", description="what is joined; the other must be the same in all inputs"
    )

    def merged(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape of all together; raises TopologyError."""
        positions = {shape.positions for shape in shapes}
        channels = {shape.channels for shape in shapes}
        alike, what = (
            (positions, "positions") if self.axis == "channels" else (channels, "channels")
        )
        if len(alike) > 1:
            raise TopologyError(
                f"concat along {self.axis} takes inputs of as many {what}; correct a size, or "
                f"the axis"
            )
        width = self._width(shapes)
        if self.axis == "channels":
            return Shape(min(positions), sum(shape.channels for shape in shapes), width)
        return Shape(sum(shape.positions for shape in shapes), min(channels), width)

    def _width(self, shapes: tuple[Shape, ...]) -> int | None:
        """Return the width of images, which all must have."""
        widths = {shape.width for shape in shapes}
        if len(widths) > 1:
            raise TopologyError("concat takes images of one width; correct a size")
        return widths.pop()

    def bind_to(self, shapes: tuple[Shape, ...], keys: Keys) -> FloatConcat:
        """Return the layer; it has no tensors."""
        positions = shapes[0].positions if self.axis == "channels" else 1
        return FloatConcat(self.name, tuple(shape.size for shape in shapes), positions)
