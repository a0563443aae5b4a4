"""Element-wise functions; the compiler lets a product before them apply them on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from spusim.frontend.layers.base import FloatLayer, Job, Observer, sigmoid
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.network.records import Apply, Curve, Quantum, Shift, Tensor
from spusim.numerics import FUNCTIONS

_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda values: np.maximum(values, 0.0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "hardsigmoid": FUNCTIONS["hardsigmoid"],
}


@dataclass(frozen=True)
class FloatActivation(FloatLayer):
    """y = function(x): relu, sigmoid, tanh or hardsigmoid."""

    function: str
    size: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.size, self.size

    @property
    def keeps(self) -> bool:
        """Whether its output has its input's quantum."""
        return self.function == "relu"

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum: relu of it is the sum of the mean's relu."""
        return self.keeps

    @property
    def tabulates(self) -> bool:
        """Whether it is a table."""
        return self.function != "relu"

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, size) -> the same shape."""
        return _FUNCTIONS[self.function](values)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add one node."""
        y = Tensor(self.name, x.size, output)
        if self.function == "relu":
            job.add(Shift(self.name, self.name, x.name, y, relu=True))
        else:
            job.add(Apply(self.name, self.name, x.name, Curve(self.function), y))
        return y


class ActivationModel(LayerModel):
    """An elementwise function."""

    takes_images: ClassVar[bool] = True
    takes_flattened: ClassVar[bool] = True
    type: Literal["relu", "sigmoid", "tanh", "hardsigmoid"]

    def bind(self, shape: Shape, keys: Keys) -> FloatActivation:
        """Return the function over the whole input."""
        return FloatActivation(self.name, self.type, shape.size)
