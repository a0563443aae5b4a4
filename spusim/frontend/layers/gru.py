"""PyTorch's GRU: gates from [x; h], the new value's parts from x and from h, and their blend."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from spusim.frontend.layers.base import Job, Observer, files, rows_of, sigmoid
from spusim.frontend.layers.dynamic import add_bias, sum_quantum
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import Shape, StackedModel
from spusim.frontend.layers.recurrence import FloatRecurrence, RecurrentModel, add_functions
from spusim.frontend.quanta import GATE_OUTPUT, GATE_QUANTUM, quantum_for
from spusim.network.records import Apply, Curve, Head, Product, Quantum, Tensor

GATES = ("r", "z")  # in PyTorch's order; the rows of n follow
PART_BITS = 16
DIFFERENCE = Quantum(16, -14)  # of two values within +-1


@dataclass(frozen=True)
class FloatGru(FloatRecurrence):
    """PyTorch's GRU: weight_ih (3H, in), weight_hh (3H, H), bias_ih and bias_hh (3H,) or None.

    n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h = (1 - z) n + z h.
    """

    bias_ih: np.ndarray | None
    bias_hh: np.ndarray | None

    @property
    def summed_rows(self) -> slice:
        """Rows of the gates; the parts of n have accumulators of their own."""
        return slice(len(GATES) * self.sizes[1])

    def evaluate(
        self, values: np.ndarray, starts: tuple[int, ...], observe: Observer
    ) -> np.ndarray:
        """Evaluate frames; `name.gate` (frames, 2H), and (frames, H) of n, are observed.

        Of n: its parts `name.n_x` and `name.n_h`, and `name.n_in`, what tanh is of.
        """
        size = self.sizes[1]
        given = values @ self.weight_ih.T
        if self.bias_ih is not None:
            given += self.bias_ih
        fed, news = np.empty_like(given), np.empty((len(values), size))
        hiddens = np.empty_like(news)
        for file in files(starts, len(values)):
            hidden = np.zeros(size)
            for frame in range(file.start, file.stop):
                fed[frame] = self.weight_hh @ hidden
                if self.bias_hh is not None:
                    fed[frame] += self.bias_hh
                (r_x, z_x, n_x), (r_h, z_h, n_h) = (x[frame].reshape(3, size) for x in (given, fed))
                news[frame] = n_x + sigmoid(r_x + r_h) * n_h
                update, new = sigmoid(z_x + z_h), np.tanh(news[frame])
                hidden = hiddens[frame] = (1.0 - update) * new + update * hidden
        gates = self.summed_rows
        observe(f"{self.name}.gate", given[:, gates] + fed[:, gates])
        observe(f"{self.name}.n_x", given[:, gates.stop :])
        observe(f"{self.name}.n_h", fed[:, gates.stop :])
        observe(f"{self.name}.n_in", news)
        return hiddens

    def expand(self, job: Job, x: Tensor, output: Quantum) -> Tensor:
        """Add [x; h], the gates, n = tanh(n_x + r n_h), and h = n - z (n - h)."""
        name, size, unit = self.name, self.sizes[1], GATE_OUTPUT.exponent
        part = self._part_quantum(job)
        r, z, n_x, n_h, h = (self._normalising if job.normalised_bits else self._joined)(
            job, x, output, part
        )

        def vector(what: str, quantum: Quantum) -> Tensor:
            return Tensor(f"{name}.{what}", size, quantum)

        reset = job.combine("mul", r, n_h, vector("reset", part), name, sd=-unit)
        shift = GATE_QUANTUM.exponent - part.exponent
        n_in = job.combine("add", n_x, reset, vector("n_in", GATE_QUANTUM), name, sd=shift)
        n = vector("n", GATE_OUTPUT)
        job.add(Apply(n.name, name, n_in.name, Curve("tanh"), n))
        common = min(unit, h.quantum.exponent)  # shifting left to it is exact
        lefts = {"sa": common - unit, "sb": common - h.quantum.exponent}
        away = vector("away", DIFFERENCE)
        job.combine("sub", n, h, away, name, sd=DIFFERENCE.exponent - common, **lefts)
        held = job.combine("mul", z, away, vector("held", DIFFERENCE), name, sd=-unit)
        shift = output.exponent - unit
        left = unit - DIFFERENCE.exponent
        return job.combine("sub", n, held, Tensor(name, size, output), name, sb=left, sd=shift)

    def _joined(
        self, job: Job, x: Tensor, output: Quantum, part: Quantum
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Add gates and parts of n as products of [x; h]; return r, z, n_x, n_h and h."""
        h, both = self.join_state(job, x, output)
        r, z = self._gates(job, both, self.joined_weight(job, x, h))
        n_x = self._part(job, "n_x", both, x, 0, part)
        return r, z, n_x, self._part(job, "n_h", both, h, x.size, part), h

    def _normalising(
        self, job: Job, x: Tensor, output: Quantum, part: Quantum
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Do as `_joined`, by one normalising product of x and one of h."""
        name, rows = self.name, self.summed_rows
        job.note_clipping(name, "gate pre-activations", GATE_QUANTUM, job.ranges[f"{name}.gate"])
        sums = sum_quantum(job, (GATE_QUANTUM, part), self.bias_ih, self.bias_hh)
        h, from_x, from_h = self.add_products(job, x, output, sums)
        n_x = self._biased_part(job, "n_x", from_x, self.bias_ih, part)
        n_h = self._biased_part(job, "n_h", from_h, self.bias_hh, part)
        by_x, by_h = (job.cut(f"{y.name}.gates", name, y, 0, rows.stop) for y in (from_x, from_h))
        both = job.combine("add", by_x, by_h, Tensor(f"{name}.sums", rows.stop, sums), name)
        entry = Tensor(f"{name}.gates", rows.stop, GATE_QUANTUM)
        gates = add_bias(job, both, self._gate_bias, entry, name)
        r, z = add_functions(job, name, gates, dict.fromkeys(GATES, "sigmoid"))
        return r, z, n_x, n_h, h

    def _biased_part(
        self, job: Job, part: str, sums: Tensor, bias: np.ndarray | None, quantum: Quantum
    ) -> Tensor:
        """Add one part of n, of the last rows of `sums`."""
        first, size = self.summed_rows.stop, self.sizes[1]
        own = job.cut(f"{self.name}.{part}.sum", self.name, sums, first, size)
        rest = None if bias is None else bias[first:]
        y = Tensor(f"{self.name}.{part}", size, quantum)
        return add_bias(job, own, rest, y, self.name)

    @property
    def _gate_bias(self) -> np.ndarray | None:
        if self.bias_ih is None or self.bias_hh is None:
            return None
        rows = self.summed_rows
        return np.asarray(self.bias_ih[rows] + self.bias_hh[rows])

    def _gates(self, job: Job, both: Tensor, weight: np.ndarray) -> list[Tensor]:
        name, size = self.name, self.sizes[1]
        peak = f"{name}.gate"
        job.note_clipping(name, "gate pre-activations", GATE_QUANTUM, job.ranges[peak])
        in_scale, exponent = 2.0**both.quantum.exponent, GATE_QUANTUM.exponent
        matrix = job.matrix(name, weight, self._gate_bias, job.peaks[peak], in_scale, exponent)
        heads = tuple(
            Head(
                number * size,
                Tensor(f"{name}.{gate}", size, GATE_OUTPUT),
                rows_of(matrix.requant, slice(number * size, (number + 1) * size)),
                Curve("sigmoid"),
                GATE_QUANTUM,
            )
            for number, gate in enumerate(GATES)
        )
        job.product(name, both, matrix, heads)
        return [head.output for head in heads]

    def _part_quantum(self, job: Job) -> Quantum:
        """Return the quantum of both parts of n: no finer than what tanh gives."""
        name = self.name
        job.note_clipping(name, "tanh's operands", GATE_QUANTUM, job.ranges[f"{name}.n_in"])
        quantum = quantum_for(max(job.ranges[f"{name}.{p}"] for p in ("n_x", "n_h")), PART_BITS)
        return Quantum(PART_BITS, max(quantum.exponent, GATE_OUTPUT.exponent))

    def _part(
        self, job: Job, part: str, both: Tensor, own: Tensor, first: int, quantum: Quantum
    ) -> Tensor:
        """Add one part of n: the product of `own`, which [x; h] holds from `first` on."""
        name, rows = f"{self.name}.{part}", slice(self.summed_rows.stop, None)
        weight, bias = {
            "n_x": (self.weight_ih, self.bias_ih),
            "n_h": (self.weight_hh, self.bias_hh),
        }[part]
        in_scale = 2.0**own.quantum.exponent
        matrix = job.matrix(
            name,
            weight[rows],
            None if bias is None else bias[rows],
            job.peaks[name],
            in_scale,
            quantum.exponent,
        )
        y = Tensor(name, self.sizes[1], quantum)
        heads = (Head(0, y, matrix.requant),)
        job.add(
            Product(
                name,
                self.name,
                both.name,
                matrix.weight,
                matrix.bits,
                matrix.bias,
                heads,
                (first,),
                codebook=matrix.codebook,
            )
        )
        return y


class _GruModel(RecurrentModel):
    gates: ClassVar[int] = 3

    def bind(self, shape: Shape, keys: Keys) -> FloatGru:
        """Take both weights and both biases; raises TopologyError for a bidirectional layer."""
        weight_ih, weight_hh, biases = self.weights(shape, keys, self.hidden)
        return FloatGru(self.name, weight_ih, weight_hh, *(biases or (None, None)))


class GruModel(_GruModel, StackedModel):
    """A GRU layer: keys PREFIX.weight_ih_lN, weight_hh_lN, and bias_ih_lN, bias_hh_lN."""

    type: Literal["gru"]


class GruCellModel(_GruModel):
    """PyTorch's GRUCell, frame by frame: keys PREFIX.weight_ih, weight_hh, bias_ih, bias_hh."""

    type: Literal["gru_cell"]
