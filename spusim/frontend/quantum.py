"""Choosing number formats: quanta of activations, and which tensors of a chain share one."""

from collections.abc import Iterator
from dataclasses import dataclass

from spusim.frontend.layers import FloatLayer
from spusim.frontend.quanta import GATE_OUTPUT, GATE_QUANTUM, mean_shift, quantum_for
from spusim.network.records import NetworkError, Quantum

Ranges = dict[str, float]


@dataclass(frozen=True)
class _Run:
    """Tensors that share a quantum: head's output (None: the input), and those that keep it."""

    head: FloatLayer | None
    keepers: tuple[FloatLayer, ...]
    closer: FloatLayer | None  # the layer after the run

    @property
    def names(self) -> list[str]:
        """Names of the run's tensors."""
        return [self.head.name if self.head else "input", *(layer.name for layer in self.keepers)]

    @property
    def recurrent(self) -> FloatLayer | None:
        """A layer whose hidden state is in the run."""
        return next((layer for layer in self.keepers if layer.recurrent), None)


def choose_quanta(
    layers: tuple[FloatLayer, ...], ranges: Ranges, input_bits: int, activation_bits: int
) -> list[Quantum]:
    """Return the quanta of the chain's tensors: its input, then each layer's output.

    relu, max, last and LSTM layers keep their input's quantum, so a run of them shares the one
    that the largest of its tensors needs. `ranges` is the absolute maximum of every tensor.
    Raises NetworkError for chains that the records cannot express.
    """
    quanta: list[Quantum] = []
    for run in _runs(layers):
        if run.head and run.head.sums is not None:
            before = "input" if len(quanta) == 1 else layers[len(quanta) - 2].name
            quantum = _after_mean(run, run.head.name, run.head.sums, quanta[-1], ranges[before])
        elif run.head and run.head.tabulates:
            quantum = GATE_OUTPUT
        else:
            quantum = _calibrated(run, ranges, activation_bits if run.head else input_bits)
        quanta += [quantum] * len(run.names)
    return quanta


def _runs(layers: tuple[FloatLayer, ...]) -> Iterator[_Run]:
    head: FloatLayer | None = None
    keepers: list[FloatLayer] = []
    for layer in layers:
        if layer.keeps:
            keepers.append(layer)
            continue
        yield _Run(head, tuple(keepers), layer)
        head, keepers = layer, []
    yield _Run(head, tuple(keepers), None)


def _after_mean(run: _Run, mean: str, frames: int, before: Quantum, absmax: float) -> Quantum:
    """Return the quantum of a mean's sum; refuse what cannot divide that sum by its frames."""
    table = run.closer if run.closer and run.closer.tabulates else None
    reader = run.recurrent or table
    if reader and frames > 1:
        raise NetworkError(
            f"layer {reader.name} follows {mean}, whose output is a sum over frames that "
            f"only a linear layer can divide by {frames}; put one between them"
        )
    return Quantum(16, before.exponent + mean_shift(frames, before.exponent, absmax))


def _calibrated(run: _Run, ranges: Ranges, bits: int) -> Quantum:
    """Return the quantum that the calibrated ranges ask for, or the one that suits a table."""
    if run.closer and run.closer.tabulates:
        if run.head and not run.recurrent:
            return GATE_QUANTUM
        if bits != 16:
            raise NetworkError(
                f"layer {run.closer.name} is a table, which takes 16 bits, but is given {bits}; "
                "use 16-bit activations and input, or put a linear layer before it"
            )
    return quantum_for(max(ranges[name] for name in run.names), bits)
