"""PyTorch's LSTM: one product of [x; h] with a head for each gate, then the cell."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from spusim.frontend.errors import TopologyError
from spusim.frontend.layers.base import FloatLayer, Job, Observer, files, rows_of, sigmoid
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, Size, StackedModel
from spusim.frontend.quanta import GATE_OUTPUT, GATE_QUANTUM, quantum_for
from spusim.network.records import Apply, Curve, Head, Join, Quantum, Tensor

GATES = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}  # in PyTorch's order
CELL_BITS = 16
WIDEST_TANH = -11  # exponent of the coarsest input of tanh(c): +-16, in chords of 1/8
CELL_MARGIN = 2.0  # one bit: cells grow with longer files than those of the calibration


@dataclass(frozen=True)
class FloatLstm(FloatLayer):
    """PyTorch's LSTM: weight_ih (4H, in), weight_hh (4H, H), bias (4H,) = b_ih + b_hh or None."""

    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias: np.ndarray | None

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

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames; `name.gate` (frames, 4H) and `name.cell` (frames, H) are observed."""
        gates = values @ self.weight_ih.T
        if self.bias is not None:
            gates += self.bias
        count, size = len(values), self.sizes[1]
        cells, hiddens = np.empty((count, size)), np.empty((count, size))
        for file in files(starts, count):
            cell, hidden = np.zeros(size), np.zeros(size)
            for frame in range(file.start, file.stop):
                gates[frame] += self.weight_hh @ hidden
                enter, forget, new, leave = gates[frame].reshape(4, size)
                cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
                hidden = sigmoid(leave) * np.tanh(cell)
                cells[frame], hiddens[frame] = cell, hidden
        observe(f"{self.name}.gate", gates)
        observe(f"{self.name}.cell", cells)
        return hiddens

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add [x; h], the gates, c = f c + i g, and h = o tanh(c)."""
        name, size = self.name, self.sizes[1]
        h = job.state(Tensor(f"{name}.h", size, output), name, name)
        both = Tensor(f"{name}.xh", x.size + size, x.quantum)
        job.add(Join(both.name, name, (x.name, h.name), both))
        i, f, g, o = self._gates(job, both)
        cell = quantum_for(CELL_MARGIN * job.ranges[f"{name}.cell"], CELL_BITS)
        unit = GATE_OUTPUT.exponent

        def vector(what: str, quantum: Quantum) -> Tensor:
            return Tensor(f"{name}.{what}", size, quantum)

        c = job.state(vector("c", cell), f"{name}.new_c", name)
        kept = job.combine("mul", f, c, vector("kept", cell), name, sd=-unit)
        added = job.combine("mul", i, g, vector("added", cell), name, sd=cell.exponent - 2 * unit)
        new = job.combine("add", kept, added, vector("new_c", cell), name)
        shown = vector("tanh_c", GATE_OUTPUT)
        entry = min(0, WIDEST_TANH - cell.exponent)
        job.add(Apply(shown.name, name, new.name, Curve("tanh"), shown, sa=entry))
        shift = output.exponent - 2 * unit
        return job.combine("mul", o, shown, Tensor(name, size, output), name, sd=shift)

    def _gates(self, job: Job, both: Tensor) -> list[Tensor]:
        name, size = self.name, self.sizes[1]
        peak = f"{name}.gate"
        job.note_clipping(name, "gate pre-activations", GATE_QUANTUM, job.ranges[peak])
        weight = np.concatenate([self.weight_ih, self.weight_hh], axis=1)
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


class LstmModel(StackedModel):
    """An LSTM layer: keys PREFIX.weight_ih_lN, weight_hh_lN, and bias_ih_lN, bias_hh_lN."""

    type: Literal["lstm"]
    hidden: Size = Field(description="features of the hidden state")
    bias: bool = Field(default=True, description="whether it has biases")

    def output(self, shape: Shape) -> Shape:
        """Return the shape of the output."""
        return Shape(1, self.hidden)

    def bind(self, shape: Shape, keys: Keys) -> FloatLstm:
        """Take both weights, and the sum of both biases; raises TopologyError for other kinds."""
        dot, end, rows = self.dot, f"_l{self.index}", 4 * self.hidden
        for suffix, what in (("_reverse", "bidirectional"), ("", "projected")):
            key = f"{dot}weight_{'ih' if suffix else 'hr'}{end}{suffix}"
            if key in keys.tensors:
                raise TopologyError(
                    f"layer {self.name} is a {what} LSTM (key {key}), which spusim cannot run; "
                    "train it without"
                )
        weight_ih = keys.take(f"{dot}weight_ih{end}", rows, shape.size)
        weight_hh = keys.take(f"{dot}weight_hh{end}", rows, self.hidden)
        bias = None
        if self.bias:
            bias = keys.take(f"{dot}bias_ih{end}", rows) + keys.take(f"{dot}bias_hh{end}", rows)
        return FloatLstm(self.name, weight_ih, weight_hh, bias)
