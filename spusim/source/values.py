"""Integers of a source: listed and checked, or drawn from a seed."""

from collections.abc import Sequence

import numpy as np

from spusim.formats import element_limits, unfit
from spusim.source.directives import Given, LineFaultError

MOST_VALUES = 1 << 24


def in_bits(lines: Sequence[Given], bits: int) -> np.ndarray:
    """Return listed values, all lines after each other, (n,) int64; raises LineFaultError."""
    low, high = element_limits(bits)
    for given in lines:
        for position, value in enumerate(given.items):
            if unfit(np.array(value), bits):
                span = "or" if bits == 1 else "to"
                raise LineFaultError(
                    given,
                    f"(={value}) must be {low} {span} {high}, which {bits} bits hold",
                    item=position,
                )
    return np.array([value for given in lines for value in given.items], np.int64)


def sparse_values(given: Given, size: int, bits: int, rows: int = 1) -> np.ndarray:
    """Draw rows of `size` codes of `bits`: (rows, size) int64, from default_rng(seed).

    Of each row round(density x size) are nonzero, without replacement, uniform over the nonzero
    codes, which for one bit are 1 and -1. Raises LineFaultError.
    """
    density, seed = given.values["density"], given.values["seed"]
    if not 0 <= density <= 1:
        raise LineFaultError(given, f"density (={density}) must be from 0 to 1", "density")
    if not 0 <= size * rows <= MOST_VALUES:
        raise LineFaultError(given, f"{size * rows} values must be 0 to {MOST_VALUES}", "count")
    if not 1 <= bits <= 32:
        raise LineFaultError(given, f"bits (={bits}) must be 1 to 32", "bits")
    rng = _generator(given, seed)
    values = np.zeros((rows, size), np.int64)
    half, count = 1 << (bits - 1), round(density * size)
    for row in values:
        where = rng.choice(size, count, replace=False)
        codes = rng.integers(-half, max(half - 1, 1), count)
        row[where] = codes + (codes >= 0)  # leaves zero out
    return values


def limited_values(given: Given, size: int) -> np.ndarray:
    """Draw `size` integers from -limit to limit, (size,) int64; raises LineFaultError."""
    limit = given.values["limit"]
    if not 0 <= limit < 1 << 47:
        raise LineFaultError(given, f"limit (={limit}) must be 0 to {(1 << 47) - 1}", "limit")
    return _generator(given, given.values["seed"]).integers(-limit, limit + 1, size)


def _generator(given: Given, seed: int) -> np.random.Generator:
    if seed < 0:
        raise LineFaultError(given, f"seed (={seed}) must be at least 0", "seed")
    return np.random.default_rng(seed)
