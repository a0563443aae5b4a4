"""Random masks with the counts of a sparsity profile.

A mask has exactly the profile's nonzeros. Zero filters and channels are drawn first, then zero
kernels among the others, then nonzeros in the kernels that are left, at least one in each; all
uniformly. What the counts cannot have at once gives way, channels first, and the fit says so.
"""

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from spusim.frontend.sparsity_profile import ProfileLayer, SparsityProfile, plain_name


@dataclass(frozen=True)
class MaskFit:
    """A layer's counts of nonzeros and of zero structures, as asked for and as drawn."""

    name: str
    nonzeros: int
    wanted: dict[str, int]
    drawn: dict[str, int]

    @property
    def misses(self) -> dict[str, int]:
        """How many structures too many (or too few, negative) are zero, where they differ."""
        return {
            structure: self.drawn[structure] - count
            for structure, count in self.wanted.items()
            if self.drawn[structure] != count
        }


def draw_masks(
    profile: SparsityProfile,
    shapes: Mapping[str, tuple[int, ...]],
    seed: int = 0,
    structured: bool = True,
) -> Iterator[tuple[str, np.ndarray, MaskFit]]:
    """Draw a mask for each layer of `shapes` that the profile has, and say how it fits.

    Gives, one after the other, names as the network has them, masks of the layers' shapes, and
    fits. Each layer has a random sequence of its own, so that a mask depends on seed, profile and
    name only. Not `structured`: the nonzeros lie anywhere. Raises PruneError if profile and network
    differ.
    """
    profile.check(shapes)
    layers = ((name, profile.layers.get(plain_name(name))) for name in shapes)
    masks = ((name, layer, draw_mask(layer, seed, structured)) for name, layer in layers if layer)
    return ((name, mask, fit_of(layer, mask)) for name, layer, mask in masks)


def draw_mask(layer: ProfileLayer, seed: int = 0, structured: bool = True) -> np.ndarray:
    """Draw a layer's mask, bool of its shape, True where a weight is not zero."""
    rng = np.random.default_rng([seed, zlib.crc32(layer.name.encode())])
    if not structured:
        mask = np.zeros(layer.size, bool)
        mask[rng.permutation(layer.size)[: layer.nonzeros]] = True
        return mask.reshape(layer.shape)
    taps = math.prod(layer.shape[2:])
    filters, channels, kernels = _live(layer, taps)
    live = _live_kernels(layer.shape[0], layer.shape[1], filters, channels, kernels, rng)
    return _fill(live, layer.nonzeros, taps, rng).reshape(layer.shape)


def _live(layer: ProfileLayer, taps: int) -> tuple[int, int, int]:
    """Return how many filters, channels and kernels are not zero, where all can be true."""
    outputs, inputs, nonzeros = layer.shape[0], layer.shape[1], layer.nonzeros
    filters = outputs - layer.zero.get("filters", 0)
    channels = inputs - layer.zero.get("channels", 0)
    filters, channels = min(filters, nonzeros), min(channels, nonzeros)
    if nonzeros > filters * channels * taps:
        channels = inputs
    filters = max(filters, -(-nonzeros // (inputs * taps)))
    kernels = nonzeros if taps == 1 else outputs * inputs - layer.zero.get("kernels", 0)
    if taps > 1 and "kernels" not in layer.zero:
        kernels = filters * channels
    least = max(-(-nonzeros // taps), filters, channels)
    return filters, channels, min(max(kernels, least), filters * channels, nonzeros)


def _live_kernels(
    outputs: int, inputs: int, filters: int, channels: int, kernels: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw which kernels are not zero, (outputs * inputs,) bool: one at least of each filter."""
    live = np.zeros((outputs, inputs), bool)
    if not kernels:
        return live.ravel()
    rows, columns = rng.permutation(outputs)[:filters], rng.permutation(inputs)[:channels]
    both = np.arange(max(filters, channels))
    live[rows[both % filters], columns[both % channels]] = True
    open_places = np.zeros_like(live)
    open_places[np.ix_(rows, columns)] = True
    rest = np.flatnonzero(open_places & ~live)
    more = max(0, kernels - int(live.sum()))
    live.ravel()[rng.permutation(rest)[:more]] = True
    return live.ravel()


def _fill(live: np.ndarray, nonzeros: int, taps: int, rng: np.random.Generator) -> np.ndarray:
    """Draw nonzeros in live kernels (n,): -> (n, taps) bool, one at least in each."""
    mask = np.zeros((live.size, taps), bool)
    places = np.flatnonzero(live)
    mask[places, rng.integers(0, taps, places.size)] = True
    rest = np.flatnonzero(live[:, None] & ~mask)
    mask.ravel()[rng.permutation(rest)[: nonzeros - places.size]] = True
    return mask


def zero_structures(mask: np.ndarray) -> dict[str, int]:
    """Count all-zero kernels, filters and channels of a mask (filters, channels, ...)."""
    kernels = np.asarray(mask.reshape(mask.shape[0], mask.shape[1], -1).any(axis=2))
    return {
        "kernels": int((~kernels).sum()),
        "filters": int((~kernels.any(axis=1)).sum()),
        "channels": int((~kernels.any(axis=0)).sum()),
    }


def fit_of(layer: ProfileLayer, mask: np.ndarray) -> MaskFit:
    """Compare a mask with the counts that its layer asks for."""
    drawn = zero_structures(mask)
    return MaskFit(layer.name, int(mask.sum()), dict(layer.zero), drawn)
