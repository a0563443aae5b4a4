"""A packed matrix as one run of bytes, as external memory holds it (T51)."""

from collections.abc import Sequence

import numpy as np

from spusim.formats.layout import PackedMatrix


def stored_words(packed: PackedMatrix, word_bits: int) -> int:
    """Return the words of `word_bits` that a matrix's image takes."""
    size = sum(part.size for part in (*packed.slices, *packed.indices))
    return -(-size * 8 // word_bits)


def stored_image(packed: PackedMatrix, word_bits: int) -> np.ndarray:
    """Lay a matrix out as its image (words, word_bits / 8) uint8: PE by PE indices, then slice."""
    parts = zip(packed.indices, packed.slices, strict=True)
    flat = np.concatenate([part.reshape(-1) for pair in parts for part in pair])
    image = np.zeros((stored_words(packed, word_bits), word_bits // 8), np.uint8)
    image.reshape(-1)[: flat.size] = flat
    return image


def read_image(
    data: np.ndarray, packed: PackedMatrix
) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
    """Return slices and indices, as `PackedMatrix` has them, of an image (words, bytes) uint8.

    Of `packed` only the sizes of its parts are used.
    """
    flat, at = data.reshape(-1), 0
    slices: list[np.ndarray] = []
    indices: list[np.ndarray] = []
    for index, entries in zip(packed.indices, packed.slices, strict=True):
        for part, parts in ((index, indices), (entries, slices)):
            parts.append(flat[at : at + part.size].reshape(part.shape))
            at += part.size
    return slices, indices
