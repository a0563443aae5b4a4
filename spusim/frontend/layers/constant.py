"""A vector that never changes, joined to a frame's channels, added to them or multiplied."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.affine import FloatAffine
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, WeightedModel
from spusim.network.records import Quantum, Tensor


@dataclass(frozen=True)
class FloatAppended(FloatLayer):
    """y = [x; vector] at every position: vector (n,) float64."""

    shape: Shape
    vector: np.ndarray

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.shape.size + self.shape.positions * len(self.vector)

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return True

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * channels) -> with more channels."""
        grid = values.reshape(len(values), self.shape.positions, -1)
        known = np.broadcast_to(self.vector, (*grid.shape[:2], len(self.vector)))
        return np.concatenate([grid, known], axis=2).reshape(len(values), -1)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add a constant for every position, and the join of all."""
        name, channels = self.name, self.shape.channels
        codes = np.rint(np.ldexp(self.vector, -output.exponent))
        codes = np.clip(codes, -output.largest - 1, output.largest)
        parts: list[Tensor] = []
        for place in range(self.shape.positions):
            whole = self.shape.positions == 1
            cut = f"{name}.{place}"
            parts.append(x if whole else job.cut(cut, name, x, place * channels, channels))
            parts.append(job.constant(f"{name}.vector{place}", name, codes, output))
        return job.join(name, name, parts)


class ConstantModel(WeightedModel):
    """A vector of the checkpoint, such as a speaker's embedding, the same in every frame."""

    type: Literal["constant"]
    key: str = Field(default="weight", description="what follows PREFIX. in the vector's key")
    rows: Size | None = Field(
        default=None, description="of an embedding table (rows, size); default: a vector (size,)"
    )
    row: int = Field(default=0, ge=0, description="row of the table")
    size: Size | None = Field(
        default=None, description="elements of the vector (how: join); else the channels"
    )
    how: Literal["join", "add", "multiply"] = Field(
        default="join", description="behind the channels of each position, or element by element"
    )

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        if self.rows is not None and self.row >= self.rows:
            raise TopologyError(f"has no row {self.row} of {self.rows}; rows count from 0")
        if self.how != "join":
            if self.size not in (None, shape.channels):
                raise TopologyError(
                    f"meets {shape.channels} channels with {self.size} elements; drop size, or "
                    "join it"
                )
            return shape
        if self.size is None:
            raise TopologyError("joins a vector of unknown size; add size")
        return Shape(shape.positions, shape.channels + self.size)

    def bind(self, shape: Shape, keys: Keys) -> FloatLayer:
        """Take the vector."""
        size = self.size or shape.channels
        key = f"{self.dot}{self.key}"
        if self.rows is None:
            vector = keys.take(key, size)
        else:
            vector = keys.take(key, self.rows, size)[self.row]
        if self.how == "join":
            return FloatAppended(self.name, shape, vector)
        tiled = np.tile(vector, shape.positions)
        if self.how == "add":
            return FloatAffine(self.name, np.ones(shape.size), tiled)
        return FloatAffine(self.name, tiled, np.zeros(shape.size))
