"""A matrix's weights as the value plane of small products reads them, see `kernels.tiles`."""

import numpy as np

from spusim.kernels.engine import NEAR
from spusim.kernels.tiles import GROUP, MASK, TILE

DENSEST = 0.75  # columns of a tile with a weight; others are better read as they lie


def tiled(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (columns, rows) by tiles (n,), and masks (tiles, words) uint32.

    The last word of a tile is the number of its columns, filled up to whole groups, and those
    before it say which they are. Both are empty where tiles are not worth while.
    """
    columns, rows = weights.shape
    tiles, words = -(-rows // TILE), -(-columns // MASK)
    nothing = np.zeros(0, weights.dtype), np.zeros((0, words + 1), np.uint32)
    if weights.size == 0 or weights.size > NEAR:
        return nothing
    padded = np.zeros((words * MASK, tiles * TILE), weights.dtype)
    padded[:columns, :rows] = weights
    by_tile = padded.reshape(-1, tiles, TILE)
    used = by_tile.any(axis=2).T  # (tiles, columns)
    if used.sum() > DENSEST * tiles * columns:
        return nothing
    counts = used.sum(axis=1)
    filled = -(-counts // GROUP) * GROUP
    tile, column = np.nonzero(used)
    place = np.arange(len(tile)) + np.repeat(np.cumsum(filled - counts) - (filled - counts), counts)
    kept = np.zeros((int(filled.sum()), TILE), weights.dtype)
    kept[place] = by_tile[column, tile]
    pairs = kept.reshape(-1, 2, TILE).transpose(0, 2, 1)
    bits = np.packbits(np.ascontiguousarray(used), axis=1, bitorder="little")
    return pairs.ravel(), np.column_stack([bits.view("<u4"), filled]).astype(np.uint32)
