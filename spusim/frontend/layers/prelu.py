"""Activations with a slope below zero: PReLU and leaky ReLU."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape, Size, WeightedModel
from spusim.frontend.quanta import quantum_for
from spusim.network.records import Quantum, Tensor

SLOPE_BITS = 16


@dataclass(frozen=True)
class FloatPrelu(FloatLayer):
    """y = x above zero and slope * x below: slopes (size,), one for each element."""

    slopes: np.ndarray

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return len(self.slopes), len(self.slopes)

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum: no slope makes anything larger."""
        return bool((np.abs(self.slopes) <= 1.0).all())

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, size) -> the same shape."""
        return np.asarray(np.where(values > 0, values, values * self.slopes))

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add max(x, slope x); with slopes above 1 max(x, 0) + slope min(x, 0)."""
        name, slopes = self.name, quantum_for(float(np.abs(self.slopes).max()), SLOPE_BITS)
        codes = np.rint(np.ldexp(self.slopes, -slopes.exponent))
        slope = job.constant(f"{name}.slope", name, codes, slopes)
        shift = output.exponent - slopes.exponent - x.quantum.exponent
        y = Tensor(name, x.size, output)
        if (self.slopes <= 1.0).all():
            scaled = self._scaled(job, x, slope, output, shift)
            above = job.shift(x, Tensor(f"{name}.moved", x.size, output), name)
            return job.combine("max", above, scaled, y, name)
        zero = job.constant(f"{name}.zero", name, np.zeros(x.size), x.quantum)
        below = job.combine("min", x, zero, Tensor(f"{name}.below", x.size, x.quantum), name)
        above = job.combine("max", x, zero, Tensor(f"{name}.above", x.size, x.quantum), name)
        moved = job.shift(above, Tensor(f"{name}.moved", x.size, output), name)
        scaled = self._scaled(job, below, slope, output, shift)
        return job.combine("add", moved, scaled, y, name)

    def _scaled(self, job: Job, x: Tensor, slope: Tensor, output: Quantum, shift: int) -> Tensor:
        scaled = Tensor(f"{self.name}.scaled", x.size, output)
        return job.combine("mul", x, slope, scaled, self.name, sd=shift)


class PreluModel(WeightedModel):
    """PReLU: key PREFIX.weight, a slope for each channel or one for all."""

    takes_images: ClassVar[bool] = True
    type: Literal["prelu"]
    parameters: Size = Field(default=1, description="slopes: 1, or one for each channel")

    def output(self, shape: Shape) -> Shape:
        """Return the shape; raises TopologyError for slopes that are neither."""
        if self.parameters not in (1, shape.channels):
            raise TopologyError(
                f"has {self.parameters} slopes for {shape.channels} channels; set parameters to 1 "
                f"or {shape.channels}"
            )
        return shape

    def bind(self, shape: Shape, keys: Keys) -> FloatPrelu:
        """Take the slopes."""
        slopes = keys.take(f"{self.dot}weight", self.parameters)
        return FloatPrelu(self.name, np.resize(slopes, shape.size))


class LeakyReluModel(LayerModel):
    """Leaky ReLU: one slope below zero."""

    takes_images: ClassVar[bool] = True
    takes_flattened: ClassVar[bool] = True
    type: Literal["leaky_relu"]
    slope: float = Field(default=0.01, description="slope below zero")

    def bind(self, shape: Shape, keys: Keys) -> FloatPrelu:
        """Return the function over the whole input."""
        return FloatPrelu(self.name, np.full(shape.size, self.slope))
