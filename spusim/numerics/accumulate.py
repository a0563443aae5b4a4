"""A row's sum of products in canonical order, overflowing after every accumulation."""

from collections.abc import Iterator

import numpy as np

from spusim.numerics.errors import NumericsError
from spusim.numerics.exact import Integers, integers, magnitude, product
from spusim.numerics.modes import Numerics
from spusim.numerics.shift import fits, overflow, round_shift

LARGEST_OPERAND_BITS = 32


def row_bound(weight: Integers, largest: int, start: Integers = 0) -> np.ndarray:
    """Return |start| + sum |w| * largest per row: no partial sum can be larger in magnitude.

    weight (rows, columns), largest: the largest |activation|, start (rows,) or () -> (rows,).
    """
    weights = np.abs(_operands("weight", weight)).sum(axis=1)
    sums = product(weights, largest)
    starts = np.abs(np.atleast_1d(integers(start)).astype(object))
    return integers(starts + sums.astype(object))


def accumulate(
    weight: Integers,
    x: Integers,
    bias: Integers | None,
    numerics: Numerics,
    start: Integers | None = None,
    position: int = 0,
) -> np.ndarray:
    """Return acc = bias + weight @ x as the accumulators compute it.

    weight (rows, columns), x (columns,), bias (rows,) or None for zeros -> (rows,) int64. Columns
    are added in ascending order, and every sum overflows as numerics says, so that a saturated
    sum may come back. `start` (rows,), accumulators to go on from, takes the bias's place.
    `position`: the dense position of column 0, by which partial sums are requantised.
    Rows whose bound proves that nothing overflows are a plain product instead, which is equal.
    """
    weight, x = _operands("weight", weight), _operands("x", x)
    if weight.ndim != 2 or x.shape != weight.shape[1:]:
        raise NumericsError(
            f"x {x.shape} does not fit weight {weight.shape}; "
            "weight must be (rows, columns) and x (columns,)"
        )
    first = bias if start is None else start
    acc = overflow(
        np.zeros(len(weight), np.int64) if first is None else first,
        numerics.accumulator_bits,
        numerics.overflow,
    )
    if acc.shape != weight.shape[:1]:
        raise NumericsError(f"bias or start {acc.shape} must have one value per row {len(weight)}")
    for part, ends in _segments(len(x), numerics.partial_sums.every, position):
        # Adding zero changes nothing in any mode: the sum is already in range.
        pushed = part.start + np.flatnonzero(x[part])
        acc = _accumulated(weight[:, pushed], x[pushed], acc, numerics)
        acc = requantise_partial(acc, numerics) if ends else acc
    return acc


def accumulate_positions(
    weight: Integers, x: Integers, bias: Integers | None, numerics: Numerics
) -> np.ndarray:
    """Return what `accumulate` does at each position of x (columns, positions).

    weight (rows, columns), bias (rows,) or None -> (rows, positions) int64. Numerics without
    partial sums. Raises NumericsError.
    """
    weight, x = _operands("weight", weight), _operands("x", x)
    if numerics.partial_sums.every:
        raise NumericsError("accumulate_positions keeps no partial sums; call accumulate for each")
    start = np.zeros(len(weight), np.int64) if bias is None else bias
    acc = overflow(start, numerics.accumulator_bits, numerics.overflow)
    safe = _safe(weight, x, acc, numerics)
    result = np.repeat(acc[:, None], x.shape[1], axis=1)
    # No sum, in whatever order, leaves the 53 bits that a float64 holds exactly.
    result[safe] += (weight[safe].astype(np.float64) @ x.astype(np.float64)).astype(np.int64)
    if not safe.all():
        result[~safe] = _step_by_step(weight[~safe], x, result[~safe], numerics)
    return result


def requantise_partial(acc: Integers, numerics: Numerics) -> np.ndarray:
    """Return partial sums (rows,) as `numerics.partial_sums` keeps them; doing it twice is once."""
    p = numerics.partial_sums
    kept = overflow(round_shift(acc, p.shift, p.rounding), p.bits, numerics.overflow)
    return kept << p.shift


def _segments(columns: int, every: int, position: int) -> Iterator[tuple[slice, bool]]:
    """Yield the columns up to each boundary, and whether one ends them.

    A boundary follows every column whose dense position, counted from 1, is a positive multiple.
    """
    first = 0
    ends = range(0)
    if every:
        passed = max(position // every, 0)
        ends = range((passed + 1) * every - position, columns + 1, every)
    for end in ends:
        yield slice(first, end), True
        first = end
    if first < columns:
        yield slice(first, columns), False


def _accumulated(
    weight: np.ndarray, x: np.ndarray, acc: np.ndarray, numerics: Numerics
) -> np.ndarray:
    safe = _safe(weight, x, acc, numerics)
    if safe.all():
        return np.asarray(acc + weight @ x)
    result = np.empty_like(acc)
    result[safe] = acc[safe] + weight[safe] @ x
    result[~safe] = _step_by_step(weight[~safe], x, acc[~safe], numerics)
    return result


def _safe(weight: np.ndarray, x: np.ndarray, acc: np.ndarray, numerics: Numerics) -> np.ndarray:
    """Return the rows whose bound proves that nothing overflows."""
    limit = 2 ** (numerics.accumulator_bits - 1)
    return np.asarray(row_bound(weight, magnitude(x), acc) < limit, bool)


def _step_by_step(
    weight: np.ndarray, x: np.ndarray, acc: np.ndarray, numerics: Numerics
) -> np.ndarray:
    """Add column after column; x (columns,) and acc (rows,), or both with positions behind."""
    for column in range(len(x)):
        total = acc + np.multiply.outer(weight[:, column], x[column])
        acc = overflow(total, numerics.accumulator_bits, numerics.overflow)
    return acc


def _operands(name: str, values: Integers) -> np.ndarray:
    # Products of two such operands and an accumulator stay within an int64.
    array = integers(values)
    if not fits(array, LARGEST_OPERAND_BITS):
        raise NumericsError(
            f"{name} (={magnitude(array)}) must fit {LARGEST_OPERAND_BITS} bits to be multiplied"
        )
    return array
