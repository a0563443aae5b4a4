"""From a network's name or file to the quantised Network: topology, checkpoint, prune, quantise."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spusim.errors import nearest
from spusim.frontend.bind import bind
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.checkpoint import Checkpoint, read_checkpoint
from spusim.frontend.errors import TopologyError
from spusim.frontend.fold import fold_image_norms
from spusim.frontend.infer import settled_text
from spusim.frontend.layers import FloatNode
from spusim.frontend.noise import PREFIX as NOISE
from spusim.frontend.profiled import find_profile, profiled
from spusim.frontend.prune import prune_matrices
from spusim.frontend.quantised import (
    Quantised,
    as_found,
    check_quantised,
    quantise_checkpoint,
    quantise_topology,
    quantised_topology,
    ranges_of,
)
from spusim.frontend.random_weights import is_random, measured, random_checkpoint
from spusim.frontend.shipped_streams import REGISTRY_NAME, stream_registry
from spusim.frontend.shrink import shrink_network
from spusim.frontend.streams import load_stream
from spusim.frontend.structures import parse_structure
from spusim.frontend.topology import PruneModel, TopologyModel
from spusim.frontend.topology_file import load_topology, parse_topology
from spusim.frontend.wiring import unstacked
from spusim.network.records import Network, Stream
from spusim.resources import shipped


def load_network(
    name_or_path: str | Path | None,
    checkpoint: str | Path | None = None,
    calibrate: str | Stream | None = None,
    settings: Sequence[str] = (),
    calibrate_else: str | None = None,
) -> Network:
    """Return the quantised network that a network file describes.

    name_or_path: a network file (.yaml) or a shipped name; None: what the checkpoint's names and
    shapes settle. checkpoint and calibrate take the
    place of the file's `weights` and `quantise.calibrate`; settings such as
    `quantise.per_channel=true` or `prune.density=0.2` that of its keys. calibrate_else serves
    where neither the file nor `calibrate` names a stream. Raises TopologyError, CheckpointError,
    PruneError, StreamError or NetworkError.
    """
    path, topology, inferred = open_topology(name_or_path, checkpoint, settings)
    source = _source(path, topology, checkpoint)
    found = read_weights(source, topology)
    if found.quantising:
        _check_settings(source, settings)
        topology = quantised_topology(topology, found.quantising)
    topology = as_found(topology, found)
    network = _float_network(path, topology, found, source)
    quantising = found.quantising
    del found  # pruned weights are others, and both need not be kept
    # as quantising does, but here in place: a large network is not to be there twice
    network = replace(network, notes=(*inferred, *network.notes))
    network = fold_image_norms(network, given_up=True)
    if quantising and calibrate is None:
        ranges = check_quantised(source, quantising, network, topology)
        return quantise_topology(network, topology, ranges)
    if topology.quantise.input_range is not None:
        _check_no_stream(path, topology, calibrate)
        return quantise_topology(network, topology, ranges_of(network, topology, None))
    if calibrate is None and topology.quantise.calibrate is None:
        calibrate = calibrate_else
    stream = _calibration(path, topology, calibrate)
    if calibrate is not None:  # else the network file tells
        note = _quantising_note(topology, calibrate)
        network = replace(network, notes=(*network.notes, note))
    return quantise_topology(network, topology, stream)


def open_topology(
    name_or_path: str | Path | None,
    checkpoint: str | Path | None = None,
    settings: Sequence[str] = (),
) -> tuple[Path, TopologyModel, tuple[str, ...]]:
    """Return a network's file, what it says, and notes on that.

    Without a network: the checkpoint, and what its names and shapes settle. Raises TopologyError,
    also naming what they do not settle, or CheckpointError.
    """
    if name_or_path is not None:
        path = find_network(name_or_path)
        return path, load_topology(path, settings), ()
    if checkpoint is None:
        raise TopologyError("neither a network nor a checkpoint is given; name one of them")
    text, note = settled_text(read_checkpoint(checkpoint).tensors, checkpoint)
    inferred = Path(f"{checkpoint} (inferred)")
    return Path(checkpoint), parse_topology(text, inferred, settings), (note,)


def load_float_network(
    path: Path, topology: TopologyModel, checkpoint: str | Path | None = None
) -> FloatNetwork:
    """Return a network file's layers with the checkpoint's weights, pruned if it says so."""
    source = _source(path, topology, checkpoint)
    return _float_network(path, topology, read_weights(source, topology), source)


def read_weights(source: str | Path, topology: TopologyModel) -> Checkpoint:
    """Return a checkpoint, or random weights for a topology. Raises CheckpointError."""
    if is_random(source):
        return random_checkpoint(topology, str(source))
    return read_checkpoint(source)


def quantise_file(
    name_or_path: str | Path | None,
    checkpoint: str | Path | None = None,
    calibrate: str | Stream | None = None,
    settings: Sequence[str] = (),
) -> Quantised:
    """Quantise as `load_network` does, to a file of integers that gives the same network again.

    Same arguments and errors.
    """
    path, topology, _ = open_topology(name_or_path, checkpoint, settings)
    source = _source(path, topology, checkpoint)
    if isinstance(source, str):
        raise TopologyError(
            f"{path}: has no weights to quantise (weights: {source} draws them); bring a checkpoint"
        )
    if topology.quantise.input_range is not None:
        _check_no_stream(path, topology, calibrate)
        return quantise_checkpoint(topology, source, None, "nothing")
    stream = _calibration(path, topology, calibrate)
    return quantise_checkpoint(topology, source, stream, _calibration_name(topology, calibrate))


def prune_network(network: FloatNetwork, how: PruneModel) -> FloatNetwork:
    """Return a network with its matrices (an LSTM has two) pruned, and a note that says so."""
    weights = {
        (layer.name, key): getattr(layer, key) for layer in network.layers for key in layer.matrices
    }
    labelled = {f"{layer}.{key}": weight for (layer, key), weight in weights.items()}
    densities = {
        f"{layer}.{key}": how.layers[layer] for layer, key in weights if layer in how.layers
    }
    pruned = prune_matrices(labelled, how.density, how.structure, how.scope, densities)
    kept = sum(int(np.count_nonzero(weight)) for weight in pruned.values())
    total = sum(weight.size for weight in pruned.values())
    note = f"pruned by {how.structure}, scope {how.scope}: {kept} of {total} weights are left"
    shape = parse_structure(how.structure)
    short = [
        f"{name}: {said}"
        for name, weight in labelled.items()
        if (said := shape.cut_short(weight.shape))
    ]
    return replace(
        network,
        layers=tuple(_with_weights(layer, pruned) for layer in network.layers),
        notes=(*network.notes, note, *short),
    )


def list_networks() -> dict[str, Path]:
    """Return the shipped networks' files by name."""
    folder = shipped("configs") / "networks"
    return {path.stem: path for path in sorted(folder.glob("*.yaml")) if path.name != REGISTRY_NAME}


def list_streams() -> dict[str, str]:
    """Return the shipped streams' descriptions by name."""
    return {name: entry.description for name, entry in stream_registry().items()}


def find_network(name_or_path: str | Path) -> Path:
    """Return the network file that a path or a shipped name means. Raises TopologyError."""
    path = Path(name_or_path)
    if path.suffix.lower() in (".yaml", ".yml"):
        if path.is_file():
            return path
        raise TopologyError(f"{path}: no such file; check the path, or name a shipped network")
    networks = list_networks()
    if str(name_or_path) not in networks:
        raise TopologyError(
            f"network {name_or_path} is neither a .yaml file nor shipped; "
            f"{nearest(str(name_or_path), list(networks))}"
        )
    return networks[str(name_or_path)]


def _source(path: Path, topology: TopologyModel, checkpoint: str | Path | None) -> Path | str:
    """Return the checkpoint's path, or how the weights are drawn."""
    if is_random(checkpoint):
        return str(checkpoint)
    if checkpoint is not None:
        if topology.obtain and not Path(checkpoint).exists():
            raise TopologyError(f"{checkpoint}: no such file; {topology.obtain}")
        return Path(checkpoint)
    if topology.weights is None and topology.obtain:
        raise TopologyError(f"{path}: ships without its weights; {topology.obtain}")
    if topology.weights is None:
        raise TopologyError(
            f"{path}: names no weights, and no checkpoint was given; add `weights: FILE`"
        )
    return topology.weights if is_random(topology.weights) else path.parent / topology.weights


def _float_network(
    path: Path, topology: TopologyModel, found: Checkpoint, source: Path | str
) -> FloatNetwork:
    topology = unstacked(topology)
    how = None if found.quantising else topology.prune
    tensors, units = found.tensors, ""
    if how and how.structure == "unit":
        shrunk = shrink_network(
            topology, tensors, how.density, scope=how.scope, densities=how.layers
        )
        topology, tensors, units = shrunk.topology, shrunk.tensors, shrunk.told
    network = bind(topology, tensors, str(source))
    if units:
        network = replace(network, notes=(*network.notes, units))
    if isinstance(source, str):
        network = replace(network, notes=(*network.notes, *found.forms))
    if found.requantised:
        names = ", ".join(found.requantised)
        note = f"stored as integers, whose real values are quantised anew: {names}"
        network = replace(network, notes=(*network.notes, note))
    if how and how.profile:
        profile = find_profile(how.profile, path.parent)
        network = profiled(network, profile, how, topology.quantise)
    elif how and not units:  # a quantised file was pruned before, and its zeros are part of it
        network = prune_network(network, how)
    return measured(network, topology, str(source)) if is_random(source) else network


def _quantising_note(topology: TopologyModel, calibrate: str | Stream | None) -> str:
    how = topology.quantise
    return (
        f"quantised to int{how.weights} weights and int{how.activations} activations, calibrated "
        f"on {_calibration_name(topology, calibrate)}"
    )


def _calibration_name(topology: TopologyModel, calibrate: str | Stream | None) -> str:
    named = topology.quantise.calibrate if calibrate is None else calibrate
    return Path(named).name if isinstance(named, str) else "a stream"


def _check_settings(source: Path | str, settings: Sequence[str]) -> None:
    """Refuse to prune or quantise in another way what is quantised already."""
    for setting in settings:
        if setting.startswith(("prune.", "quantise.")) and "quantise.calibrate" not in setting:
            raise TopologyError(
                f"{source}: is quantised already, so {setting} comes too late; give it to "
                "`spusim quantize`, or bring the float checkpoint"
            )


def _with_weights(layer: FloatNode, weights: dict[str, np.ndarray]) -> FloatNode:
    changes: dict[str, Any] = {key: weights[f"{layer.name}.{key}"] for key in layer.matrices}
    return replace(layer, **changes)


def _check_no_stream(path: Path, topology: TopologyModel, given: str | Stream | None) -> None:
    if given is not None:
        raise TopologyError(
            f"{path}: quantise.input_range (={topology.quantise.input_range:g}) takes the place of "
            "a calibration stream, and one was given; leave one of them out"
        )


def _calibration(path: Path, topology: TopologyModel, calibrate: str | Stream | None) -> Stream:
    if isinstance(calibrate, Stream):
        return calibrate
    if calibrate is not None:
        return load_stream(calibrate, framing=topology.input.framing)
    spec = topology.quantise.calibrate
    if spec is None:
        raise TopologyError(
            f"{path}: names no quantise.calibrate, and no calibration stream was given; "
            "quantising needs typical frames to choose ranges: add `quantise: {calibrate: STREAM}`"
        )
    if spec in stream_registry():
        return load_stream(spec)
    if spec.startswith(NOISE):
        return load_stream(spec, framing=topology.input.framing)
    return load_stream(str(path.parent / spec), framing=topology.input.framing)
