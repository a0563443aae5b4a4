"""Quantising a network's checkpoint to a file of integers that gives that same network again."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spusim.frontend.bind import bind
from spusim.frontend.bounds import bounds
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.checkpoint import Checkpoint, read_checkpoint
from spusim.frontend.errors import CheckpointError, TopologyError
from spusim.frontend.integer_file import (
    RANGE,
    SCALE,
    Quantising,
    checkpoint_bytes,
    dequantise,
)
from spusim.frontend.layers import Peaks
from spusim.frontend.layers.base import BOUNDED_BITS, CALIBRATED_BITS
from spusim.frontend.layers.model import WeightedModel
from spusim.frontend.quantise import calibrate, quantise
from spusim.frontend.streams import check_stream
from spusim.frontend.topology import QuantiseModel, TopologyModel
from spusim.frontend.weights import quantise_matrix
from spusim.frontend.zero_points import asymmetric_activations
from spusim.network.graph import tensors_of
from spusim.network.identity import network_hash
from spusim.network.records import Join, Network, Stream

_STEM = re.compile(r"^(?P<layer>.*)\.[^.]*?(?P<end>_l\d+(_reverse)?)?$")


@dataclass(frozen=True)
class Quantised:
    """A quantised network; the tensors of its file; which weights are integers in it; all steps.

    kept: weights that stay real in the file, because their layer scales them in its own way.
    """

    network: Network
    tensors: dict[str, np.ndarray]
    integers: tuple[str, ...]
    kept: tuple[str, ...]
    steps: tuple[dict[str, Any], ...]

    def to_bytes(self) -> bytes:
        """Return a .safetensors file that `load_network` turns into the same network."""
        return checkpoint_bytes(self.tensors, self.steps)


def quantise_topology(
    network: FloatNetwork, topology: TopologyModel, calibration: Stream | Peaks
) -> Network:
    """Quantise a float network as its topology says."""
    how = topology.quantise
    quantised = quantise(
        network,
        calibration,
        weight_bits=topology.quantise.weights,
        activation_bits=topology.quantise.activations,
        input_bits=topology.input.bits,
        per_channel=topology.quantise.per_channel,
        dynamic=dynamic_layers(network, topology),
        wide_bits=CALIBRATED_BITS if how.input_range is None else BOUNDED_BITS,
    )
    quantised = replace(quantised, rate_hz=topology.input.rate, picture=topology.input.picture)
    return asymmetric_activations(quantised, how.activations) if how.asymmetric else quantised


def dynamic_layers(network: FloatNetwork, topology: TopologyModel) -> frozenset[str]:
    """Return the layers whose products find the scales of their operands at run time."""
    how = topology.quantise
    said: dict[str, str] = {}
    for layer in topology.layers:
        for name in (layer.name, *(each.name for each in layer.stack())):
            if name in how.layers:
                said |= dict.fromkeys([each.name for each in layer.stack()], how.layers[name])
                said[name] = how.layers[name]
    return frozenset(
        layer.name
        for layer in network.layers
        if layer.matrices and said.get(layer.name, how.scales) == "dynamic"
    )


def quantise_checkpoint(
    topology: TopologyModel, source: str | Path, calibration: Stream | None, calibrated_on: str
) -> Quantised:
    """Quantise a checkpoint for a topology; weights whose integers reproduce it become integers.

    calibration: None where the topology has an `input_range` in its place. Raises CheckpointError,
    TopologyError, StreamError or NetworkError.
    """
    found = read_checkpoint(source)
    if found.quantising:
        raise CheckpointError(f"{source}: is quantised already; bring the float checkpoint")
    topology = as_found(topology, found)
    if topology.prune:
        raise TopologyError(
            f"network {topology.name} prunes as well; prune first with `spusim prune`, and take "
            "`prune` out of the network file"
        )
    floats = bind(topology, found.tensors, str(source))
    peaks = ranges_of(floats, topology, calibration)

    def built(tensors: Mapping[str, np.ndarray]) -> Network:
        return quantise_topology(bind(topology, dict(tensors), str(source)), topology, peaks)

    network = built(found.tensors)
    tensors, integers, kept = _as_integers(found, topology, network, built)
    ranges = {RANGE + name: np.asarray(peak, dtype=np.float64) for name, peak in peaks.items()}
    step = _step(topology, calibration, calibrated_on)
    return Quantised(network, {**tensors, **ranges}, integers, kept, (*found.steps, step))


def check_quantised(
    source: str | Path, quantising: Quantising, network: FloatNetwork, topology: TopologyModel
) -> Peaks:
    """Return the ranges in a quantised file, if they are those of the network's tensors.

    Raises TopologyError.
    """
    nothing = Stream(np.zeros((1, network.input_size)), (0,), ("",))
    wanted = {name: peak.shape for name, peak in calibrate(network, nothing).items()}
    held = {name: peak.shape for name, peak in quantising.ranges.items()}
    if wanted != held or quantising.input != topology.input.bits:
        differing = sorted(
            name for name in {*wanted, *held} if wanted.get(name) != held.get(name)
        ) or ["input"]
        raise TopologyError(
            f"{source}: was quantised for network {quantising.network}, whose "
            f"{', '.join(differing)} differ from those of {topology.name}; quantise it again with "
            "`spusim quantize`"
        )
    return dict(quantising.ranges)


def quantised_topology(topology: TopologyModel, quantising: Quantising) -> TopologyModel:
    """Return a topology that quantises as a file was quantised, and prunes no more."""
    how = topology.quantise.model_copy(
        update={
            "weights": quantising.weights,
            "activations": quantising.activations,
            "per_channel": quantising.per_channel,
            "asymmetric": quantising.asymmetric,
            "scales": quantising.scales,
            "layers": dict(quantising.layers),
            "input_range": quantising.input_range,
        }
    )
    return topology.model_copy(update={"quantise": how, "prune": None})


def as_found(topology: TopologyModel, found: Checkpoint) -> TopologyModel:
    """Return a topology in which layers that PyTorch quantised dynamically are so here, too.

    Where it says itself how scales are found, that stays.
    """
    how = topology.quantise
    if found.quantising or not found.dynamic or "scales" in how.model_fields_set:
        return topology
    layers = {
        each.name: "dynamic"
        for each in topology.layers
        if isinstance(each, WeightedModel) and each.dot.removesuffix(".") in found.dynamic
    }
    changed = how.model_copy(update={"layers": {**layers, **how.layers}})
    return topology.model_copy(update={"quantise": changed})


def ranges_of(network: FloatNetwork, topology: TopologyModel, calibration: Stream | None) -> Peaks:
    """Return the ranges of a network's tensors, on a stream or as its `input_range` bounds them."""
    if calibration is None:
        assert topology.quantise.input_range is not None
        return bounds(network, topology.quantise.input_range)
    check_stream(calibration, network.input_size, "calibration stream")
    return calibrate(network, calibration)


def _as_integers(
    found: Checkpoint,
    topology: TopologyModel,
    network: Network,
    built: Callable[[Mapping[str, np.ndarray]], Network],
) -> tuple[dict[str, np.ndarray], tuple[str, ...], tuple[str, ...]]:
    """Put integers in the place of all weights that still give the same network."""
    same = network_hash(network)
    how = topology.quantise
    real, stored = dict(found.tensors), dict(found.tensors)
    integers: list[str] = []
    kept: list[str] = []
    for group in _groups(found.tensors):
        for names, ratio in _scalings(group, _ratios(network)):
            weights = {name: real[name] for name in names}
            codes = _codes(weights, how.weights, how.per_channel, ratio)
            tried = {name: dequantise(*pair, how.weights) for name, pair in codes.items()}
            if network_hash(built({**real, **tried})) != same:
                kept += names if len(names) == 1 else ()
                continue
            real |= tried
            for name, (code, scale) in codes.items():
                stored |= {name: code, name + SCALE: scale}
            integers += names
            if len(names) == len(group):
                break
    return stored, tuple(integers), tuple(kept)


def _groups(tensors: Mapping[str, np.ndarray]) -> Iterator[list[str]]:
    """Yield the weights of each layer: of an LSTM the two of one index together."""
    layers: dict[tuple[str, str, int], list[str]] = {}
    for name, values in tensors.items():
        if values.ndim >= 2 and values.size and values.dtype.kind == "f":
            match = _STEM.match(name)
            layer, end = (match["layer"], match["end"] or "") if match else (name, "")
            layers.setdefault((layer, end, len(values)), []).append(name)
    yield from layers.values()


def _scalings(group: list[str], ratios: tuple[float, ...]) -> Iterator[tuple[list[str], float]]:
    """Yield names and ratios of scales to try: all with one, all in a ratio, each its own."""
    if len(group) > 1:
        yield group, 1.0
    if len(group) == 2:
        yield from ((group, ratio) for ratio in ratios)
    yield from (([name], 1.0) for name in group)


def _ratios(network: Network) -> tuple[float, ...]:
    """Return the ratios of units that meet in an operand, both ways round."""
    exponents = {each.name: each.quantum.exponent for each in tensors_of(network)}
    ratios = {
        2.0 ** (exponents[a] - exponents[b])
        for node in network.nodes
        if isinstance(node, Join)
        for a in node.inputs
        for b in node.inputs
    }
    return tuple(sorted(ratios - {1.0}))


def _codes(
    weights: Mapping[str, np.ndarray], bits: int | str, per_channel: bool, ratio: float = 1.0
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Quantise weights (rows, ...) of one layer with scales in common: codes and scales each.

    ratio: the first weight's scale over that of the others.
    """
    flat = [values.astype(np.float64).reshape(len(values), -1) for values in weights.values()]
    factors = [1.0, *(ratio for _ in flat[1:])]
    flat = [values * factor for values, factor in zip(flat, factors, strict=True)]
    matrix = quantise_matrix(np.concatenate(flat, axis=1), None, bits, per_channel, 1.0, 1.0)
    parts = np.split(matrix.weight, np.cumsum([part.shape[1] for part in flat])[:-1], axis=1)
    return {
        name: (part.reshape(values.shape), matrix.units / factor)
        for (name, values), part, factor in zip(weights.items(), parts, factors, strict=True)
    }


def _step(
    topology: TopologyModel, calibration: Stream | None, calibrated_on: str
) -> dict[str, Any]:
    how = topology.quantise
    return {
        "command": "quantize",
        "network": topology.name,
        "weights": how.weights,
        "activations": how.activations,
        "input": topology.input.bits,
        "per_channel": how.per_channel,
        "asymmetric": how.asymmetric,
        **_scales(how),
        "calibrated_on": calibrated_on,
        "frames": len(calibration.frames) if calibration else 0,
    }


def _scales(how: QuantiseModel) -> dict[str, Any]:
    """Return what a file says of scales that are found at run time; nothing where none is."""
    if how.scales == "static" and not how.layers:
        return {}
    return {"scales": how.scales, "layers": dict(how.layers), "input_range": how.input_range}
