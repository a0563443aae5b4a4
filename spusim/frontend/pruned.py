"""Pruning the weights of a checkpoint, and telling what was done."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from spusim.frontend.checkpoint import Checkpoint, read_checkpoint
from spusim.frontend.errors import PruneError
from spusim.frontend.integer_file import checkpoint_bytes
from spusim.frontend.prune import prune_matrices
from spusim.frontend.structures import parse_structure
from spusim.frontend.yaml_file import nearest


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
) -> Pruned:
    """Prune the weights of a checkpoint by magnitude; biases stay as they are.

    structure: element, pencil:N, block:RxC, row, column, filter, channel, kernel or n_of_m:N:M;
    density: fraction of groups kept (not for n_of_m), per `layer` or `global` by one threshold;
    norm of a group: l1 or l2; layers: patterns of names (`lstm*`) to prune, default all weights.
    Weights are float tensors of two dimensions or more. Raises CheckpointError or PruneError.
    """
    found = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint)
    fixed = parse_structure(structure).m > 0
    if fixed != (density is None):
        rule = "sets its own density; leave density out" if fixed else "needs a density, 0 to 1"
        raise PruneError(f"prune.structure (={structure}) {rule}")
    if found.quantising:
        raise PruneError("the checkpoint is quantised already; prune its float weights, then it")
    names = _chosen(found, layers)
    kept = 1.0 if density is None else density
    pruned = prune_matrices(
        {name: found.tensors[name] for name in names}, kept, structure, scope, norm=norm
    )
    weights = tuple(_outcome(name, found.tensors[name], pruned[name]) for name in names)
    step: dict[str, Any] = {"command": "prune", "structure": structure, "norm": norm}
    if not fixed:
        step |= {"density": density, "scope": scope}
    step["densities"] = {weight.name: round(weight.density, 6) for weight in weights}
    return Pruned({**found.tensors, **pruned}, weights, (*found.steps, step), found.forms)


def _chosen(found: Checkpoint, patterns: Sequence[str]) -> list[str]:
    """Return the weights that a pattern matches, in the file's order. Raises PruneError."""
    weights = [
        name
        for name, values in found.tensors.items()
        if values.ndim >= 2 and values.size and values.dtype.kind == "f"
    ]
    if not weights:
        raise PruneError("the checkpoint has no float weight of two dimensions or more to prune")
    chosen = set(weights) if not patterns else set()
    for pattern in patterns:
        matched = [name for name in weights if fnmatchcase(name, pattern) or _under(name, pattern)]
        if not matched:
            raise PruneError(f"layers (={pattern}) matches no weight; {nearest(pattern, weights)}")
        chosen.update(matched)
    return [name for name in weights if name in chosen]


def _under(name: str, pattern: str) -> bool:
    """Tell whether a pattern matches the layer that a weight belongs to."""
    return fnmatchcase(name.rpartition(".")[0], pattern)


def _outcome(name: str, before: np.ndarray, after: np.ndarray) -> PrunedWeight:
    return PrunedWeight(
        name, before.shape, int(np.count_nonzero(before)), int(np.count_nonzero(after))
    )
