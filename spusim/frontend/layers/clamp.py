"""Activations that cut values off: relu6, hardtanh and clamp."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.network.records import Quantum, Shift, Tensor

FIXED = {"relu6": (0.0, 6.0)}


@dataclass(frozen=True)
class FloatClamp(FloatLayer):
    """y = min(max(x, low), high); None: no limit."""

    size: int
    low: float | None
    high: float | None

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
        """Evaluate frames (frames, size) -> the same shape."""
        return np.asarray(np.clip(values, self.low, self.high))

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add a relu for a lower limit of zero, a minimum and a maximum with constants else.

        A limit beyond what the quantum holds is left out: values saturate there.
        """
        scale = 2.0**output.exponent
        low, high = (None if v is None else round(v / scale) for v in (self.low, self.high))
        if low == 0:
            y = Tensor(f"{self.name}.relu", x.size, output)
            job.add(Shift(y.name, self.name, x.name, y, relu=True))
            x = y
        elif low is not None and low > -output.largest - 1:
            x = self._limited(job, x, "max", low)
        if high is not None and high < output.largest:
            x = self._limited(job, x, "min", high)
        return x

    def _limited(self, job: Job, x: Tensor, kind: str, limit: int) -> Tensor:
        name, quantum = self.name, x.quantum
        limits = np.full(x.size, np.clip(limit, -quantum.largest - 1, quantum.largest))
        bound = job.constant(f"{name}.{kind}_limit", name, limits, quantum)
        return job.combine(kind, x, bound, Tensor(f"{name}.{kind}", x.size, quantum), name)


class ClampModel(LayerModel):
    """Values cut off below and above: relu6 0 to 6, hardtanh and clamp as they say."""

    takes_images: ClassVar[bool] = True
    takes_flattened: ClassVar[bool] = True
    type: Literal["relu6", "hardtanh", "clamp"]
    min: float | None = Field(default=None, description="lower limit; hardtanh: default -1")
    max: float | None = Field(default=None, description="upper limit; hardtanh: default 1")

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Lower and upper limit."""
        if self.type in FIXED:
            return FIXED[self.type]
        if self.type == "hardtanh":
            return (-1.0 if self.min is None else self.min, 1.0 if self.max is None else self.max)
        return self.min, self.max

    def output(self, shape: Shape) -> Shape:
        """Return the shape; raises TopologyError for limits that are none."""
        if self.type in FIXED and (self.min, self.max) != (None, None):
            raise TopologyError(f"{self.type} sets min and max itself; drop them, or use clamp")
        low, high = self.limits
        if low is None and high is None:
            raise TopologyError("clamp has neither min nor max; give it one of them, or both")
        if low is not None and high is not None and low >= high:
            raise TopologyError(f"min (={low}) must be below max (={high}); change one of them")
        return shape

    def bind(self, shape: Shape, keys: Keys) -> FloatClamp:
        """Return the function over the whole input."""
        return FloatClamp(self.name, shape.size, *self.limits)
