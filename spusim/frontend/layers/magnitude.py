"""sqrt(re**2 + im**2), to within a unit, from tables of 16-bit inputs.

The sum of two squares has 31 bits and is exact. sqrt is concave and rises, so a table of chords
never shows too much: not between its entries, not of an input whose low bits were shifted away, and
not where its input saturates. Of several tables, each after another shift, the largest value is
therefore the best. With shifts STEP bits apart the best one reads u >= 2**(15 - STEP): with A
address bits, chords of h = 2**(16 - A) inputs are off by (h / u)**2 / 32 of the value at most, and
the bits shifted away by 1 / (2 u): together 0.00073 with A = 8. Below the finest table's reach, at
magnitudes under 12, it is 1 unit of re and im.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.network.records import Apply, Curve, Quantum, Tensor

WIDEST, FINEST, STEP = 16, -4, 4  # shifts of the sum of squares on its way into a table


def add_magnitude(job: Job, name: str, re: Tensor, im: Tensor, output: Quantum) -> Tensor:
    """Add the nodes of the magnitude `name` of re and im, 16-bit tensors of one quantum."""
    square = Quantum(32, 2 * re.quantum.exponent)
    re_squared, im_squared = (
        job.combine("mul", part, part, Tensor(f"{name}.{what}_squared", part.size, square), name)
        for what, part in (("re", re), ("im", im))
    )
    power = Tensor(f"{name}.power", re.size, square)
    job.combine("add", re_squared, im_squared, power, name)
    best: Tensor | None = None
    for shift in range(WIDEST, FINEST - 1, -STEP):
        last = shift == FINEST
        root = Tensor(f"{name}.root{shift}", re.size, output)
        job.add(Apply(root.name, name, power.name, Curve("sqrt"), root, sa=shift))
        if best is None:
            best = root
            continue
        so_far = Tensor(name if last else f"{name}.best{shift}", re.size, output)
        best = job.combine("max", best, root, so_far, name)
    assert best is not None
    return best


@dataclass(frozen=True)
class FloatMagnitude(FloatLayer):
    """The magnitude of each position's first half of channels with its second half."""

    shape: Shape

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.shape.size // 2

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * 2 * channels) -> (frames, positions * channels)."""
        grid = values.reshape(len(values), self.shape.positions, 2, -1)
        return np.asarray(np.hypot(grid[:, :, 0], grid[:, :, 1]).reshape(len(values), -1))

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add views of both halves, and their magnitude."""
        if x.quantum.bits != 16:
            x = job.shift(x, Tensor(f"{self.name}.wide", x.size, _wide(x.quantum)), self.name)
        job.note_clipping(self.name, "outputs", output, job.ranges[self.name])
        return add_magnitude(job, self.name, self._half(job, x, 0), self._half(job, x, 1), output)

    def _half(self, job: Job, x: Tensor, number: int) -> Tensor:
        """Return a view of one half of every position's channels."""
        half, what = self.shape.channels // 2, ("re", "im")[number]
        name = f"{self.name}.{what}"
        parts = [
            job.cut(f"{name}{position}", self.name, x, (2 * position + number) * half, half)
            for position in range(self.shape.positions)
        ]
        return parts[0] if len(parts) == 1 else job.join(name, self.name, parts)


def _wide(quantum: Quantum) -> Quantum:
    return Quantum(16, quantum.exponent - 8)


class MagnitudeModel(LayerModel):
    """The magnitude of complex numbers: channels [re..., im...] to half as many."""

    type: Literal["magnitude"]

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        if shape.channels % 2:
            raise TopologyError(
                f"takes real and imaginary parts, and its input has {shape.channels} "
                f"channels; bring an even number, all real parts first"
            )
        return Shape(shape.positions, shape.channels // 2)

    def bind(self, shape: Shape, keys: Keys) -> FloatMagnitude:
        """Return the magnitude of an input."""
        return FloatMagnitude(self.name, shape)
