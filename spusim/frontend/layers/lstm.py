"""PyTorch's LSTM: one product of [x; h] with a head for each gate, then the cell."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import Job, Observer, rows_of, side_by_side
from spusim.frontend.layers.dynamic import add_bias, add_sums, sum_quantum
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, StackedModel
from spusim.frontend.layers.recurrence import (
    FloatRecurrence,
    RecurrentModel,
    add_functions,
    bias_sum,
)
from spusim.frontend.quanta import GATE_OUTPUT, GATE_QUANTUM, quantum_for
from spusim.network.records import Apply, Curve, Head, Product, Quantum, Tensor

GATES = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}  # in PyTorch's order
CELL_BITS = 16
WIDEST_TANH = -11  # exponent of the coarsest input of tanh(c): +-16, in chords of 1/8
CELL_MARGIN = 2.0  # one bit: cells grow with longer files than those of the calibration


@dataclass(frozen=True)
class FloatLstm(FloatRecurrence):
    """PyTorch's LSTM: weight_ih (4H, in), weight_hh (4H, P), bias (4H,) = b_ih + b_hh or None.

    The output is o tanh(c), where P = H, or weight_hr (P, H) times it.
    """

    bias: np.ndarray | None
    weight_hr: np.ndarray | None = None

    @property
    def matrices(self) -> tuple[str, ...]:
        """Names of its matrices."""
        own = super().matrices
        return own if self.weight_hr is None else (*own, "weight_hr")

    @property
    def bounded(self) -> bool:
        """Whether h is within +-1: o tanh(c) is."""
        return self.weight_hr is None

    @property
    def cells(self) -> int:
        """Features of the cell, H."""
        return len(self.weight_ih) // len(GATES)

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames; `name.gate` (frames, 4H) and `name.cell` (frames, H) are observed."""
        gates = values @ self.weight_ih.T
        if self.bias is not None:
            gates += self.bias
        count, size = len(values), self.cells
        cells, hiddens = np.empty((count, size)), np.empty((count, self.sizes[1]))
        # a sigmoid is (1 + tanh(x / 2)) / 2, so that one tanh serves all gates of a frame
        halves = np.repeat([0.5, 0.5, 1.0, 0.5], size)
        # files side by side, each with the product that it would have alone, to the last bit
        cell, hidden = np.zeros((len(starts), size)), np.zeros((len(starts), self.sizes[1]))
        for frame in side_by_side(starts, count):
            cell, hidden = cell[: len(frame)], hidden[: len(frame)]  # of files that go on
            gates[frame] += (self.weight_hh @ hidden[..., None])[..., 0]
            bent = np.tanh(halves * gates[frame]).reshape(-1, 4, size)
            enter, forget, _, leave = (0.5 * (1.0 + bent)).swapaxes(0, 1)
            cell = forget * cell + enter * bent[:, 2]
            hidden = leave * np.tanh(cell)
            if self.weight_hr is not None:
                hidden = (self.weight_hr @ hidden[..., None])[..., 0]
            cells[frame], hiddens[frame] = cell, hidden
        observe(f"{self.name}.gate", gates)
        observe(f"{self.name}.cell", cells)
        return hiddens

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add [x; h], the gates, c = f c + i g, and h = o tanh(c), or its projection."""
        name = self.name
        i, f, g, o = self._gates(job, x, output)
        cell = quantum_for(CELL_MARGIN * job.ranges[f"{name}.cell"], CELL_BITS)
        unit = GATE_OUTPUT.exponent

        def vector(what: str, quantum: Quantum) -> Tensor:
            return Tensor(f"{name}.{what}", self.cells, quantum)

        c = job.state(vector("c", cell), f"{name}.new_c", name)
        kept = job.combine("mul", f, c, vector("kept", cell), name, sd=-unit)
        added = job.combine("mul", i, g, vector("added", cell), name, sd=cell.exponent - 2 * unit)
        new = job.combine("add", kept, added, vector("new_c", cell), name)
        shown = vector("tanh_c", GATE_OUTPUT)
        entry = min(0, WIDEST_TANH - cell.exponent)
        job.add(Apply(shown.name, name, new.name, Curve("tanh"), shown, sa=entry))
        if self.weight_hr is not None:
            return self._projected(job, o, shown, self.weight_hr, output)
        shift = output.exponent - 2 * unit
        return job.combine("mul", o, shown, Tensor(name, self.cells, output), name, sd=shift)

    def _projected(
        self, job: Job, o: Tensor, shown: Tensor, weight: np.ndarray, output: Quantum
    ) -> Tensor:
        name, inner = self.name, Quantum(output.bits, 1 - output.bits)  # below 1, as o and tanh
        shift = inner.exponent - 2 * GATE_OUTPUT.exponent
        whole = Tensor(f"{name}.whole", self.cells, inner)
        job.combine("mul", o, shown, whole, name, sd=shift)
        job.note_clipping(name, "outputs", output, job.ranges[name])
        label, in_scale = f"{name}.projection", 2.0**inner.exponent
        if job.normalised_bits:
            sums = Tensor(f"{label}.sums", len(weight), sum_quantum(job, (output,)))
            add_sums(job, sums, name, whole, weight, in_scale)
            return add_bias(job, sums, None, Tensor(name, len(weight), output), name)
        matrix = job.matrix(label, weight, None, job.peaks[name], in_scale, output.exponent)
        y = Tensor(name, len(weight), output)
        heads = (Head(0, y, matrix.requant),)
        job.add(
            Product(
                label, name, whole.name, matrix.weight, matrix.bits, None, heads,
                codebook=matrix.codebook,
            )
        )  # fmt: skip
        return y

    def _gates(self, job: Job, x: Tensor, output: Quantum) -> list[Tensor]:
        name, size = self.name, self.cells
        peak = f"{name}.gate"
        job.note_clipping(name, "gate pre-activations", GATE_QUANTUM, job.ranges[peak])
        if job.normalised_bits:
            sums = self.add_gate_sums(job, x, output, GATE_QUANTUM, self.bias)
            return add_functions(job, name, sums, GATES)
        h, both = self.join_state(job, x, output)
        weight = self.joined_weight(job, x, h)
        in_scale = 2.0**both.quantum.exponent
        matrix = job.matrix(
            name, weight, self.bias, job.peaks[peak], in_scale, GATE_QUANTUM.exponent
        )
        heads = tuple(
            Head(
                number * size,
                Tensor(f"{name}.{gate}", size, GATE_OUTPUT),
                rows_of(matrix.requant, slice(number * size, (number + 1) * size)),
                Curve(function),
                GATE_QUANTUM,
            )
            for number, (gate, function) in enumerate(GATES.items())
        )
        job.product(name, both, matrix, heads)
        return [head.output for head in heads]


class _LstmModel(RecurrentModel):
    gates: ClassVar[int] = len(GATES)

    def bind(self, shape: Shape, keys: Keys) -> FloatLstm:
        """Take the weights, and the sum of both biases; raises TopologyError for other kinds."""
        size = self.output(shape).size
        key = f"{self.dot}weight_hr{self.ending}"
        if key in keys.tensors and size == self.hidden:
            raise TopologyError(
                f"layer {self.name} is a projected LSTM (key {key} of shape "
                f"{keys.tensors[key].shape}); say so with `projection: {len(keys.tensors[key])}`"
            )
        weight_ih, weight_hh, biases = self.weights(shape, keys, size)
        weight_hr = self._take(keys, "weight_hr", size, self.hidden) if size < self.hidden else None
        return FloatLstm(self.name, weight_ih, weight_hh, bias_sum(biases), weight_hr)


class LstmModel(_LstmModel, StackedModel):
    """An LSTM layer: keys PREFIX.weight_ih_lN, weight_hh_lN, and bias_ih_lN, bias_hh_lN.

    With `projection` also weight_hr_lN (projection, hidden).
    """

    type: Literal["lstm"]
    projection: Size | None = Field(
        default=None, description="features of the output, fewer than hidden (PyTorch's proj_size)"
    )

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output; raises TopologyError for too wide a projection."""
        if self.projection is not None and self.projection >= self.hidden:
            raise TopologyError(
                f"projection (={self.projection}) must be smaller than hidden "
                f"(={self.hidden}); leave it out where there is none"
            )
        return Shape(1, self.projection or self.hidden)


class LstmCellModel(_LstmModel):
    """PyTorch's LSTMCell, frame by frame: keys PREFIX.weight_ih, weight_hh, bias_ih, bias_hh."""

    type: Literal["lstm_cell"]
