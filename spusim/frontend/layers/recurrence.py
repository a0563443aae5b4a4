"""What recurrent layers share: the operand [x; h], its weights, and a checkpoint's keys."""

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, WeightedModel
from spusim.frontend.quanta import quantum_for
from spusim.network.records import Join, Quantum, Tensor

Biases = tuple[np.ndarray, np.ndarray] | None


def bias_sum(biases: Biases) -> np.ndarray | None:
    """Return what both biases add, where nothing comes between them."""
    return None if biases is None else np.asarray(biases[0] + biases[1])


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
    def keeps(self) -> bool:
        """Whether its output has its input's quantum: x and h share one in [x; h]."""
        return True

    @property
    def recurrent(self) -> bool:
        """Whether input and state share a quantum in one matrix."""
        return True

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of its matrices."""
        return ("weight_ih", "weight_hh")

    def join_state(self, job: Job, x: Tensor, output: Quantum) -> tuple[Tensor, Tensor]:
        """Add the state h and [x; h], and note what of h the common quantum leaves; return both."""
        name, size = self.name, self.sizes[1]
        h = job.state(Tensor(f"{name}.h", size, output), name, name)
        both = Tensor(f"{name}.xh", x.size + size, x.quantum)
        job.add(Join(both.name, name, (x.name, h.name), both))
        absmax = job.ranges[name]
        lost = output.exponent - quantum_for(absmax, output.bits).exponent
        left = output.bits - lost
        if lost > 0 and left < job.weight_bits:
            job.notes.append(
                f"{name}: its state, up to {absmax:.4g}, shares a quantum with its input, which "
                f"leaves it {left} of {output.bits} bits; scale the input down, and weight_ih up"
            )
        return h, both


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
