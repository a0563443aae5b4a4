"""Random weights for networks whose checkpoint is not to be had.

He initialisation (He et al. 2015: variance 2 / inputs of an output); batch norms then measure the
means and variances of what they see, layer by layer, so that about half of what goes into a ReLU is
cut off, as in trained networks. The weights are drawn in the order of the network file.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spusim.frontend.bind import wanted_keys
from spusim.frontend.chain import FRAME, FloatNetwork, last_reads
from spusim.frontend.checkpoint import Checkpoint
from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import FloatBatchNorm, FloatNode
from spusim.frontend.noise import noise_stream
from spusim.frontend.random_series import drawn_checkpoint
from spusim.frontend.topology import TopologyModel

RANDOM = "random:"
_EXAMPLE = "random:seed=0"
_PIXELS = 224 * 224  # of all images together, so that few positions at the end are enough
_MOST_IMAGES = 32
_PIECE = 1 << 16  # numbers drawn at once
_GAIN_SPREAD = 0.1  # of a batch norm's weights around 1, and biases around 0
_NORM_KEYS = {"running_mean": 0.0, "running_var": 1.0}


def is_random(source: object) -> bool:
    """Tell whether a source of weights is `random:seed=N`."""
    return str(source).startswith(RANDOM)


def random_checkpoint(topology: TopologyModel, source: str) -> Checkpoint:
    """Return a checkpoint of random float32 tensors, as `source`, random:seed=N, says.

    Batch norms have mean 0 and variance 1, until `measured_norms`. Networks of other inputs than
    images are drawn as `random_series` says. Raises TopologyError.
    """
    seed = _seed(source)
    if topology.input.picture is None:
        return drawn_checkpoint(topology, seed)
    rng = np.random.default_rng(seed)
    tensors = dict(_drawn(topology, rng))
    return Checkpoint(tensors, {name: "float32" for name in tensors})


def measured_norms(network: FloatNetwork, frames: np.ndarray) -> FloatNetwork:
    """Return a network whose batch norms have the statistics of frames (frames, in).

    Each one sees what those before it, already measured, make of the frames.
    """
    made = {FRAME: np.asarray(frames, dtype=np.float64)}
    starts = tuple(range(len(frames)))
    layers: list[FloatNode] = []
    gone = last_reads(network)
    for number, step in enumerate(network.steps):
        values = tuple(made[name] for name in step.inputs)
        layer = step.layer
        if isinstance(layer, FloatBatchNorm):
            layer = layer.measured(values[0])
        layers.append(layer)
        made[layer.name] = layer.forward(values, starts, lambda name, seen: None)
        for name in gone[number]:
            del made[name]
    return replace(network, layers=tuple(layers))


def measured(network: FloatNetwork, topology: TopologyModel, source: str) -> FloatNetwork:
    """Return a network over images, pruned or not, with batch norms measured, and a note.

    Others, whose checkpoint says that it was drawn, stay as they are.
    """
    picture = topology.input.picture
    if picture is None:
        return network
    note = f"the weights are random ({source}), and so is what the network makes of its input"
    network = replace(network, notes=(*network.notes, note))
    if not any(isinstance(layer, FloatBatchNorm) for layer in network.layers):
        return network
    count = min(_MOST_IMAGES, max(1, _PIXELS // (picture.height * picture.width)))
    return measured_norms(network, noise_stream(f"frames={count},seed=0", picture).frames)


def _drawn(topology: TopologyModel, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    shapes = wanted_keys(topology)
    for key, shape in shapes.items():
        last = key.rpartition(".")[2]
        if last in _NORM_KEYS:
            values = np.full(shape, _NORM_KEYS[last], np.float32)
        elif len(shape) >= 2:
            values = _normal(rng, 0.0, float(np.sqrt(2.0 / np.prod(shape[1:]))), shape)
        else:
            values = _normal(rng, 1.0 if last == "weight" else 0.0, _GAIN_SPREAD, shape)
        yield key, values


def _normal(
    rng: np.random.Generator, mean: float, deviation: float, shape: tuple[int, ...]
) -> np.ndarray:
    """Draw what rng.normal does as float32, in pieces: a whole one of float64 is not needed."""
    values = np.empty(shape, np.float32)
    flat = values.reshape(-1)
    for first in range(0, flat.size, _PIECE):
        piece = flat[first : first + _PIECE]
        piece[:] = rng.normal(mean, deviation, piece.size)
    return values


def _seed(source: str) -> int:
    key, _, number = source.removeprefix(RANDOM).partition("=")
    if key != "seed" or not number.isdecimal():
        raise TopologyError(
            f"weights (={source}) must be a checkpoint or random:seed=N with N from 0, e.g. "
            f"{_EXAMPLE}"
        )
    return int(number)
