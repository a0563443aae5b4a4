"""Scalar fixed point for the other kernels; `spusim.numerics` is the definition they must equal."""

import numpy as np

from spusim.kernels.declare import inlined, kernel

_LOW = np.int64((1 << 31) - 1)
_LIMIT = np.int64(1 << 62)
_LARGE = np.int64(1 << 32)
MOST_LEFT, MOST_RIGHT = 30, 62  # shifts that instructions take
MOST_MULTIPLIER = (1 << 31) - 1
SATURATE, WRAP, NULLIFY = 0, 1, 2  # overflow
STOCHASTIC = 3  # rounding; the functions here take 0 to 2


@inlined
def shift_left(x, shift, overflow):
    """X * 2**shift for shifts up to 30, exact as far as a fold to 32 bits or fewer can tell."""
    if overflow != WRAP:
        x = min(max(x, -_LARGE), _LARGE)
    return x << shift


@inlined
def shift_right(x, shift, rounding, overflow):
    """Round x / 2**shift; rounding 0 floor, 1 half_up, 2 half_even; negative shifts left."""
    if shift <= 0:
        return shift_left(x, -shift, overflow)
    if rounding == 0:
        return x >> shift
    half = np.int64(1) << (shift - 1)
    if rounding == 1:
        return (x + half) >> shift
    low = x & ((np.int64(1) << shift) - 1)
    floor = x >> shift
    return floor + np.int64(low > half or (low == half and floor & 1))


@inlined
def fold(x, bits, overflow):
    """Bring x into `bits` bits: saturate, wrap around, or zero what is out of range."""
    low = -(np.int64(1) << (bits - 1))
    if overflow == WRAP:
        return ((x - low) & ((np.int64(1) << bits) - 1)) + low
    inside = min(max(x, low), -low - 1)
    if overflow == SATURATE:
        return inside
    return inside if inside == x else np.int64(0)


@kernel
def scale(acc, multiplier, shift, rounding, overflow):
    """Round acc * multiplier / 2**shift for products of up to 79 bits, kept as high * 2**31 + low.

    The result is exact, or, beyond 62 bits, one that `fold` to 32 bits or fewer treats alike.
    """
    if shift <= 0 and multiplier == 1:
        return shift_left(acc, -shift, overflow)
    if acc == np.int64(np.int32(acc)):
        return shift_right(acc * multiplier, shift, rounding, overflow)
    t = (acc & _LOW) * multiplier
    high = (acc >> 31) * multiplier + (t >> 31)
    low = t & _LOW
    if shift >= 31:
        sticky = np.int64(low != 0)
        if shift == 31:
            half = low >> 30
            if rounding == 0:
                return high
            if rounding == 1:
                return high + half
            tie = low == (np.int64(1) << 30)
            return high + np.int64(half and (not tie or high & 1))
        rest = shift - 31
        floor = high >> rest
        if rounding == 0:
            return floor
        part = high & ((np.int64(1) << rest) - 1)
        half = np.int64(1) << (rest - 1)
        if rounding == 1:
            return floor + np.int64(part >= half)
        above = part > half or (part == half and sticky)
        return floor + np.int64(above or (part == half and floor & 1))
    if overflow != WRAP and abs(high) >= _LIMIT >> (31 - shift):
        return _LIMIT if high > 0 else -_LIMIT
    whole = high << (31 - shift)
    return whole + shift_right(low, shift, rounding, overflow)


@kernel
def scale_dithered(acc, multiplier, shift, noise, overflow):
    """Floor (acc * multiplier + noise) / 2**shift, noise below 2**shift; as exact as `scale`."""
    t = (acc & _LOW) * multiplier
    low = (t & _LOW) + (noise & _LOW)
    high = (acc >> 31) * multiplier + (t >> 31) + (noise >> 31) + (low >> 31)
    low &= _LOW
    if shift >= 31:
        return high >> (shift - 31)
    if overflow != WRAP and abs(high) >= _LIMIT >> (31 - shift):
        return _LIMIT if high > 0 else -_LIMIT
    return (high << (31 - shift)) + (low >> shift)
