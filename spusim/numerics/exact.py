"""Integers of any size in arrays: int64 where they fit, Python ints (dtype object) where not.

The fast paths of this room stay below 2**62 in magnitude, so that one addition of two such
numbers cannot overflow an int64.
"""

from typing import Any

import numpy as np

from spusim.numerics.errors import NumericsError

Integers = Any  # what numpy makes an array of integers of: int, sequence, array

SAFE = 2**62


def integers(values: Integers) -> np.ndarray:
    """Return `values` as an int64 array, or an object array of Python ints if one is beyond it.

    Raises NumericsError for anything but integers, also for floats that happen to be whole.
    """
    known = isinstance(values, (np.ndarray, np.generic))
    array = np.asarray(values) if known else np.array(values, dtype=object)
    if array.dtype.kind in "bi":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "u":
        return narrowed(array.astype(object)) if array.itemsize == 8 else array.astype(np.int64)
    if array.dtype.kind == "O":
        for value in array.flat:
            if not isinstance(value, (int, np.integer)):
                raise _not_an_integer(value)
        return narrowed(array)
    if array.size == 0:
        return array.astype(np.int64)
    raise _not_an_integer(array.flat[0])


def _not_an_integer(value: object) -> NumericsError:
    return NumericsError(
        f"{value!r} ({type(value).__name__}) is not an integer; spusim's arithmetic is exact, "
        "so round it and convert it to an integer type first"
    )


def narrowed(array: np.ndarray) -> np.ndarray:
    """Return an object array of integers as int64 if all fit, else as it is, of Python ints."""
    limit = 2**63
    if all(-limit <= value < limit for value in array.flat):
        return array.astype(np.int64)
    return np.asarray(np.frompyfunc(int, 1, 1)(array), dtype=object)


def magnitude(array: np.ndarray) -> int:
    """Return the largest |value| of an array, exactly; 0 for an empty one."""
    return max(abs(int(array.max())), abs(int(array.min()))) if array.size else 0


def added(left: Integers, right: Integers) -> np.ndarray:
    """Add elementwise, exactly; shapes broadcast."""
    a, b = np.broadcast_arrays(integers(left), integers(right))
    if magnitude(a) <= SAFE and magnitude(b) <= SAFE:
        return np.asarray(a + b)
    exact = a.astype(object).reshape(-1) + b.astype(object).reshape(-1)
    return narrowed(exact).reshape(a.shape)


def product(left: Integers, right: Integers) -> np.ndarray:
    """Multiply elementwise, exactly; shapes broadcast."""
    a, b = integers(left), integers(right)
    if magnitude(a) * magnitude(b) <= SAFE:
        return np.asarray(a.astype(np.int64) * b.astype(np.int64))
    a, b = np.broadcast_arrays(a, b)
    exact = a.astype(object).reshape(-1) * b.astype(object).reshape(-1)
    return narrowed(exact.reshape(a.shape))
