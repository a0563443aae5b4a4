"""Scaling vectors to length 1, with sums of squares that are exact.

x is brought to a length of 2**14 to 2**15 units first, by powers of two that tables show for the
class floor(log4) of its sum of squares. The second sum then lies within a factor of four, where
one table of 1 / sqrt is good to 0.00016 of the value with 8 address bits: chords of 2**8 inputs at
2**13 and above are off by 3/32 * (2**8 / 2**13)**2, the bits shifted away by 1 / 2**14 of it.
A square of 31 bits goes through the engine in two halves of 16 bits, by rows of ones.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import LayerModel, Shape
from spusim.network.records import (
    Apply,
    Curve,
    Head,
    Lut,
    Product,
    Quantum,
    Requant,
    Shift,
    Tensor,
)

MOST_CHANNELS = 2**16  # whose squares' upper halves sum up to 2**30
HALF_BITS = 16
NEAR_CLASS = 14  # of vectors of 2**14 to 2**15 units of length
ADDRESS_BITS, CLASSES = 8, 3  # a table of 2**8 entries tells 3 classes apart, by 6 bits
WHOLE, SUM = Quantum(16, 0), Quantum(32, 0)
INVERSE = Quantum(16, -14)


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
        """Add the scaling by powers of two, then that by the table of 1 / sqrt."""
        name = self.name
        wide = Tensor(f"{name}.wide", x.size, Quantum(WHOLE.bits, x.quantum.exponent))
        near = self._brought_near(job, job.shift(x, wide, name))
        # Its unit now counts as 2**-15: a length from 1/2 to 1, of which 1 / sqrt takes the square.
        power = self._sum(job, "second", *self._halves(job, "second", near), Quantum(32, -30))
        inverse = Tensor(f"{name}.inverse", power.size, INVERSE)
        job.add(Apply(inverse.name, name, power.name, Curve("rsqrt"), inverse, sa=15))
        factor = self._for_channels(job, inverse)
        shift = output.exponent + 15 - INVERSE.exponent
        return job.combine("mul", near, factor, Tensor(name, x.size, output), name, sd=shift)

    def _brought_near(self, job: Job, x: Tensor) -> Tensor:
        """Multiply every position by the power of two that its class asks for."""
        name = self.name
        upper, lower = self._halves(job, "first", x)
        power = self._sum(job, "first", upper, lower, SUM)
        up = self._power_of_two(job, "up", power, 0, NEAR_CLASS)
        raised = Tensor(f"{name}.raised", x.size, WHOLE)
        job.combine("mul", x, self._for_channels(job, up), raised, name)
        # What 32 bits do not hold is seen without its lower half, which is 8 classes less.
        carried = Tensor(f"{name}.carried", upper.size, SUM)
        job.combine("add", upper, lower, carried, name, sb=HALF_BITS)
        largest = 7 + -(-(self.shape.channels - 1).bit_length() // 2)
        down = self._power_of_two(job, "down", carried, NEAR_CLASS - HALF_BITS // 2, largest)
        near = Tensor(f"{name}.near", x.size, WHOLE)
        factor = self._for_channels(job, down)
        return job.combine("mul", raised, factor, near, name, sd=NEAR_CLASS)

    def _power_of_two(self, job: Job, what: str, power: Tensor, first: int, last: int) -> Tensor:
        """Return 2**(14 - c + first) for classes c from `first` to `last`, 2**14 below.

        Of tables that each know three classes, show more below and enough above, the least.
        """
        name, best, start = f"{self.name}.{what}", None, first
        while best is None or start < last:
            lut = Lut(f"{name}{start}", _steps(start - first), ADDRESS_BITS)
            found = Tensor(f"{name}{start}", power.size, WHOLE)
            job.add(Apply(found.name, self.name, power.name, lut, found, sa=2 * start))
            start += CLASSES
            if best is None:
                best = found
                continue
            least = Tensor(f"{name}_below{start}", power.size, WHOLE)
            best = job.combine("min", best, found, least, self.name)
        return best

    def _halves(self, job: Job, what: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums (positions,) of the squares' upper halves, rounded, and of the rest."""
        name, half = f"{self.name}.{what}", WHOLE
        squares = job.combine("mul", x, x, Tensor(f"{name}_squares", x.size, SUM), self.name)
        upper = Tensor(f"{name}_upper", x.size, half)
        job.add(Shift(upper.name, self.name, squares.name, upper, sd=HALF_BITS, rounding="half_up"))
        lower = Tensor(f"{name}_lower", x.size, half)
        job.combine("sub", squares, upper, lower, self.name, sb=-HALF_BITS)
        return self._summed(job, upper), self._summed(job, lower)

    def _summed(self, job: Job, x: Tensor) -> Tensor:
        """Sum the channels of each position."""
        channels = self.shape.channels
        windows = tuple(range(0, x.size, channels))
        return self._ones(job, x, (1, channels), windows, f"{x.name}_sum", SUM)

    def _sum(self, job: Job, what: str, upper: Tensor, lower: Tensor, quantum: Quantum) -> Tensor:
        """Put sums of halves together."""
        power = Tensor(f"{self.name}.{what}_power", upper.size, quantum)
        return job.combine("add", upper, lower, power, self.name, sa=-HALF_BITS)

    def _for_channels(self, job: Job, x: Tensor) -> Tensor:
        """Repeat the element of each position for its channels."""
        name, shape = f"{x.name}_repeated", (self.shape.channels, 1)
        return self._ones(job, x, shape, tuple(range(x.size)), name, x.quantum)

    def _ones(
        self,
        job: Job,
        x: Tensor,
        shape: tuple[int, int],
        windows: tuple[int, ...],
        name: str,
        quantum: Quantum,
    ) -> Tensor:
        """Add a product with ones, whose sums stay as they are."""
        y = Tensor(name, len(windows) * shape[0], quantum)
        head = Head(0, y, Requant(np.ones(1, np.int64), np.zeros(1, np.int64)))
        weight = np.ones(shape, np.int8)
        job.add(Product(name, self.name, x.name, weight, job.weight_bits, None, (head,), windows))
        return y


def _steps(below: int) -> np.ndarray:
    """Return 2**(14 - below - c) for inputs of 4**c to 4**(c + 1) - 1, 2**14 for none."""
    half = 2 ** (ADDRESS_BITS - 1)
    classes = (np.frexp(np.arange(1, half))[1] - 1) // 2
    steps = 2 ** np.maximum(NEAR_CLASS - below - classes, 0)
    return np.concatenate([np.full(half + 1, 2**NEAR_CLASS), steps]).astype(np.int32)


class L2NormModel(LayerModel):
    """The channels of each position, scaled to length 1."""

    type: Literal["l2_norm"]

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError."""
        if shape.channels > MOST_CHANNELS:
            raise TopologyError(
                f"sums the squares of {MOST_CHANNELS} channels at most, and its input has "
                f"{shape.channels}; cut it into positions with a reshape layer"
            )
        return shape

    def bind(self, shape: Shape, keys: Keys) -> FloatL2Norm:
        """Return the norm of an input."""
        return FloatL2Norm(self.name, shape)
