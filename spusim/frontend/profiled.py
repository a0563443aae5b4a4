"""Pruning a network to the counts of a sparsity profile, by random masks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spusim.errors import nearest
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.checkpoint import Checkpoint
from spusim.frontend.errors import PruneError
from spusim.frontend.profile_masks import MaskFit, draw_masks
from spusim.frontend.sparsity_profile import SparsityProfile, read_profile
from spusim.frontend.topology import PruneModel, QuantiseModel
from spusim.frontend.weight_formats import LARGEST, weight_format
from spusim.resources import shipped

_SHOWN = 8  # layers that a note names
_LEAST = 2.0**-20  # of the largest weight: no kept one is zero


def find_profile(name_or_path: str, folder: Path) -> SparsityProfile:
    """Return the profile that a shipped name, or a path from `folder` on, means.

    Raises PruneError.
    """
    known = list_profiles()
    if name_or_path in known:
        return read_profile(known[name_or_path])
    path = folder / name_or_path
    if not path.is_file():
        raise PruneError(
            f"sparsity profile {name_or_path} is neither a CSV file nor shipped; "
            f"{nearest(name_or_path, list(known))}"
        )
    return read_profile(path)


def list_profiles() -> dict[str, Path]:
    """Return the shipped profiles' files by name."""
    folder = shipped("configs") / "published"
    return {path.stem: path for path in sorted(folder.glob("*_pruned_*.csv"))}


def profiled(
    network: FloatNetwork, profile: SparsityProfile, prune: PruneModel, quantise: QuantiseModel
) -> FloatNetwork:
    """Return a network with exactly a profile's nonzeros, and notes that tell how the rest fits.

    Kept weights too small for the number format are made as large as its smallest, lest quantising
    makes them zero. The network's own weights are written to where that can be done, since a large
    network is not to be there twice. Raises PruneError if profile and network differ.
    """
    weights = {
        f"{layer.name}.{key}": getattr(layer, key)
        for layer in network.layers
        for key in layer.matrices
    }
    shapes = {name: weight.shape for name, weight in weights.items()}
    least = 1.0 / LARGEST[weight_format(quantise.weights)]
    own, fits = network.owner(), list[MaskFit]()
    for name, mask, fit in draw_masks(profile, shapes, prune.seed, prune.structured):
        weight = weights[name]
        out = weight if own(weight) else weight.copy()
        weights[name] = masked(out, mask, least, quantise.per_channel, out)
        fits.append(fit)
    layers = []
    for layer in network.layers:
        changes: dict[str, Any] = {key: weights[f"{layer.name}.{key}"] for key in layer.matrices}
        layers.append(replace(layer, **changes))
    notes = tuple(profile_notes(profile, shapes, fits))
    return replace(network, layers=tuple(layers), notes=(*network.notes, *notes))


def with_profile(
    checkpoint: Checkpoint, profile: SparsityProfile, seed: int = 0
) -> tuple[Checkpoint, tuple[str, ...]]:
    """Return a checkpoint with a profile's masks on its weights, and notes on the fit.

    Raises PruneError if profile and checkpoint differ.
    """
    shapes = {key: values.shape for key, values in checkpoint.tensors.items() if values.ndim > 1}
    tensors, fits = dict(checkpoint.tensors), list[MaskFit]()
    for key, mask, fit in draw_masks(profile, shapes, seed):
        tensors[key] = masked(tensors[key], mask, _LEAST, per_channel=False)
        fits.append(fit)
    return replace(checkpoint, tensors=tensors), tuple(profile_notes(profile, shapes, fits))


def masked(
    weight: np.ndarray, mask: np.ndarray, least: float, per_channel: bool,
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Return a weight where its mask is True, else zero; in `out`, which may be the weight itself.

    Kept magnitudes are at least `least` times the largest that is kept: of its filter or, not
    per_channel, of the whole weight.
    """
    made = np.empty_like(weight) if out is None else out
    np.copyto(made, weight)
    np.copyto(made, 0.0, where=~mask)
    axes = tuple(range(1, weight.ndim)) if per_channel else None
    magnitudes = np.abs(made)
    largest = magnitudes.max(axis=axes, keepdims=True, initial=0.0)
    floor = np.where(largest > 0.0, largest * least, 1.0)
    small = (magnitudes < floor) & mask
    np.copyto(made, np.where(made < 0.0, -floor, floor), where=small)
    return made


def profile_notes(
    profile: SparsityProfile, shapes: Mapping[str, tuple[int, ...]], fits: Sequence[MaskFit]
) -> Iterator[str]:
    """Yield what became of a profile's counts, and which layers could not have them all."""
    kept = sum(fit.nonzeros for fit in fits)
    total = sum(layer.size for layer in profile.layers.values())
    counts = [
        f"zero {structure} {sum(fit.wanted.get(structure, 0) for fit in fits)} asked, "
        f"{sum(fit.drawn[structure] for fit in fits if structure in fit.wanted)} drawn"
        for structure in ("kernels", "filters", "channels")
    ]
    yield (
        f"sparsity profile {profile.name}: {kept} of {total} weights of {_layers(len(fits))} "
        f"are nonzero, as asked; {'; '.join(counts)}"
    )
    missed = [
        f"{fit.name} {', '.join(f'{count:+} {what}' for what, count in fit.misses.items())}"
        for fit in fits
        if fit.misses
    ]
    if missed:
        more = f" and {len(missed) - _SHOWN} more" if len(missed) > _SHOWN else ""
        yield f"zero structures that differ from the profile: {'; '.join(missed[:_SHOWN])}{more}"
    if len(fits) < len(shapes):
        yield _unnamed(len(shapes) - len(fits))


def _layers(number: int) -> str:
    return f"{number} layer{'s' * (number != 1)}"


def _unnamed(layers: int) -> str:
    if layers == 1:
        return "1 layer is not in the profile, and stays dense"
    return f"{_layers(layers)} are not in the profile, and stay dense"
