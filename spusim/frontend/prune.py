"""Magnitude pruning of float matrices, by element or by pencil."""

import re
from collections.abc import Mapping

import numpy as np

from spusim.frontend.errors import PruneError


def pencil_rows(structure: str) -> int:
    """Return the rows kept or dropped together: 1 for `element`, N for `pencil:N`.

    Raises PruneError for anything else.
    """
    if structure == "element":
        return 1
    match = re.fullmatch(r"pencil:([1-9]\d{0,3})", structure)
    if not match:
        raise PruneError(
            f"prune.structure (={structure}) is unknown; use element or pencil:N, e.g. pencil:8"
        )
    return int(match[1])


def prune_matrix(weight: np.ndarray, density: float, structure: str = "element") -> np.ndarray:
    """Return a copy of weight (out, in) that keeps round(density * count) elements or pencils.

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
) -> dict[str, np.ndarray]:
    """Prune matrices (out, in), each to `density` (or its own in `densities`), or all together.

    scope `layer`: every matrix keeps exactly round(density * count) elements or pencils; scope
    `global`: all together do, by one threshold. Raises PruneError.
    """
    rows = pencil_rows(structure)
    wanted = {name: (densities or {}).get(name, density) for name in weights}
    for name, value in wanted.items():
        _check(name, weights[name], value)
    norms = {name: _norms(weight, rows) for name, weight in weights.items()}
    if scope == "layer":
        kept = {name: _strongest(norm, wanted[name]) for name, norm in norms.items()}
    elif scope == "global":
        kept = _strongest_of_all(norms, density)
    else:
        raise PruneError(f"prune.scope (={scope}) is unknown; use layer or global")
    return {name: _masked(weights[name], kept[name], rows) for name in weights}


def _check(name: str, weight: np.ndarray, density: float) -> None:
    if not 0.0 <= density <= 1.0:
        raise PruneError(f"density of {name} (={density}) must be from 0 to 1, the fraction kept")
    if weight.ndim != 2:
        raise PruneError(f"{name} has shape {weight.shape}; only matrices (out, in) are pruned")


def _norms(weight: np.ndarray, rows: int) -> np.ndarray:
    """L2 norm of every pencil: weight (out, in) -> (ceil(out / rows), in)."""
    magnitudes = np.abs(weight.astype(np.float64))
    if rows == 1:
        return np.asarray(magnitudes)
    padded = np.pad(magnitudes, ((0, -len(weight) % rows), (0, 0)))
    return np.asarray(np.linalg.norm(padded.reshape(-1, rows, weight.shape[1]), axis=1))


def _strongest(norms: np.ndarray, density: float) -> np.ndarray:
    order = np.argsort(-norms, axis=None, kind="stable")
    kept = np.zeros(norms.size, dtype=bool)
    kept[order[: round(density * norms.size)]] = True
    return kept.reshape(norms.shape)


def _strongest_of_all(norms: Mapping[str, np.ndarray], density: float) -> dict[str, np.ndarray]:
    kept = _strongest(np.concatenate([norm.ravel() for norm in norms.values()]), density)
    ends = np.cumsum([norm.size for norm in norms.values()])[:-1]
    parts = zip(norms.items(), np.split(kept, ends), strict=True)
    return {name: part.reshape(norm.shape) for (name, norm), part in parts}


def _masked(weight: np.ndarray, kept: np.ndarray, rows: int) -> np.ndarray:
    mask = np.repeat(kept, rows, axis=0)[: len(weight)]
    return np.where(mask, weight, np.zeros((), dtype=weight.dtype))
