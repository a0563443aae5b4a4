"""Binding a topology to a checkpoint: which tensor is which layer's weight."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spusim.frontend.chain import (
    FloatActivation,
    FloatLayer,
    FloatLinear,
    FloatLstm,
    FloatNetwork,
    FloatPool,
    FloatPrune,
)
from spusim.frontend.errors import TopologyError
from spusim.frontend.topology import TopologyModel
from spusim.frontend.yaml_file import nearest


@dataclass
class _Keys:
    """A checkpoint's tensors, with what was taken of them and what was not found."""

    tensors: dict[str, np.ndarray]
    used: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def take(self, key: str, *shape: int) -> np.ndarray:
        """Return tensor `key` as float64, or zeros after noting what is wrong with it."""
        if key not in self.tensors:
            self.missing.append(key)
            return np.zeros(shape)
        self.used.add(key)
        found = self.tensors[key]
        if found.shape != shape:
            self.misshapen.append(
                f"{key} has shape {found.shape} in the checkpoint and {shape} in the network file"
            )
            return np.zeros(shape)
        return found.astype(np.float64)

    @property
    def unused(self) -> list[str]:
        """Keys that no layer took."""
        return sorted(set(self.tensors) - self.used)


def bind(
    topology: TopologyModel, tensors: dict[str, np.ndarray], source: str = "checkpoint"
) -> FloatNetwork:
    """Make a float network of a topology and a checkpoint's tensors.

    Keys that no layer uses are listed in its notes. Raises TopologyError naming all missing
    keys, all tensors of another shape, and what the layers cannot express.
    """
    keys = _Keys(tensors)
    layers: list[FloatLayer] = []
    size = topology.input.size
    for model in topology.layers:
        layers.append(_BIND[model.type](model, size, keys))
        size = layers[-1].sizes[1]
    _refuse(source, keys)
    notes: tuple[str, ...] = ()
    if keys.unused:
        notes = (f"warning: {source} has keys that no layer uses: {', '.join(keys.unused)}",)
    return FloatNetwork(topology.name, tuple(layers), topology.input.size, topology.labels, notes)


def _refuse(source: str, keys: _Keys) -> None:
    problems = list(keys.misshapen)
    for key in keys.missing:
        problems.append(f"{key} is missing; {nearest(key, keys.unused or list(keys.tensors))}")
    if problems:
        raise TopologyError(
            f"{source} does not fit the network file; correct a size, a layer's name or its "
            "prefix:\n" + "\n".join(f"  {problem}" for problem in problems)
        )


def _linear(model: Any, size: int, keys: _Keys) -> FloatLinear:
    prefix = model.prefix if model.prefix is not None else model.name
    dot = f"{prefix}." if prefix else ""
    weight = keys.take(f"{dot}weight", model.outputs, size)
    bias = keys.take(f"{dot}bias", model.outputs) if model.bias else None
    return FloatLinear(model.name, weight, bias)


def _lstm(model: Any, size: int, keys: _Keys) -> FloatLstm:
    prefix = model.prefix if model.prefix is not None else model.name
    dot, end, rows = (f"{prefix}." if prefix else ""), f"_l{model.index}", 4 * model.hidden
    for suffix, what in (("_reverse", "bidirectional"), ("", "projected")):
        key = f"{dot}weight_{'ih' if suffix else 'hr'}{end}{suffix}"
        if key in keys.tensors:
            raise TopologyError(
                f"layer {model.name} is a {what} LSTM (key {key}), which spusim cannot run; "
                "train it without"
            )
    weight_ih = keys.take(f"{dot}weight_ih{end}", rows, size)
    weight_hh = keys.take(f"{dot}weight_hh{end}", rows, model.hidden)
    bias = None
    if model.bias:
        bias = keys.take(f"{dot}bias_ih{end}", rows) + keys.take(f"{dot}bias_hh{end}", rows)
    return FloatLstm(model.name, weight_ih, weight_hh, bias)


def _activation(model: Any, size: int, keys: _Keys) -> FloatActivation:
    return FloatActivation(model.name, model.type, size)


def _pool(model: Any, size: int, keys: _Keys) -> FloatPool:
    kind = model.type.removesuffix("_time")
    return FloatPool(model.name, kind, size, getattr(model, "frames", 1))


def _prune(model: Any, size: int, keys: _Keys) -> FloatPrune:
    kind = model.type.removeprefix("prune_")
    parameter = model.threshold if kind == "threshold" else model.keep
    if kind == "top" and parameter > size:
        raise TopologyError(
            f"layer {model.name} keeps {parameter} of {size} features; keep fewer, or leave it out"
        )
    return FloatPrune(model.name, kind, size, parameter)


_BIND: dict[str, Callable[[Any, int, _Keys], FloatLayer]] = {
    "linear": _linear,
    "lstm": _lstm,
    "relu": _activation,
    "sigmoid": _activation,
    "tanh": _activation,
    "mean_time": _pool,
    "max_time": _pool,
    "last_time": _pool,
    "prune_threshold": _prune,
    "prune_top": _prune,
}
