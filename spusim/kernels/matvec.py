"""Value plane of a matrix-vector product: accumulators, bit for bit, without time.

Weights are a dense copy, column after column. Adding the zeros is exact, and SIMD over rows
beats gathering the nonzeros at every density from about 0.1 on. Each row's products are added
in ascending column order, since lanes run over rows; with a proof that no partial sum can leave
the accumulator, order does not matter, and four columns go in one pass.
"""

import numpy as np

from spusim.kernels.arithmetic import WRAP, fold, shift_right
from spusim.kernels.declare import kernel
from spusim.kernels.lanes import NARROW, SLIM, WIDE, add_narrow, add_slim, add_wide


@kernel
def nonzero_columns(x, columns):
    """Write the indices of x's nonzeros to `columns`; return how many. x (n,), columns (n + 1,)."""
    n = 0
    for j in range(x.shape[0]):
        columns[n] = j
        n += np.int64(x[j] != 0)
    return n


@kernel
def add_columns(weights, x, columns, n, acc):
    """Acc += weights.T[:, columns] @ x[columns], modulo 2**32.

    weights (columns, rows) int8 or int16; x (columns,) int32; acc (rows,) int32. The caller has
    proved that no partial sum overflows, or wants 32-bit wrap-around.
    """
    rows = weights.shape[1]
    i = 0
    while i + 4 <= n:
        c0, c1, c2, c3 = columns[i], columns[i + 1], columns[i + 2], columns[i + 3]
        x0, x1, x2, x3 = x[c0], x[c1], x[c2], x[c3]
        w0, w1, w2, w3 = weights[c0], weights[c1], weights[c2], weights[c3]
        for r in range(rows):
            acc[r] += (
                np.int32(np.int32(w0[r]) * x0)
                + np.int32(np.int32(w1[r]) * x1)
                + np.int32(np.int32(w2[r]) * x2)
                + np.int32(np.int32(w3[r]) * x3)
            )
        i += 4
    while i < n:
        c0 = columns[i]
        x0 = x[c0]
        w0 = weights[c0]
        for r in range(rows):
            acc[r] += np.int32(np.int32(w0[r]) * x0)
        i += 1


@kernel
def add_in_pairs(weights, rows, x, columns, n, acc, offsets, factors):
    """Do as `add_columns`, for x of 16 bits, with sums kept in registers.

    weights (columns * rows,); offsets int32 and factors int16 (n + 3,) are scratch. A tile of rows
    goes over all columns, two a step, so all weights should be close by: they are read in strips.
    """
    for i in range(n):
        c = columns[i]
        offsets[i], factors[i] = c * rows, x[np.uint64(c)]
    for i in range(n, n + 3):
        offsets[i], factors[i] = 0, 0
    even = n + (n & 1)
    row = 0
    while row + WIDE <= rows:
        add_wide(weights, row, offsets, factors, 0, even, acc, row)
        row += WIDE
    if row + NARROW <= rows:
        add_narrow(weights, row, offsets, factors, 0, even, acc, row)
        row += NARROW
    if row + SLIM <= rows:
        add_slim(weights, row, offsets, factors, 0, even, acc, row)
        row += SLIM
    rest = acc[row:rows]
    for i in range(0, n if row < rows else 0, 4):
        x0, x1, x2, x3 = factors[i], factors[i + 1], factors[i + 2], factors[i + 3]
        w0, w1 = weights[offsets[i] + row :], weights[offsets[i + 1] + row :]
        w2, w3 = weights[offsets[i + 2] + row :], weights[offsets[i + 3] + row :]
        for r in range(rest.shape[0]):
            rest[r] += (
                np.int32(np.int32(w0[r]) * x0)
                + np.int32(np.int32(w1[r]) * x1)
                + np.int32(np.int32(w2[r]) * x2)
                + np.int32(np.int32(w3[r]) * x3)
            )


@kernel
def add_columns_stepwise(weights, x, columns, n, acc, bits, overflow):
    """Acc += weights.T[:, columns] @ x[columns], folded to `bits` after every accumulation.

    acc (rows,) int64. The definition that `add_columns` equals where it may be used.
    """
    rows = weights.shape[1]
    for i in range(n):
        c = columns[i]
        xc = np.int64(x[c])
        w = weights[c]
        for r in range(rows):
            acc[r] = fold(acc[r] + np.int64(w[r]) * xc, bits, overflow)


@kernel
def requantise_partial(acc, shift, bits, rounding, overflow):
    """Keep `bits` bits of partial sums (rows,) int64 in units of 2**shift; doing it twice is once.

    What leaves the bits overflows as the accumulators do.
    """
    for r in range(acc.shape[0]):
        # Shifts of 0 must not clip what is wider than 32 bits, as they would for results.
        acc[r] = fold(shift_right(acc[r], shift, rounding, WRAP), bits, overflow) << shift


@kernel
def first_boundary(position, every):
    """Column after which the first boundary of partial sums lies, column 0 being at `position`."""
    return every - 1 - (position % every if position > 0 else position)
