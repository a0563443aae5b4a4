"""Pruning of activations: small ones become zero, so that a later layer may skip them."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.network.records import Prune, Quantum, Tensor

LARGEST_THRESHOLD = 2**24 - 1  # of the instruction; beyond what 16 bits hold, nothing is left


@dataclass(frozen=True)
class FloatPrune(FloatLayer):
    """y = x where it is large, else 0.

    kind "threshold": |x| >= parameter; "top": the `parameter` largest magnitudes of a frame, of
    equals the first.
    """

    kind: str
    size: int
    parameter: float

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
        magnitudes = np.abs(values)
        if self.kind == "threshold":
            return np.where(magnitudes < self.parameter, 0.0, values)
        order = np.argsort(-magnitudes, axis=1, kind="stable")
        kept = np.zeros(values.shape, bool)
        np.put_along_axis(kept, order[:, : int(self.parameter)], True, axis=1)
        return np.where(kept, values, 0.0)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add one node; a threshold becomes the least integer that reaches it."""
        parameter = int(self.parameter) if self.kind == "top" else self._units(job, x)
        y = Tensor(self.name, x.size, output)
        job.add(Prune(self.name, self.name, self.kind, x.name, parameter, y))
        return y

    def _units(self, job: Job, x: Tensor) -> int:
        """Return the threshold in the input's integers, of which a sum has `divisor` times more."""
        units = self.parameter * job.divisor / 2.0**x.quantum.exponent
        return min(math.ceil(units), LARGEST_THRESHOLD)


class PruneThresholdModel(LayerModel):
    """Small features become zero, which a later layer may skip."""

    takes_images: ClassVar[bool] = True
    takes_flattened: ClassVar[bool] = True
    type: Literal["prune_threshold"]
    threshold: float = Field(ge=0.0, description="magnitude below which a feature becomes zero")

    def bind(self, shape: Shape, keys: Keys) -> FloatPrune:
        """Return the pruning of every element."""
        return FloatPrune(self.name, "threshold", shape.size, self.threshold)


class PruneTopModel(LayerModel):
    """All but the largest features of a frame become zero, which a later layer may skip."""

    takes_images: ClassVar[bool] = True
    takes_flattened: ClassVar[bool] = True
    type: Literal["prune_top"]
    keep: int = Field(ge=0, le=65535, description="features of largest magnitude that stay")

    def bind(self, shape: Shape, keys: Keys) -> FloatPrune:
        """Return the pruning of a frame; raises TopologyError where it has too few elements."""
        if self.keep > shape.size:
            raise TopologyError(
                f"layer {self.name} keeps {self.keep} of {shape.size} features; keep fewer, or "
                "leave it out"
            )
        return FloatPrune(self.name, "top", shape.size, self.keep)
