"""A fully connected layer: one product with one head."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.dynamic import add_bias, add_sums, sum_quantum
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, WeightedModel
from spusim.network.records import Head, Quantum, Tensor


@dataclass(frozen=True)
class FloatLinear(FloatLayer):
    """y = bias + gain * W x: weight (out, in), bias and gain (out,) or None; float64.

    gain: above 0, a norm's that was folded in; requantisation multiplies by it.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    gain: np.ndarray | None = None

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.weight.shape[1], self.weight.shape[0]

    @property
    def takes_sums(self) -> bool:
        """Whether an input may be a sum: its scale divides."""
        return True

    @property
    def normalises(self) -> bool:
        """Whether its operand's scale may be found at run time."""
        return True

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of its matrices."""
        return ("weight",)

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, in) -> (frames, out)."""
        product = values @ self.weight.T
        if self.gain is not None:
            product = product * self.gain
        return np.asarray(product if self.bias is None else product + self.bias)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add a product; where x is a sum over frames, its scale divides."""
        gain = 1.0 if self.gain is None else self.gain
        in_scale = gain * 2.0**x.quantum.exponent / job.divisor
        job.divisor = 1
        job.note_clipping(self.name, "outputs", output, job.ranges[self.name])
        y = Tensor(self.name, len(self.weight), output)
        if job.normalised_bits:
            quantum = sum_quantum(job, (output,), self.bias)
            sums = Tensor(f"{self.name}.sums", y.size, quantum)
            add_sums(job, sums, self.name, x, self.weight, in_scale)
            return add_bias(job, sums, self.bias, y, self.name)
        matrix = job.matrix(
            self.name, self.weight, self.bias, job.peaks[self.name], in_scale, output.exponent
        )
        job.product(self.name, x, matrix, (Head(0, y, matrix.requant),))
        return y


class LinearModel(WeightedModel):
    """A fully connected layer: keys PREFIX.weight and, with bias, PREFIX.bias."""

    takes_flattened: ClassVar[bool] = True
    type: Literal["linear"]
    outputs: Size = Field(description="features out")
    bias: bool = Field(default=True, description="whether it has a bias")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output."""
        return Shape(1, self.outputs)

    def bind(self, shape: Shape, keys: Keys) -> FloatLinear:
        """Take the weight (outputs, features) and the bias."""
        weight = keys.take(f"{self.dot}weight", self.outputs, shape.size)
        if shape.planes:  # from one channel after the other to one position after the other
            planes = weight.reshape(self.outputs, shape.planes, -1)
            weight = planes.swapaxes(1, 2).reshape(self.outputs, -1)
        bias = keys.take(f"{self.dot}bias", self.outputs) if self.bias else None
        return FloatLinear(self.name, weight, bias)
