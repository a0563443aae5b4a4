"""Consistency of a quantised network: what every room after the front end may rely on."""

from collections.abc import Callable
from typing import Any

import numpy as np

from spusim.network.records import (
    Activation,
    Layer,
    Linear,
    Lstm,
    Network,
    NetworkError,
    PoolTime,
    Quantum,
    Requant,
)

WEIGHT_BITS = (4, 8, 16)
BIAS_LIMIT = 2**31
GATE_QUANTUM = Quantum(16, -12)  # +-8: sigmoid and tanh saturate to 16 bits within it
GATE_OUTPUT = Quantum(16, -15)

_SIZES: dict[type, Callable[[Any], tuple[int, int]]] = {
    Linear: lambda layer: (layer.weight.shape[1], layer.weight.shape[0]),
    Lstm: lambda layer: (layer.weight.shape[1] - layer.hidden, layer.hidden),
    Activation: lambda layer: (layer.size, layer.size),
    PoolTime: lambda layer: (layer.size, layer.size),
}


def layer_sizes(layer: Layer) -> tuple[int, int]:
    """Return the number of features that a layer takes and gives."""
    return _SIZES[type(layer)](layer)


def check_network(network: Network) -> None:
    """Raise NetworkError unless sizes, quanta and integer ranges of all layers fit together."""
    if not network.layers:
        raise NetworkError(f"network {network.name} has no layers; give it at least one")
    size, quantum = network.input_size, network.input
    for layer in network.layers:
        inputs, outputs = layer_sizes(layer)
        if inputs != size:
            raise NetworkError(
                f"layer {layer.name} takes {inputs} features, but is given {size}; "
                "the size must be what the layer before gives"
            )
        if layer.input != quantum:
            raise NetworkError(
                f"layer {layer.name} takes {layer.input}, but is given {quantum}; "
                "the quantum must be that of the layer before"
            )
        _CHECKS[type(layer)](layer)
        size, quantum = outputs, layer.output
    if network.labels and len(network.labels) != size:
        raise NetworkError(
            f"network {network.name} has {len(network.labels)} labels for {size} outputs; "
            "give one label per output"
        )


def _check_matrix(layer: Linear | Lstm) -> None:
    rows = layer.weight.shape[0]
    if layer.weight_bits not in WEIGHT_BITS:
        raise NetworkError(
            f"layer {layer.name} has {layer.weight_bits}-bit weights; use one of {WEIGHT_BITS}"
        )
    limit = 2 ** (layer.weight_bits - 1)
    if layer.weight.dtype.kind != "i" or not _within(layer.weight, -limit, limit - 1):
        raise NetworkError(
            f"layer {layer.name} has weights outside {layer.weight_bits}-bit integers; "
            "quantise them first"
        )
    if layer.bias is not None:
        if layer.bias.shape != (rows,):
            raise NetworkError(
                f"layer {layer.name} has bias of shape {layer.bias.shape} for {rows} rows"
            )
        if not _within(layer.bias, -BIAS_LIMIT, BIAS_LIMIT - 1):
            raise NetworkError(f"layer {layer.name} has a bias wider than 32 bits; rescale it")
    _check_requant(layer.name, layer.requant, rows)


def _check_requant(name: str, requant: Requant, rows: int) -> None:
    shapes = (requant.multiplier.shape, requant.shift.shape)
    if shapes[0] != shapes[1] or shapes[0] not in ((1,), (rows,)):
        raise NetworkError(f"layer {name} has requant shapes {shapes}; use (1,) or ({rows},)")
    if not _within(requant.multiplier, 1, 2**31 - 1) or not _within(requant.shift, 0, 62):
        raise NetworkError(
            f"layer {name} has a requant outside multiplier 1 to 2**31-1, shift 0 to 62"
        )


def _check_lstm(layer: Lstm) -> None:
    if layer.weight.shape[0] != 4 * layer.hidden:
        raise NetworkError(
            f"layer {layer.name} has {layer.weight.shape[0]} rows for hidden {layer.hidden}; "
            "an LSTM has 4 * hidden: i, f, g, o"
        )
    _check_matrix(layer)


def _check_activation(layer: Activation) -> None:
    if layer.function not in ("relu", "sigmoid", "tanh"):
        raise NetworkError(
            f"layer {layer.name} has function {layer.function}; use relu, sigmoid or tanh"
        )
    if layer.function == "relu" and layer.input != layer.output:
        raise NetworkError(f"layer {layer.name} is a relu and must keep its quantum")


def _check_pool(layer: PoolTime) -> None:
    if layer.kind not in ("mean", "max", "last"):
        raise NetworkError(f"layer {layer.name} has kind {layer.kind}; use mean, max or last")
    if layer.frames < 1 or layer.shift < 0:
        raise NetworkError(
            f"layer {layer.name} has frames {layer.frames}, shift {layer.shift}; "
            "frames is at least 1, shift at least 0"
        )
    shift = layer.shift if layer.kind == "mean" else 0
    if layer.output.exponent != layer.input.exponent + shift:
        raise NetworkError(
            f"layer {layer.name} has output exponent {layer.output.exponent}; it must be "
            f"{layer.input.exponent + shift}"
        )


def _within(values: np.ndarray, low: int, high: int) -> bool:
    return values.size == 0 or bool(values.min() >= low and values.max() <= high)


_CHECKS: dict[type, Callable[[Any], None]] = {
    Linear: _check_matrix,
    Lstm: _check_lstm,
    Activation: _check_activation,
    PoolTime: _check_pool,
}
