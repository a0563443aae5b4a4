"""PyTorch's RNN: h = tanh or relu of bias + W [x; h], one product with its function on the way."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.layers.base import Job, Observer, files
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, StackedModel
from spusim.frontend.layers.recurrence import (
    FloatRecurrence,
    RecurrentModel,
    bias_sum,
)
from spusim.frontend.quanta import GATE_QUANTUM
from spusim.network.records import Apply, Curve, Head, Quantum, Shift, Tensor


@dataclass(frozen=True)
class FloatRnn(FloatRecurrence):
    """PyTorch's RNN: weight_ih (H, in), weight_hh (H, H), bias (H,) = b_ih + b_hh or None."""

    bias: np.ndarray | None
    nonlinearity: str = "tanh"

    @property
    def bounded(self) -> bool:
        """Whether h is within +-1: tanh is."""
        return self.nonlinearity == "tanh"

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames; `name.sum` (frames, H), what the function is of, is observed."""
        sums = values @ self.weight_ih.T
        if self.bias is not None:
            sums += self.bias
        hiddens = np.empty_like(sums)
        for file in files(starts, len(values)):
            hidden = np.zeros(self.sizes[1])
            for frame in range(file.start, file.stop):
                sums[frame] += self.weight_hh @ hidden
                relu = self.nonlinearity == "relu"
                hidden = np.maximum(sums[frame], 0.0) if relu else np.tanh(sums[frame])
                hiddens[frame] = hidden
        observe(f"{self.name}.sum", sums)
        return np.asarray(hiddens)

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add [x; h] and the product, which applies the function."""
        name, peak = self.name, f"{self.name}.sum"
        entry = None if self.nonlinearity == "relu" else GATE_QUANTUM
        what, limit = ("pre-activations", peak) if entry else ("outputs", name)
        job.note_clipping(name, what, entry or output, job.ranges[limit])
        if job.normalised_bits:
            return self._function(
                job, self.add_gate_sums(job, x, output, entry or output, self.bias), output
            )
        h, both = self.join_state(job, x, output)
        weight = self.joined_weight(job, x, h)
        exponent = (entry or output).exponent
        in_scale = 2.0**both.quantum.exponent
        matrix = job.matrix(name, weight, self.bias, job.peaks[peak], in_scale, exponent)
        y = Tensor(name, self.sizes[1], output)
        head = Head(0, y, matrix.requant, Curve(self.nonlinearity), entry)
        job.product(name, both, matrix, (head,))
        return y

    def _function(self, job: Job, sums: Tensor, output: Quantum) -> Tensor:
        """Add the function of the sums (H,)."""
        y = Tensor(self.name, sums.size, output)
        if self.nonlinearity == "relu":
            job.add(Shift(y.name, self.name, sums.name, y, relu=True))
        else:
            job.add(Apply(y.name, self.name, sums.name, Curve(self.nonlinearity), y))
        return y


class _RnnModel(RecurrentModel):
    gates: ClassVar[int] = 1
    nonlinearity: Literal["tanh", "relu"] = Field(default="tanh", description="its function")

    def bind(self, shape: Shape, keys: Keys) -> FloatRnn:
        """Take both weights, and the sum of both biases; raises TopologyError for other kinds."""
        weight_ih, weight_hh, biases = self.weights(shape, keys, self.hidden)
        return FloatRnn(self.name, weight_ih, weight_hh, bias_sum(biases), self.nonlinearity)


class RnnModel(_RnnModel, StackedModel):
    """An RNN layer: keys PREFIX.weight_ih_lN, weight_hh_lN, and bias_ih_lN, bias_hh_lN."""

    type: Literal["rnn"]


class RnnCellModel(_RnnModel):
    """PyTorch's RNNCell, frame by frame: keys PREFIX.weight_ih, weight_hh, bias_ih, bias_hh."""

    type: Literal["rnn_cell"]
