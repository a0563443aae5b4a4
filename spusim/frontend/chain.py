"""The float network before quantising, and its reference evaluation in numpy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from spusim.network.records import NetworkError


@dataclass(frozen=True)
class FloatLinear:
    """y = bias + W x: weight (out, in), bias (out,) or None; float64."""

    name: str
    weight: np.ndarray
    bias: np.ndarray | None

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.weight.shape[1], self.weight.shape[0]


@dataclass(frozen=True)
class FloatLstm:
    """PyTorch's LSTM: weight_ih (4H, in), weight_hh (4H, H), bias (4H,) = b_ih + b_hh or None."""

    name: str
    weight_ih: np.ndarray
    weight_hh: np.ndarray
    bias: np.ndarray | None

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.weight_ih.shape[1], self.weight_hh.shape[1]


@dataclass(frozen=True)
class FloatActivation:
    """y = function(x): relu, sigmoid or tanh."""

    name: str
    function: str
    size: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.size, self.size


@dataclass(frozen=True)
class FloatPool:
    """Running mean (sum so far over `frames`), max or last over a file's frames."""

    name: str
    kind: str
    size: int
    frames: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Features in and out."""
        return self.size, self.size


FloatLayer = FloatLinear | FloatLstm | FloatActivation | FloatPool
Observer = Callable[[str, np.ndarray], None]


@dataclass(frozen=True)
class FloatNetwork:
    """A chain of float layers with what a Network needs besides."""

    name: str
    layers: tuple[FloatLayer, ...]
    input_size: int
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _ignore(name: str, values: np.ndarray) -> None:
    """Observe nothing."""


def float_forward(
    layers: tuple[FloatLayer, ...],
    frames: np.ndarray,
    starts: tuple[int, ...],
    observe: Observer = _ignore,
) -> np.ndarray:
    """Evaluate a chain: frames (frames, in) -> (frames, out) float64, state reset at `starts`.

    `observe(name, values)` sees every tensor: "input", each layer's output under its name, and
    of an LSTM also `name.gate` (pre-activations, (frames, 4H)) and `name.cell` (frames, H).
    Raises NetworkError where sizes do not fit.
    """
    values = np.asarray(frames, dtype=np.float64)
    observe("input", values)
    for layer in layers:
        if values.shape[1] != layer.sizes[0]:
            raise NetworkError(
                f"layer {layer.name} takes {layer.sizes[0]} features, but is given "
                f"{values.shape[1]}; the size must be what the layer before gives"
            )
        values = _FORWARD[type(layer)](layer, values, starts, observe)
        observe(layer.name, values)
    return values


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Logistic function, without overflow for large magnitudes."""
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def files(starts: tuple[int, ...], frames: int) -> Iterator[slice]:
    """Yield the frames of each file."""
    ends = (*starts[1:], frames)
    return (slice(start, end) for start, end in zip(starts, ends, strict=True))


def _linear(
    layer: FloatLinear, values: np.ndarray, starts: tuple[int, ...], observe: Observer
) -> np.ndarray:
    product = values @ layer.weight.T
    return np.asarray(product if layer.bias is None else product + layer.bias)


def _lstm(
    layer: FloatLstm, values: np.ndarray, starts: tuple[int, ...], observe: Observer
) -> np.ndarray:
    gates = values @ layer.weight_ih.T
    if layer.bias is not None:
        gates += layer.bias
    count, size = len(values), layer.sizes[1]
    cells, hiddens = np.empty((count, size)), np.empty((count, size))
    for file in files(starts, count):
        cell, hidden = np.zeros(size), np.zeros(size)
        for frame in range(file.start, file.stop):
            gates[frame] += layer.weight_hh @ hidden
            enter, forget, new, leave = gates[frame].reshape(4, size)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
            hidden = sigmoid(leave) * np.tanh(cell)
            cells[frame], hiddens[frame] = cell, hidden
    observe(f"{layer.name}.gate", gates)
    observe(f"{layer.name}.cell", cells)
    return hiddens


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda values: np.maximum(values, 0.0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
}


def _activation(
    layer: FloatActivation, values: np.ndarray, starts: tuple[int, ...], observe: Observer
) -> np.ndarray:
    return _FUNCTIONS[layer.function](values)


_POOLS: dict[str, Callable[[FloatPool, np.ndarray], np.ndarray]] = {
    "mean": lambda layer, values: np.cumsum(values, axis=0) / layer.frames,
    "max": lambda layer, values: np.maximum.accumulate(values, axis=0),
    "last": lambda layer, values: values,
}


def _pool(
    layer: FloatPool, values: np.ndarray, starts: tuple[int, ...], observe: Observer
) -> np.ndarray:
    pool = _POOLS[layer.kind]
    return np.concatenate([pool(layer, values[file]) for file in files(starts, len(values))])


_FORWARD: dict[type, Callable[..., np.ndarray]] = {
    FloatLinear: _linear,
    FloatLstm: _lstm,
    FloatActivation: _activation,
    FloatPool: _pool,
}
