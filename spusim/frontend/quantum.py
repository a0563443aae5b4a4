"""Choosing number formats: quanta of activations, and which tensors of a chain share one."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from spusim.frontend.chain import FloatActivation, FloatLayer, FloatLstm, FloatPool
from spusim.network.check import GATE_OUTPUT, GATE_QUANTUM
from spusim.network.records import NetworkError, Quantum

Ranges = dict[str, float]


def quantum_for(absmax: float, bits: int) -> Quantum:
    """Return the finest quantum of `bits` in which +-absmax does not saturate.

    A tensor that is all zero gets the range +-1.
    """
    if absmax <= 0.0:
        return Quantum(bits, 1 - bits)
    largest = 2 ** (bits - 1) - 1
    exponent = math.ceil(math.log2(absmax) - math.log2(largest))
    while absmax > math.ldexp(largest, exponent):  # log2 rounds
        exponent += 1
    while absmax <= math.ldexp(largest, exponent - 1):
        exponent -= 1
    return Quantum(bits, exponent)


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
    def lstm(self) -> FloatLstm | None:
        """An LSTM whose hidden state is in the run."""
        return next((layer for layer in self.keepers if isinstance(layer, FloatLstm)), None)


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
        if isinstance(run.head, FloatPool):
            before = "input" if len(quanta) == 1 else layers[len(quanta) - 2].name
            quantum = _after_mean(run, run.head, quanta[-1], ranges[before])
        elif isinstance(run.head, FloatActivation):
            quantum = GATE_OUTPUT
        else:
            quantum = _calibrated(run, ranges, activation_bits if run.head else input_bits)
        quanta += [quantum] * len(run.names)
    return quanta


def mean_shift(frames: int, exponent: int, absmax: float) -> int:
    """Return the smallest shift with which the sum of `frames` values +-absmax fits 16 bits."""
    return max(0, quantum_for(frames * absmax, 16).exponent - exponent) if absmax else 0


def _runs(layers: tuple[FloatLayer, ...]) -> Iterator[_Run]:
    head: FloatLayer | None = None
    keepers: list[FloatLayer] = []
    for layer in layers:
        if _keeps(layer):
            keepers.append(layer)
            continue
        yield _Run(head, tuple(keepers), layer)
        head, keepers = layer, []
    yield _Run(head, tuple(keepers), None)


def _keeps(layer: FloatLayer) -> bool:
    """Tell whether a layer's output has its input's quantum."""
    if isinstance(layer, FloatActivation):
        return layer.function == "relu"
    return isinstance(layer, FloatLstm) or (isinstance(layer, FloatPool) and layer.kind != "mean")


def _after_mean(run: _Run, mean: FloatPool, before: Quantum, absmax: float) -> Quantum:
    """Return the quantum of a mean's sum; refuse what cannot divide that sum by its frames."""
    table = run.closer if isinstance(run.closer, FloatActivation) else None
    reader = run.lstm or table
    if reader and mean.frames > 1:
        raise NetworkError(
            f"layer {reader.name} follows {mean.name}, whose output is a sum over frames that "
            f"only a linear layer can divide by {mean.frames}; put one between them"
        )
    return Quantum(16, before.exponent + mean_shift(mean.frames, before.exponent, absmax))


def _calibrated(run: _Run, ranges: Ranges, bits: int) -> Quantum:
    """Return the quantum that the calibrated ranges ask for, or the one that suits a table."""
    if isinstance(run.closer, FloatActivation):
        if run.head and not run.lstm:
            return GATE_QUANTUM
        if bits != 16:
            raise NetworkError(
                f"layer {run.closer.name} is a table, which takes 16 bits, but is given {bits}; "
                "use 16-bit activations and input, or put a linear layer before it"
            )
    return quantum_for(max(ranges[name] for name in run.names), bits)
