"""Magnitude pruning of float weights, by element or by any structure of `structures`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spusim.frontend.errors import PruneError
from spusim.frontend.structures import Structure, parse_structure

NORMS = ("l1", "l2")


@dataclass(frozen=True)
class _Groups:
    """A weight's groups: the number of each element's (out, others), and their norms."""

    numbers: np.ndarray
    norms: np.ndarray


def prune_matrix(weight: np.ndarray, density: float, structure: str = "element") -> np.ndarray:
    """Return a copy of weight (out, in) that keeps round(density * count) elements or groups.

    A pencil is N consecutive output rows of one input column (fewer at the last rows); the
    strongest by L2 norm are kept, of equals the first in row-major order. Raises PruneError.
    """
    return prune_matrices({"weight": weight}, density, structure)["weight"]


def prune_matrices(
    weights: Mapping[str, np.ndarray],
    density: float,
    structure: str = "element",
    scope: str = "layer",
    densities: Mapping[str, float] | None = None,
    norm: str = "l2",
) -> dict[str, np.ndarray]:
    """Prune weights (out, in, ...), each to `density` (or its own in `densities`), or together.

    structure: element, pencil:N, block:RxC, row (filter), column, channel, kernel or n_of_m:N:M
    (`2:4` for short). scope `layer`: every weight keeps exactly round(density * count) groups;
    scope `global`: all together do, by one threshold. Groups compare by their L1 or L2 norm, of
    equals the first is kept. n_of_m keeps the N strongest of M consecutive outputs of an input
    (n_of_m:N:M:inputs: of M inputs of an output), whatever `density`. Raises PruneError.
    """
    shape = parse_structure(structure)
    wanted = {name: (densities or {}).get(name, density) for name in weights}
    for name, value in wanted.items():
        _check(name, weights[name], value)
    if scope not in ("layer", "global"):
        raise PruneError(f"prune.scope (={scope}) is unknown; use layer or global")
    if norm not in NORMS:
        raise PruneError(f"norm (={norm}) is unknown; use l1 or l2")
    if shape.m:
        return {name: _n_of_m(weight, shape) for name, weight in weights.items()}
    groups = {name: _groups(name, weight, shape, norm) for name, weight in weights.items()}
    if scope == "layer":
        kept = {name: strongest(found.norms, wanted[name]) for name, found in groups.items()}
    else:
        kept = _strongest_of_all({name: found.norms for name, found in groups.items()}, density)
    return {
        name: _masked(weight, kept[name][groups[name].numbers]) for name, weight in weights.items()
    }


def _check(name: str, weight: np.ndarray, density: float) -> None:
    if not 0.0 <= density <= 1.0:
        raise PruneError(f"density of {name} (={density}) must be from 0 to 1, the fraction kept")
    if weight.ndim < 2 or weight.size == 0:
        raise PruneError(
            f"{name} has shape {weight.shape}; only weights (out, in) or (out, in, size...) are "
            "pruned"
        )


def _groups(name: str, weight: np.ndarray, structure: Structure, norm: str) -> _Groups:
    """Return the groups of a weight."""
    try:
        numbers = structure.groups(weight.shape)
    except PruneError as error:
        raise PruneError(f"{name} {error}") from None
    magnitudes = np.abs(weight.astype(np.float64)).reshape(len(weight), -1)
    summands = magnitudes if norm == "l1" else magnitudes**2
    sums = np.bincount(numbers.ravel(), weights=summands.ravel())
    return _Groups(numbers, sums if norm == "l1" else np.sqrt(sums))


def strongest(norms: np.ndarray, density: float) -> np.ndarray:
    """Return which round(density * n) of norms (n,) are the largest, of equals the first: bool."""
    order = np.argsort(-norms, kind="stable")
    kept = np.zeros(norms.size, dtype=bool)
    kept[order[: round(density * norms.size)]] = True
    return kept


def _strongest_of_all(norms: Mapping[str, np.ndarray], density: float) -> dict[str, np.ndarray]:
    kept = strongest(np.concatenate(list(norms.values())), density)
    ends = np.cumsum([norm.size for norm in norms.values()])[:-1]
    return dict(zip(norms, np.split(kept, ends), strict=True))


def _n_of_m(weight: np.ndarray, structure: Structure) -> np.ndarray:
    """Keep the N strongest of every M consecutive outputs or inputs (fewer at the end)."""
    magnitudes = np.abs(weight.astype(np.float64)).reshape(len(weight), -1)
    lines = magnitudes if structure.inputs else magnitudes.T
    padded = np.pad(lines, ((0, 0), (0, -lines.shape[1] % structure.m)), constant_values=-1.0)
    groups = padded.reshape(len(lines), -1, structure.m)
    order = np.argsort(-groups, axis=2, kind="stable")
    kept = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(kept, order[:, :, : structure.n], True, axis=2)
    kept = kept.reshape(len(lines), -1)[:, : lines.shape[1]]
    return _masked(weight, kept if structure.inputs else kept.T)


def _masked(weight: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return np.where(kept.reshape(weight.shape), weight, np.zeros((), dtype=weight.dtype))
