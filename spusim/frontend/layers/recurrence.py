"""What recurrent layers share: the operand [x; h], its weights, and a checkpoint's keys."""

import math
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job
from spusim.frontend.layers.dynamic import add_bias, add_sums, sum_quantum
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, WeightedModel
from spusim.frontend.quanta import GATE_OUTPUT, GATE_QUANTUM, quantum_for
from spusim.network.records import Apply, Curve, Join, Quantum, Tensor

Biases = tuple[np.ndarray, np.ndarray] | None


def bias_sum(biases: Biases) -> np.ndarray | None:
    """Return what both biases add, where nothing comes between them."""
    return None if biases is None else np.asarray(biases[0] + biases[1])


SHARING_COSTS = 4.0  # noise power, one bit: up to that, state and input share a quantum
FEW_BITS = 5  # left to the state, or to the codes of a weight: what is noted


@dataclass(frozen=True)
class FloatRecurrence(FloatLayer, ABC):
    """A layer with a state h: weight_ih (rows, in) times x, and weight_hh (rows, H) times h."""

    weight_ih: np.ndarray
    weight_hh: np.ndarray

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.weight_ih.shape[1], self.weight_hh.shape[1]

    @property
    def recurrent(self) -> bool:
        """Whether its output is a state too: it is h."""
        return True

    @property
    def normalises(self) -> bool:
        """Whether the scales of its operands, x and h, may be found at run time: each its own."""
        return True

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of its matrices."""
        return ("weight_ih", "weight_hh")

    @property
    def bounded(self) -> bool:
        """Whether h is within +-1, whatever the input."""
        return True

    @property
    def summed_rows(self) -> slice:
        """Rows that add products with x to products with h, in one accumulator."""
        return slice(None)

    def state_quantum(self, x: Quantum, absmax: float, found: Quantum, weight_bits: int) -> Quantum:
        """Return h's quantum: x's, unless that costs a bit of what the accumulators could tell.

        An accumulator's unit is that of x times that of weight_ih, and that of h times that of
        weight_hh. A finer h so makes the codes of weight_hh coarser, or those of weight_ih finer:
        from x's quantum to h's finest, the one with the least noise is best. A state within +-1
        gets no finer one than that asks for, since frames other than the calibration's reach 1.
        """
        finest = self.free_state_quantum(found).exponent
        reach = absmax, found.largest * 2.0**found.exponent
        exponents = range(max(finest, x.exponent), finest - 1, -1)
        noise = {
            exponent: self._noise((x.exponent, exponent), reach, weight_bits)
            for exponent in exponents
        }
        shared = max(noise)
        best = min(noise, key=lambda exponent: noise[exponent])
        costly = noise[shared] > SHARING_COSTS * noise[best]
        return Quantum(found.bits, best if costly else shared)

    def free_state_quantum(self, found: Quantum) -> Quantum:
        """Return h's finest quantum: within +-1, one that frames to come do not leave."""
        least = 1 - found.bits if self.bounded else found.exponent
        return Quantum(found.bits, max(found.exponent, least))

    def _noise(
        self, exponents: tuple[int, int], reach: tuple[float, float], weight_bits: int
    ) -> float:
        """Return the expected square of a sum's error, for x and h of these exponents and ranges.

        Roundings spread evenly over a unit, operands over their range; x's own rounding is there
        in any case and left out. What reads h sees its rounding beside a quarter of the sum's
        error, the steepest that a sigmoid is.
        """
        rows = self.summed_rows
        weights = self.weight_ih[rows], self.weight_hh[rows]
        steps = [2.0**exponent for exponent in exponents]
        operands = tuple(zip(weights, steps, reach, strict=True))
        unit = max(np.abs(w).max(initial=0.0) * step for w, step, _ in operands)
        unit /= 2 ** (weight_bits - 1) - 1
        total = 4.0**GATE_QUANTUM.exponent + (4 * steps[1]) ** 2
        for weight, step, largest in operands:
            total += weight.shape[1] * (unit / step * largest) ** 2 / 3
        total += float((weights[1] ** 2).sum()) / len(weights[1]) * steps[1] ** 2
        return float(total) / 12

    def add_products(
        self, job: Job, x: Tensor, output: Quantum, sums: Quantum
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Add the state h and the normalising products of x and of h; return all three."""
        name, rows = self.name, len(self.weight_ih)
        h = job.state(Tensor(f"{name}.h", self.sizes[1], output), name, name)
        made = []
        for part, operand, weight in (("x", x, self.weight_ih), ("h", h, self.weight_hh)):
            target = Tensor(f"{name}.from_{part}", rows, sums)
            scale = 2.0**operand.quantum.exponent
            made.append(add_sums(job, target, name, operand, weight, scale))
        return h, made[0], made[1]

    def add_gate_sums(
        self, job: Job, x: Tensor, output: Quantum, entry: Quantum, bias: np.ndarray | None
    ) -> Tensor:
        """Add all rows' sums of x and h with their bias, and return them in `entry`."""
        quantum = sum_quantum(job, (entry,), bias)
        _, from_x, from_h = self.add_products(job, x, output, quantum)
        both = Tensor(f"{self.name}.sums", from_x.size, quantum)
        job.combine("add", from_x, from_h, both, self.name)
        gates = Tensor(f"{self.name}.gates", both.size, entry)
        return add_bias(job, both, bias, gates, self.name)

    def join_state(self, job: Job, x: Tensor, output: Quantum) -> tuple[Tensor, Tensor]:
        """Add the state h and [x; h], and return both; x and h may differ in their exponents."""
        name, size = self.name, self.sizes[1]
        h = job.state(Tensor(f"{name}.h", size, output), name, name)
        both = Tensor(f"{name}.xh", x.size + size, x.quantum)
        job.add(Join(both.name, name, (x.name, h.name), both))
        return h, both

    def joined_weight(self, job: Job, x: Tensor, h: Tensor) -> np.ndarray:
        """Return weights (rows, in + H) of [x; h] as integers in units of x; note what is lost."""
        rows = self.summed_rows
        ratio = 2.0 ** (h.quantum.exponent - x.quantum.exponent)
        blocks = self.weight_ih[rows], self.weight_hh[rows] * ratio
        largest = [float(np.abs(block).max(initial=0.0)) for block in blocks]
        absmax = job.ranges[self.name]
        lost = h.quantum.exponent - quantum_for(absmax, h.quantum.bits).exponent
        left = h.quantum.bits - max(lost, 0)
        wasted = math.log2(max(largest) / min(largest)) if min(largest) else 0.0
        if min(left, job.stored_bits - wasted) <= FEW_BITS:
            codes = " and ".join(
                f"weight_{part} {math.log2(max(largest) / each):.0f}"
                for part, each in zip(("ih", "hh"), largest, strict=True)
                if 0.0 < each <= max(largest) / 2
            )
            job.notes.append(
                f"{self.name}: input and state, up to {absmax:.4g}, meet in one accumulator, which "
                f"leaves the state {left} of {h.quantum.bits} bits"
                + (f" and costs {codes} of {job.stored_bits} bits" if codes else "")
                + "; scale its input down (and weight_ih up), or use 16-bit weights"
            )
        return np.concatenate(blocks, axis=1)


def add_functions(job: Job, name: str, sums: Tensor, functions: dict[str, str]) -> list[Tensor]:
    """Add the functions of a layer's gates, whose sums lie one after the other; return them."""
    size, made = sums.size // len(functions), []
    for number, (gate, function) in enumerate(functions.items()):
        own = job.cut(f"{name}.{gate}.sum", name, sums, number * size, size)
        made.append(Tensor(f"{name}.{gate}", size, GATE_OUTPUT))
        job.add(Apply(made[-1].name, name, own.name, Curve(function), made[-1]))
    return made


class RecurrentModel(WeightedModel, ABC):
    """A recurrent layer of PyTorch, or its cell: a file's frames are its steps."""

    gates: ClassVar[int]  # blocks of rows in its matrices
    hidden: Size = Field(description="features of the hidden state")
    bias: bool = Field(default=True, description="whether it has biases")

    @property
    def ending(self) -> str:
        """What its keys end with: a cell's with nothing, a layer's with its number in a stack."""
        index = getattr(self, "index", None)
        return "" if index is None else f"_l{index}"

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output."""
        return Shape(1, self.hidden)

    def weights(
        self, shape: Shape, keys: Keys, state: int
    ) -> tuple[np.ndarray, np.ndarray, Biases]:
        """Take weight_ih (gates x H, in), weight_hh (gates x H, state), and both biases.

        Raises TopologyError for a bidirectional layer.
        """
        rows = self.gates * self.hidden
        backward = f"{self.dot}weight_ih{self.ending}_reverse"
        if backward in keys.tensors:
            raise TopologyError(
                f"layer {self.name} is bidirectional (key {backward}): one half starts from the "
                "last frame, and a stream has none until it ends; train it with "
                "bidirectional=False"
            )
        weight_ih = self._take(keys, "weight_ih", rows, shape.size)
        weight_hh = self._take(keys, "weight_hh", rows, state)
        if not self.bias:
            return weight_ih, weight_hh, None
        biases = self._take(keys, "bias_ih", rows), self._take(keys, "bias_hh", rows)
        return weight_ih, weight_hh, biases

    def _take(self, keys: Keys, what: str, *shape: int) -> np.ndarray:
        return keys.take(f"{self.dot}{what}{self.ending}", *shape)
