"""Pruning the weights of a checkpoint, and telling what was done."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from spusim.errors import nearest
from spusim.frontend.checkpoint import Checkpoint, read_checkpoint
from spusim.frontend.errors import PruneError
from spusim.frontend.integer_file import checkpoint_bytes
from spusim.frontend.prune import prune_matrices
from spusim.frontend.shrink import Shrunk, shrink_network
from spusim.frontend.structures import parse_structure
from spusim.frontend.topology_file import load_topology


@dataclass(frozen=True)
class PrunedWeight:
    """What became of one weight: nonzero elements before and after, of how many."""

    name: str
    shape: tuple[int, ...]
    nonzeros_before: int
    nonzeros: int

    @property
    def density(self) -> float:
        """Fraction of elements that are not zero."""
        return self.nonzeros / math.prod(self.shape)


@dataclass(frozen=True)
class Pruned:
    """All tensors of a checkpoint after pruning; what became of each weight; all steps so far."""

    tensors: dict[str, np.ndarray]
    weights: tuple[PrunedWeight, ...]
    steps: tuple[dict[str, Any], ...]
    forms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what people should know of it

    @property
    def density(self) -> float:
        """Fraction of the pruned weights' elements that are not zero."""
        whole = sum(math.prod(weight.shape) for weight in self.weights)
        return sum(weight.nonzeros for weight in self.weights) / whole

    def to_bytes(self) -> bytes:
        """Return a .safetensors file that records what was done; the same every time."""
        return checkpoint_bytes(self.tensors, self.steps)


def prune_checkpoint(
    checkpoint: str | Path | Checkpoint,
    structure: str = "element",
    density: float | None = None,
    *,
    scope: str = "layer",
    norm: str = "l2",
    layers: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Pruned:
    """Prune the weights of a checkpoint by magnitude; biases stay as they are.

    structure: element, pencil:N, block:RxC, row, column, filter, channel, kernel or n_of_m:N:M
    (2:4 for short; units go with `shrink_checkpoint`); density: fraction of groups kept (not for
    n_of_m), per `layer` or `global` by one threshold; norm of a group: l1 or l2; layers: patterns
    of names (`lstm*`) to prune, default all weights; exclude: of those to leave alone.
    Weights are float tensors of two dimensions or more: a file does not tell which of them are
    a transform's basis or an embedding's table, and are better excluded. Raises CheckpointError
    or PruneError.
    """
    found = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint)
    fixed = parse_structure(structure).m > 0
    if fixed != (density is None):
        rule = "sets its own density; leave density out" if fixed else "needs a density, 0 to 1"
        raise PruneError(f"prune.structure (={structure}) {rule}")
    if found.quantising:
        raise PruneError("the checkpoint is quantised already; prune its float weights, then it")
    names = _chosen(found, layers, exclude)
    kept = 1.0 if density is None else density
    pruned = prune_matrices(
        {name: found.tensors[name] for name in names}, kept, structure, scope, norm=norm
    )
    weights = tuple(_outcome(name, found.tensors[name], pruned[name]) for name in names)
    step: dict[str, Any] = {"command": "prune", "structure": structure, "norm": norm}
    if not fixed:
        step |= {"density": density, "scope": scope}
    step["densities"] = {weight.name: round(weight.density, 6) for weight in weights}
    notes = tuple(
        f"{name}: {short}"
        for name in names
        if (short := parse_structure(structure).cut_short(found.tensors[name].shape))
    )
    return Pruned({**found.tensors, **pruned}, weights, (*found.steps, step), found.forms, notes)


def shrink_checkpoint(
    checkpoint: str | Path | Checkpoint,
    network: str | Path,
    density: float,
    *,
    scope: str = "layer",
    norm: str = "l2",
    layers: Sequence[str] = (),
    output: Path | None = None,
) -> tuple[Shrunk, bytes, bytes]:
    """Take hidden units out of a network and of its checkpoint; see `shrink_network`.

    Returns what became of the layers, a .safetensors file of the smaller tensors, and a network
    file with the smaller sizes, comments and all, for the folder of `output`, the checkpoint that
    it names. network: the network file's path. Raises CheckpointError, TopologyError or PruneError.
    """
    found = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint)
    if found.quantising:
        raise PruneError("the checkpoint is quantised already; prune its float weights, then it")
    path = Path(network)
    shrunk = shrink_network(
        load_topology(path), found.tensors, density, scope=scope, norm=norm, layers=layers
    )
    step = {
        "command": "prune", "structure": "unit", "norm": norm, "density": density, "scope": scope,
        "units": {layer.name: [layer.units_before, layer.units] for layer in shrunk.layers},
    }  # fmt: skip
    image = checkpoint_bytes(shrunk.tensors, (*found.steps, step))
    return shrunk, image, _smaller_file(path, shrunk, output)


def _smaller_file(path: Path, shrunk: Shrunk, output: Path | None) -> bytes:
    """Return a network file with a shrunken network's sizes."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(path.read_text(encoding="utf-8"))
    for position, (key, size) in shrunk.sizes.items():
        tree["layers"][position][key] = size
    if isinstance(tree.get("prune"), dict) and tree["prune"].get("structure") == "unit":
        del tree["prune"]  # is done
    if output is not None:
        tree["weights"] = output.name
        calibrate = (tree.get("quantise") or {}).get("calibrate")
        if calibrate and (path.parent / calibrate.partition(":")[0]).is_file():
            moved = os.path.relpath(path.parent.absolute() / calibrate, output.absolute().parent)
            tree["quantise"]["calibrate"] = moved
    text = StringIO()
    yaml.dump(tree, text)
    return text.getvalue().encode()


def _chosen(found: Checkpoint, layers: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """Return the weights to prune, in the file's order. Raises PruneError."""
    weights = [
        name
        for name, values in found.tensors.items()
        if values.ndim >= 2 and values.size and values.dtype.kind == "f"
    ]
    if not weights:
        raise PruneError("the checkpoint has no float weight of two dimensions or more to prune")
    chosen = _matched(weights, layers, "layers") if layers else set(weights)
    chosen -= _matched(weights, exclude, "exclude")
    if not chosen:
        raise PruneError(f"exclude (={', '.join(exclude)}) leaves no weight to prune; drop some")
    return [name for name in weights if name in chosen]


def _matched(weights: Sequence[str], patterns: Sequence[str], what: str) -> set[str]:
    """Return the weights that patterns match, each one some. Raises PruneError."""
    found: set[str] = set()
    for pattern in patterns:
        matched = [name for name in weights if fnmatchcase(name, pattern) or _under(name, pattern)]
        if not matched:
            raise PruneError(f"{what} (={pattern}) matches no weight; {nearest(pattern, weights)}")
        found.update(matched)
    return found


def _under(name: str, pattern: str) -> bool:
    """Tell whether a pattern matches the layer that a weight belongs to."""
    return fnmatchcase(name.rpartition(".")[0], pattern)


def _outcome(name: str, before: np.ndarray, after: np.ndarray) -> PrunedWeight:
    return PrunedWeight(
        name, before.shape, int(np.count_nonzero(before)), int(np.count_nonzero(after))
    )
