"""Scaling vectors to length 1, with sums of squares that are exact.

x is brought to a length of 2**14 to 2**15 units first: `up` and `down` are powers of two, read from
tables by the class floor(log4) of its sum of squares. The second sum then lies within a factor of
four, where one table of 1 / sqrt is good to 0.00015 of the value with 8 address bits: chords of
2**8 inputs at 2**13 and above are off by 3/32 * (2**8 / 2**13)**2, the bits shifted away by
1 / 2**14 of it.
A square of 31 bits goes through the engine in two halves of 16 bits, by rows of ones.
"""

from dataclasses import dataclass

import numpy as np

from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.model import Shape
from spusim.network.records import (
    Apply,
    Curve,
    Quantum,
    Shift,
    Tensor,
)

MOST_CHANNELS = 2**16  # whose squares' upper halves sum up to 2**30
CLASS_BITS, CLASSES = 8, 3  # a table of 2**8 entries tells three classes of four apart
LENGTH_BITS = 14  # a vector is brought to 2**14 units of length, up to twice as many
UNIT = Quantum(16, -15)
WHOLE = Quantum(16, 0)
SUM = Quantum(32, 0)


@dataclass(frozen=True)
class FloatL2Norm(FloatLayer):
    """y = x / sqrt(sum of x**2) over the channels of each position; zeros stay zeros."""

    shape: Shape

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.shape.size, self.shape.size

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames (frames, positions * channels) -> the same shape."""
        grid = values.reshape(len(values), self.shape.positions, self.shape.channels)
        length = np.sqrt((grid**2).sum(axis=2, keepdims=True))
        unit = np.divide(grid, length, out=np.zeros_like(grid), where=length > 0)
        return np.asarray(unit.reshape(len(values), -1))

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add the scaling by powers of two, and by the table of 1 / sqrt."""
        name = self.name
        job.divisor = 1  # a vector's length in units says nothing of what a unit is
        codes = Tensor(f"{name}.codes", x.size, WHOLE)
        job.add(Shift(codes.name, name, x.name, codes))
        near = self._brought_near(job, codes)
        upper, lower = self._sums(job, f"{name}.near", near)
        # Units of 2**-30: from 1/4 to 1.
        power = Tensor(f"{name}.power", self.shape.positions, Quantum(32, -30))
        job.combine("add", upper, lower, power, name)
        self._fix_last(job, -16)
        inverse = Tensor(f"{name}.inverse", power.size, Quantum(16, -14))
        job.add(Apply(inverse.name, name, power.name, Curve("rsqrt"), inverse, sa=15))
        every = self._for_all(job, inverse)
        y = Tensor(name, x.size, output)
        shift = output.exponent - UNIT.exponent - inverse.quantum.exponent
        return job.combine("mul", near, every, y, name, sd=shift)
