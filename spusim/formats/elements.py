"""Vectors of elements as data memory holds them: little-endian, lowest bits first, no gaps."""

import numpy as np

from spusim.formats.bits import pack_fields, sign_extended, unpack_fields

ELEMENT_BITS = (1, 4, 8, 16, 32)


def pack_elements(values: np.ndarray, bits: int, word_bits: int) -> np.ndarray:
    """Lay integers (n,) out in words: (words, word_bits / 8) uint8, zeros behind the last.

    Of one bit only the sign is kept: the bit is set for +1, and for zero.
    """
    values = np.asarray(values)
    if bits == 1:
        return pack_fields(np.asarray(values >= 0), bits, word_bits)
    return pack_fields(values, bits, word_bits)


def unpack_elements(words: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Return the first `count` elements of words (words, word_bits / 8) uint8: (count,) int64."""
    fields = unpack_fields(words, bits, count)
    return np.asarray(2 * fields - 1) if bits == 1 else sign_extended(fields, bits)


def element_limits(bits: int) -> tuple[int, int]:
    """Return the smallest and largest element of `bits`; one bit is -1 or 1, and never 0."""
    half = 1 << (bits - 1)
    return (-1, 1) if bits == 1 else (-half, half - 1)


def unfit(values: np.ndarray, bits: int) -> np.ndarray:
    """Tell which integers, any shape, are no elements of `bits`."""
    low, high = element_limits(bits)
    outside = (values < low) | (values > high)
    return np.asarray(outside | (values == 0) if bits == 1 else outside)
