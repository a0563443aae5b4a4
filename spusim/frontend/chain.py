"""The float network before quantising, and its reference evaluation in numpy."""

from dataclasses import dataclass

import numpy as np

from spusim.frontend.layers import (
    FloatActivation,
    FloatLayer,
    FloatLinear,
    FloatLstm,
    FloatPool,
    FloatPrune,
    Observer,
)
from spusim.network.records import NetworkError

__all__ = [
    "FloatActivation",
    "FloatLayer",
    "FloatLinear",
    "FloatLstm",
    "FloatNetwork",
    "FloatPool",
    "FloatPrune",
    "float_forward",
]


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
    what layers themselves observe, as an LSTM `name.gate` and `name.cell`. Raises NetworkError
    where sizes do not fit.
    """
    values = np.asarray(frames, dtype=np.float64)
    observe("input", values)
    for layer in layers:
        if values.shape[1] != layer.sizes[0]:
            raise NetworkError(
                f"layer {layer.name} takes {layer.sizes[0]} features, but is given "
                f"{values.shape[1]}; the size must be what the layer before gives"
            )
        values = layer.evaluate(values, starts, observe)
        observe(layer.name, values)
    return values
