"""The float network before quantising, and its reference evaluation in numpy."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from spusim.frontend.layers import (
    FloatActivation,
    FloatLayer,
    FloatLinear,
    FloatLstm,
    FloatNode,
    FloatPool,
    FloatPrune,
    Observer,
)
from spusim.network.records import NetworkError

__all__ = [
    "FRAME",
    "FloatActivation",
    "FloatLayer",
    "FloatLinear",
    "FloatLstm",
    "FloatNetwork",
    "FloatPool",
    "FloatPrune",
    "Step",
    "float_forward",
]

FRAME = "input"  # what the frame is called among a network's tensors


@dataclass(frozen=True)
class Step:
    """A layer, and the names of the tensors it takes: layers made before it, or `input`."""

    layer: FloatNode
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class FloatNetwork:
    """A graph of float layers, in the order of their evaluation, with what a Network needs besides.

    inputs: of each layer, the names of the tensors it takes; empty: a chain, each layer taking the
    one before. output_layer: the layer whose output leaves; empty: the last.
    """

    name: str
    layers: tuple[FloatNode, ...]
    input_size: int
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    inputs: tuple[tuple[str, ...], ...] = ()
    output_layer: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Layers with what they take."""
        inputs = self.inputs or [(name,) for name in (FRAME, *_names(self.layers))]
        return tuple(map(Step, self.layers, inputs))

    @property
    def output(self) -> str:
        """Name of the layer whose output leaves."""
        return self.output_layer or self.layers[-1].name

    def owner(self) -> Callable[[np.ndarray], bool]:
        """Return what tells whether an array is one layer's alone, and can be written to."""
        arrays = [value for layer in self.layers for value in vars(layer).values()
                  if isinstance(value, np.ndarray)]  # fmt: skip
        users = Counter(array.ctypes.data for array in arrays)
        return lambda array: array.flags.writeable and users[array.ctypes.data] == 1


def _names(layers: tuple[FloatNode, ...]) -> Iterator[str]:
    return (layer.name for layer in layers)


def _ignore(name: str, values: np.ndarray) -> None:
    """Observe nothing."""


def float_forward(
    network: FloatNetwork | tuple[FloatNode, ...],
    frames: np.ndarray,
    starts: tuple[int, ...],
    observe: Observer = _ignore,
) -> np.ndarray:
    """Evaluate a network, or the layers of a chain; state is reset at `starts`.

    frames (frames, in) -> (frames, out) float64. `observe(name, values)` sees every tensor:
    "input", each layer's output under its name, and what layers themselves observe, as an LSTM
    `name.gate` and `name.cell`. Raises NetworkError where sizes do not fit.
    """
    if not isinstance(network, FloatNetwork):
        network = FloatNetwork("chain", network, np.shape(frames)[1])
    made = {FRAME: np.asarray(frames, dtype=np.float64)}
    observe(FRAME, made[FRAME])
    gone = last_reads(network)
    for number, step in enumerate(network.steps):
        values = tuple(made[name] for name in step.inputs)
        _check_sizes(step, values)
        made[step.layer.name] = step.layer.forward(values, starts, observe)
        observe(step.layer.name, made[step.layer.name])
        for name in gone[number]:  # images are large
            del made[name]
    return made[network.output]


def last_reads(network: FloatNetwork) -> list[list[str]]:
    """Return, for each layer, the tensors that none after it reads; the output stays."""
    last = {FRAME: -1} | {step.layer.name: number for number, step in enumerate(network.steps)}
    for number, step in enumerate(network.steps):
        last |= dict.fromkeys(step.inputs, number)
    found: list[list[str]] = [[] for _ in network.steps]
    for name, number in last.items():
        if number >= 0 and name != network.output:
            found[number].append(name)
    return found


def _check_sizes(step: Step, values: tuple[np.ndarray, ...]) -> None:
    given = tuple(each.shape[1] for each in values)
    if given != step.layer.takes:
        takes, found = (" and ".join(map(str, sizes)) for sizes in (step.layer.takes, given))
        raise NetworkError(
            f"layer {step.layer.name} takes {takes} features, but is given {found} by "
            f"{', '.join(step.inputs)}; the sizes must agree"
        )
