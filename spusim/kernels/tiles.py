"""Value plane of a product by tiles: 16 rows, and only the columns in which they have weights.

A tile's columns are the same in every product, so that its weights lie in the order in which they
are multiplied, two columns side by side for the multiply-add of 16-bit pairs; places that fill a
tile up have weights of zero. The activations of a tile's columns are brought together first. Adding
a zero changes no sum, and sums are modulo 2**32 in any order, so that the result is that of
`matvec.add_columns`. A plain twin defines either step.
"""

import llvmlite.binding as llvm
import numpy as np

from spusim.kernels.declare import Deferred, kernel
from spusim.kernels.lanes import PLACES
from spusim.kernels.layout import M

TILE = 16  # rows
GROUP = 8  # columns to which a tile's are filled up
MASK = 32  # columns of a mask
_ROWS, _COLUMNS, _WIDE = int(M.ROWS), int(M.COLUMNS), int(M.WIDE)
_WEIGHTS, _MASKS = int(M.TILES), int(M.TILE_MASKS)
_CODE = "spusim.kernels.tiles_code"
COMPACTS = bool(PLACES) and bool(llvm.get_host_cpu_features().get("avx512vbmi2"))


@kernel
def compact_plainly(x, at, mask, out, to):
    """Do as `compact`."""
    n = 0
    for k in range(MASK):
        if mask >> np.uint32(k) & np.uint32(1):
            out[to + n] = x[at + k]
            n += 1
    return np.int64(n)


@kernel
def sum_tile_plainly(weights, at, x, begin, columns, start, sums, to, rows):
    """Do as `sum_tile`."""
    total = sums[to : to + min(rows, TILE)]
    for r in range(total.shape[0]):
        total[r] = np.int32(start[to + r])
    for i in range(0, columns, 2):
        one, two = np.int32(x[begin + i]), np.int32(x[begin + i + 1])
        pair = weights[at + i * TILE : at + (i + 2) * TILE]
        for r in range(total.shape[0]):
            added = np.int32(np.int32(pair[2 * r]) * one) + np.int32(pair[2 * r + 1] * two)
            total[r] = np.int32(total[r] + added)


# compact(x int16, at, mask uint32, out int16, to): writes those of x[at : at + 32] whose bit of the
# mask is set to out[to:], and anything behind them up to 32 in all; returns how many they are
compact = Deferred(_CODE, "compact_quickly") if COMPACTS else compact_plainly
# sum_tile(weights int16 or int8, at, x int16, begin, columns, start int64, sums int64, to, rows):
# sums[to + r] = start[to + r] + weights of row r of the tile times x[begin : begin + columns],
# modulo 2**32, for the tile's first `rows` rows; start and sums may be the same array
sum_tile = Deferred(_CODE, "sum_quickly") if PLACES else sum_tile_plainly


@kernel
def _compact_all(core, matrix):
    """Bring every tile's activations together in `core.tile_x`."""
    total = matrix[_COLUMNS]
    words = (total + MASK - 1) // MASK
    for j in range(words * MASK):
        core.x16[j] = np.int16(core.x[j])
    at, begin = matrix[_MASKS], np.int64(0)
    for _ in range((matrix[_ROWS] + TILE - 1) // TILE):
        to = begin
        for word in range(words):
            to += compact(core.x16, np.int64(word * MASK), core.tile_masks[at + word],
                          core.tile_x, to)  # fmt: skip
        begin += np.int64(core.tile_masks[at + words])
        at += words + 1


@kernel
def _sum_tiles(core, matrix, tile_weights, start, sums):
    """Put start plus the products of every tile's rows in sums."""
    rows, words = matrix[_ROWS], (matrix[_COLUMNS] + MASK - 1) // MASK
    weights, at, begin = matrix[_WEIGHTS], matrix[_MASKS] + words, np.int64(0)
    for row in range(0, rows, TILE):
        columns = np.int64(core.tile_masks[at])
        sum_tile(
            tile_weights, weights, core.tile_x, begin, columns, start, sums, np.int64(row),
            rows - row,
        )  # fmt: skip
        weights += columns * TILE
        begin += columns
        at += words + 1


@kernel
def add_tiles(core, matrix, start, sums):
    """Put start (rows,) plus a tiled matrix's product with x in sums (rows,) int64.

    All of x must fit 16 bits; `core.x` must have zeros up to a whole mask. Sums are modulo 2**32.
    """
    _compact_all(core, matrix)
    if matrix[_WIDE]:
        _sum_tiles(core, matrix, core.tiles16, start, sums)
    else:
        _sum_tiles(core, matrix, core.tiles8, start, sums)
