"""Layers that combine inputs element by element: residual adds, masks, largest and smallest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, Literal

import numpy as np

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatMerge, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import MergeModel, Shape
from spusim.network.records import Quantum, Tensor

SUM_BITS = 32
HEADROOM = 12  # most bits that the coarsest operand goes left: three and more still fit 32 bits


@dataclass(frozen=True)
class FloatElementwise(FloatMerge):
    """y = a kind b kind ...: kind is add, sub, mul, max or min; an input of one element spreads."""

    kind: str

    @property
    def gives(self) -> int:
        """Features out."""
        return max(self.inputs)

    def forward(
        self, values: tuple[np.ndarray, ...], starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Combine frames of all inputs from left to right."""
        return np.asarray(reduce(_FUNCTIONS[self.kind], values))

    def add_nodes(self, job: Job, xs: tuple[Tensor, ...], output: Quantum) -> Tensor:
        """Add a Combine for every input after the first; sums between them have 32 bits."""
        if self.kind != "sub":  # a subtraction spreads none but its second
            xs = tuple(sorted(xs, key=lambda x: -x.size))
        if self.kind == "mul":
            shift = output.exponent - xs[0].quantum.exponent - xs[1].quantum.exponent
            y = Tensor(self.name, self.gives, output)
            return job.combine("mul", xs[0], xs[1], y, self.name, sd=shift)
        made, rest = xs[0], xs[1:]
        for number, x in enumerate(rest, 1):
            made = self._pair(job, made, x, output, last=number == len(rest), number=number)
        return made

    def _pair(
        self, job: Job, a: Tensor, b: Tensor, output: Quantum, *, last: bool, number: int
    ) -> Tensor:
        """Add one Combine, in the finer operand's exponent; round only into the output."""
        exponents = a.quantum.exponent, b.quantum.exponent
        unit = max(min(exponents), max(exponents) - HEADROOM)
        quantum = output if last else Quantum(SUM_BITS, unit)
        name = self.name if last else f"{self.name}.part{number}"
        y = Tensor(name, max(a.size, b.size), quantum)
        sa, sb = (unit - exponent for exponent in exponents)
        sd = quantum.exponent - unit
        return job.combine(self.kind, a, b, y, self.name, sb, sd, sa)


_FUNCTIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}
_KINDS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "maximum": "max",
    "minimum": "min",
}
_PAIRS = ("subtract", "multiply")


class ElementwiseModel(MergeModel):
    """Inputs of one shape combined element by element; one of a single element meets all others.

    subtract (first minus second) and multiply take two inputs.
    """

    takes_images: ClassVar[bool] = True
    takes_flattened: ClassVar[bool] = True
    type: Literal["add", "subtract", "multiply", "maximum", "minimum"]

    def merged(self, shapes: tuple[Shape, ...]) -> Shape:
        """Return the shape that all inputs have; raises TopologyError."""
        if self.type in _PAIRS and len(shapes) != 2:
            raise TopologyError(
                f"{self.type} takes two inputs and is given {len(shapes)}; put one after another"
            )
        largest = max(shapes, key=lambda shape: shape.size)
        if any(shape != largest and shape.size > 1 for shape in shapes):
            raise TopologyError(
                f"{self.type} takes inputs of one shape, or of a single element; correct a size"
            )
        if self.type == "subtract" and shapes[0] != largest:
            raise TopologyError(
                "subtract takes a single element as its second input only; give the first as many "
                "elements as the second"
            )
        return largest

    def bind_to(self, shapes: tuple[Shape, ...], keys: Keys) -> FloatElementwise:
        """Return the layer; it has no tensors."""
        sizes = tuple(shape.size for shape in shapes)
        return FloatElementwise(self.name, sizes, _KINDS[self.type])
