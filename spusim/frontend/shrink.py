"""Unit pruning: hidden units and outputs of layers go away, and the matrices shrink.

A unit is an output of a linear layer or a hidden unit of a recurrent one: its rows in every gate,
its column of the recurrent weights, and its column of the inputs of the layer that reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spusim.errors import nearest
from spusim.frontend.chain import FRAME
from spusim.frontend.errors import PruneError
from spusim.frontend.prune import NORMS, strongest
from spusim.frontend.topology import TopologyModel

_GATES = {"linear": 1, "rnn": 1, "gru": 3, "lstm": 4}
_SIZES = {"linear": "outputs", "rnn": "hidden", "gru": "hidden", "lstm": "hidden"}
# layers that give each element of their input one of their output
_ELEMENTWISE = (
    "relu", "relu6", "sigmoid", "tanh", "hardtanh", "hardsigmoid", "clamp", "leaky_relu",
    "mean_time", "max_time", "last_time", "prune_threshold", "prune_top",
)  # fmt: skip


@dataclass(frozen=True)
class ShrunkLayer:
    """What became of one layer: units before and after; parameters are weights and biases."""

    name: str
    units_before: int
    units: int
    parameters_before: int
    parameters: int


@dataclass(frozen=True)
class Shrunk:
    """A network file's model with smaller layers, the checkpoint's tensors, what became of them."""

    topology: TopologyModel
    tensors: dict[str, np.ndarray]
    layers: tuple[ShrunkLayer, ...]

    @property
    def told(self) -> str:
        """What was done, for people."""
        sizes = ", ".join(
            f"{each.name} {each.units_before} to {each.units}" for each in self.layers
        )
        return f"pruned by unit: {sizes} units"

    @property
    def sizes(self) -> dict[int, tuple[str, int]]:
        """Key and new size of each layer with weights, by its position in the file."""
        return {
            position: (_SIZES[model.type], getattr(model, _SIZES[model.type]))
            for position, model in enumerate(self.topology.layers)
            if model.type in _SIZES
        }


@dataclass(frozen=True)
class _Stage:
    """A layer with weights, and the keys of its tensors by what a unit has in them."""

    name: str
    position: int  # in the topology
    units: int
    gates: int
    rows: tuple[str, ...]  # keys whose first axis is gates x units
    inputs: str  # the key whose columns are the units of the stage before
    recurrent: str | None  # the key whose columns are its own units


def shrink_network(
    topology: TopologyModel,
    tensors: Mapping[str, np.ndarray],
    density: float,
    *,
    scope: str = "layer",
    norm: str = "l2",
    densities: Mapping[str, float] | None = None,
    layers: Sequence[str] = (),
) -> Shrunk:
    """Keep round(density * units) hidden units of each layer (or of all together), at least one.

    Units compare by the L1 or L2 norm of all weights that go away with them, of equals the first
    is kept; scope `global` compares those of all layers. The last layer with weights keeps its
    outputs, which are the network's. densities: of single layers by name, in place of `density`;
    layers: names of those to prune, default all. Raises PruneError.
    """
    stages = _stages(topology, tensors)
    prunable = [stage.name for stage in stages[:-1]]
    for name in (*layers, *(densities or {})):
        if name not in prunable:
            raise PruneError(
                f"layer {name} has no units to prune (the last one's are the outputs); "
                f"{nearest(name, prunable)}"
            )
    _check(density, scope, norm, densities or {})
    chosen = [stage for stage in stages[:-1] if not layers or stage.name in layers]
    norms = {
        stage.name: _unit_norms(stage, stages[stages.index(stage) + 1], tensors, norm)
        for stage in chosen
    }
    kept = _kept(norms, density, scope, densities or {})
    return _apply(topology, tensors, stages, kept)


def _check(density: float, scope: str, norm: str, densities: Mapping[str, float]) -> None:
    for value in (density, *densities.values()):
        if not 0.0 <= value <= 1.0:
            raise PruneError(f"density (={value}) must be from 0 to 1, the fraction of units kept")
    if scope not in ("layer", "global"):
        raise PruneError(f"prune.scope (={scope}) is unknown; use layer or global")
    if norm not in NORMS:
        raise PruneError(f"norm (={norm}) is unknown; use l1 or l2")


def _stages(topology: TopologyModel, tensors: Mapping[str, np.ndarray]) -> list[_Stage]:
    found = []
    before = FRAME
    for position, model in enumerate(topology.layers):
        if model.reads(before) != (before,) or getattr(model, "projection", None):
            raise PruneError(
                f"layer {model.name} reads another layer than the one before, or projects its "
                "state, so that units cannot be taken out of it; unit pruning takes chains"
            )
        if len(model.stack()) > 1:
            raise PruneError(
                f"layer {model.name} is a stack, whose layers would get sizes of their own; "
                "give each of them a layer in the network file"
            )
        before = model.name
        if model.type in _GATES:
            found.append(_stage(model, position))
        elif model.type not in _ELEMENTWISE:
            raise PruneError(
                f"layer {model.name} (={model.type}) mixes units, so that none can be taken out of "
                f"the network; unit pruning takes chains of {', '.join(_GATES)} and functions"
            )
    missing = [
        key
        for stage in found
        for key in (*stage.rows, stage.inputs, stage.recurrent)
        if key and key not in tensors
    ]
    if missing:
        raise PruneError(
            f"{missing[0]} is missing from the checkpoint; {nearest(missing[0], [*tensors])}"
        )
    if len(found) < 2:
        raise PruneError("units can be taken out between two layers with weights; there is one")
    return found


def _stage(model: Any, position: int) -> _Stage:
    prefix = model.prefix if model.prefix is not None else model.name
    dot = f"{prefix}." if prefix else ""
    gates, units = _GATES[model.type], getattr(model, _SIZES[model.type])
    if model.type == "linear":
        rows = (f"{dot}weight", *([f"{dot}bias"] if model.bias else []))
        return _Stage(model.name, position, units, gates, rows, f"{dot}weight", None)
    end = f"_l{model.index}"
    inputs, recurrent = f"{dot}weight_ih{end}", f"{dot}weight_hh{end}"
    biases = [f"{dot}bias_{what}{end}" for what in ("ih", "hh")] if model.bias else []
    return _Stage(
        model.name, position, units, gates, (inputs, recurrent, *biases), inputs, recurrent
    )


def _unit_norms(
    stage: _Stage, reader: _Stage, tensors: Mapping[str, np.ndarray], norm: str
) -> np.ndarray:
    """Return the norm of the weights that go away with each unit, (units,)."""

    def summands(key: str) -> np.ndarray:
        magnitudes = np.abs(tensors[key].astype(np.float64))
        return magnitudes if norm == "l1" else magnitudes**2

    total = summands(reader.inputs).sum(axis=0)
    for key in (stage.inputs, stage.recurrent):
        if key is None:
            continue
        values = summands(key).reshape(stage.gates, stage.units, -1)
        total = total + values.sum(axis=(0, 2))
        if key == stage.recurrent:  # columns too, but what is in both once
            diagonal = np.einsum("guu->u", values)
            total = total + values.sum(axis=(0, 1)) - diagonal
    return np.asarray(total if norm == "l1" else np.sqrt(total))


def _kept(
    norms: Mapping[str, np.ndarray], density: float, scope: str, densities: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Return the units that each layer keeps, ascending; never none."""
    if scope == "layer":
        masks = {n: strongest(found, densities.get(n, density)) for n, found in norms.items()}
    else:
        together = strongest(np.concatenate(list(norms.values())), density)
        ends = np.cumsum([len(found) for found in norms.values()])[:-1]
        masks = dict(zip(norms, np.split(together, ends), strict=True))
    for name, mask in masks.items():
        mask[np.argmax(norms[name])] = True
    return {name: np.flatnonzero(mask) for name, mask in masks.items()}


def _apply(
    topology: TopologyModel,
    tensors: Mapping[str, np.ndarray],
    stages: list[_Stage],
    kept: Mapping[str, np.ndarray],
) -> Shrunk:
    """Take out what is not kept: rows of every gate, and columns of those that read them."""
    small, models = dict(tensors), list(topology.layers)
    before: np.ndarray | None = None  # units that the stage before keeps; None: all
    outcomes = []
    for stage in stages:
        own = kept.get(stage.name)
        keys = dict.fromkeys(key for key in (*stage.rows, stage.inputs) if key)
        parameters = sum(tensors[key].size for key in keys)
        if before is not None:
            small[stage.inputs] = small[stage.inputs][:, before]
        if own is not None:
            rows = (np.arange(stage.gates)[:, None] * stage.units + own).ravel()
            for key in stage.rows:
                small[key] = small[key][rows]
            if stage.recurrent:
                small[stage.recurrent] = small[stage.recurrent][:, own]
            size = {_SIZES[models[stage.position].type]: len(own)}
            models[stage.position] = models[stage.position].model_copy(update=size)
        left = sum(small[key].size for key in keys)
        count = stage.units if own is None else len(own)
        outcomes.append(ShrunkLayer(stage.name, stage.units, count, parameters, left))
        before = own
    small = {key: np.ascontiguousarray(values) for key, values in small.items()}
    return Shrunk(topology.model_copy(update={"layers": tuple(models)}), small, tuple(outcomes))
