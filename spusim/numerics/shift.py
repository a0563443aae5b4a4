"""Right shifts with rounding, overflow, and requantisation (DESIGN section 2)."""

import math
from collections.abc import Callable

import numpy as np

from spusim.numerics.errors import NumericsError
from spusim.numerics.exact import SAFE, Integers, added, integers, magnitude, narrowed, product
from spusim.numerics.modes import Numerics

MULTIPLIER_BITS = 31
LARGEST_SHIFT = 62
# shifts that instructions take: sums of operands shifted left still fit an int64
MOST_LEFT, MOST_RIGHT = 30, LARGEST_SHIFT


def _floor(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return np.asarray(x >> shift)


def _half_up(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    # (1 << s) >> 1 is half a unit of the result, and nothing for s = 0.
    return np.asarray((x + ((np.ones_like(shift) << shift) >> 1)) >> shift)


def _half_even(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    # Just below half is added to an even floor, half to an odd one.
    unit = np.ones_like(shift) << shift
    below_half = (unit >> 1) - (unit > 1)
    odd = (x >> shift) & (unit > 1)
    return np.asarray((x + below_half + odd) >> shift)


ROUNDINGS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "floor": _floor,
    "half_up": _half_up,
    "half_even": _half_even,
}
STOCHASTIC = "stochastic"


def round_shift(
    x: Integers, shift: Integers, rounding: str, bits: np.ndarray | None = None
) -> np.ndarray:
    """Shift right arithmetically with rounding; a negative shift shifts left.

    x and shift broadcast. `stochastic` adds below the point as many random bits as are shifted
    out, the highest of `bits` (one uint64 for each x, `Draw.bits`), and floors. Returns int64, or
    Python ints (dtype object) where one result does not fit. Raises NumericsError for an unknown
    rounding, and for `stochastic` without bits or by a shift beyond 62.
    """
    if rounding == STOCHASTIC:
        x, rounding = _dithered(integers(x), integers(shift), bits), "floor"
    if rounding not in ROUNDINGS:
        known = ", ".join([*ROUNDINGS, STOCHASTIC])
        raise NumericsError(f"rounding {rounding!r} is unknown; use one of {known}")
    x, shift = np.broadcast_arrays(integers(x), integers(shift))
    # Flat, since numpy turns 0-dimensional arrays of objects into bare ints on the way.
    flat, shifts = x.reshape(-1), shift.reshape(-1)
    most_left, most_right = int((-shifts).max(initial=0)), int(shifts.max(initial=0))
    small = max(most_left, most_right) <= LARGEST_SHIFT and magnitude(x) << most_left <= SAFE
    if not small:
        flat, shifts = flat.astype(object), shifts.astype(object)
    right, left = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    result = ROUNDINGS[rounding](flat << left, right)
    return (result if small else narrowed(result)).reshape(x.shape)


def _dithered(x: np.ndarray, shift: np.ndarray, bits: np.ndarray | None) -> np.ndarray:
    if bits is None or bits.shape != x.shape or shift.max(initial=0) > LARGEST_SHIFT:
        raise NumericsError(
            f"stochastic rounding of {x.shape} by shifts to {shift.max(initial=0)} needs as many "
            f"uint64 random bits, and shifts of {LARGEST_SHIFT} at most; give it those of a Draw"
        )
    right = np.maximum(shift, 0).astype(np.uint64)
    # In two steps, since no shift of a uint64 takes 64 bits away.
    dither = (bits >> np.uint64(1)) >> (np.uint64(LARGEST_SHIFT + 1) - right)
    # As signed integers: 62 bits at most.
    return added(x, dither.astype(np.int64))


def fits(x: Integers, bits: int) -> bool:
    """Tell whether every integer of `x` fits `bits` of two's complement."""
    array = integers(x)
    if not array.size:
        return True
    half = 1 << (bits - 1)
    return -half <= int(array.min()) and int(array.max()) < half


def overflow(x: Integers, bits: int, mode: str) -> np.ndarray:
    """Bring `x` into `bits` (1 to 63) of two's complement. Returns int64.

    mode: `saturate`, `wrap`, or `nullify`, where what is out of range becomes zero. Raises
    NumericsError for other modes and bits.
    """
    if not 1 <= bits <= 63:
        raise NumericsError(f"bits (={bits}) of an integer must be between 1 and 63")
    array = integers(x)
    half = 1 << (bits - 1)
    if mode == "saturate":
        return np.asarray(np.clip(array, -half, half - 1), dtype=np.int64)
    if mode == "wrap":
        # Masked first: what is left of any int64 cannot overflow in the sum.
        low = np.asarray(array & (2 * half - 1), dtype=np.int64)
        return np.asarray(low - ((low & half) << 1))
    if mode == "nullify":
        inside = (array >= -half) & (array < half)
        return np.asarray(np.where(inside, array, 0), dtype=np.int64)
    raise NumericsError(f"overflow {mode!r} is unknown; use saturate, wrap or nullify")


def requantise(
    acc: Integers,
    multiplier: Integers,
    shift: Integers,
    bits: int,
    numerics: Numerics,
    *,
    zero: int = 0,
    random: np.ndarray | None = None,
) -> np.ndarray:
    """Bring accumulators to `bits`: overflow(round_shift(acc * multiplier, shift) + zero, bits).

    acc (rows,), multiplier and shift () or (rows,) -> (rows,) int64; zero: the zero point of the
    result; random (rows,) uint64, for stochastic rounding. Exact for accumulators of 48 bits,
    multipliers below 2**31 and shifts of 0 to 62: the 79-bit product is never cut.
    """
    scaled = round_shift(product(acc, multiplier), shift, numerics.rounding, random)
    return overflow(added(scaled, zero), bits, numerics.requantize_overflow)


def quantise_multiplier(scale: float) -> tuple[int, int]:
    """Return (multiplier, shift) with multiplier / 2**shift nearest to a positive `scale`.

    multiplier is in [1, 2**31), shift in [0, 62], in lowest terms: 2**-k gives (1, k). The relative
    error is at most 2**-31 for scale >= 2**-31; below, the absolute error is at most 2**-63.
    Raises NumericsError for a scale outside [2**-62, 2**31).
    """
    value = float(scale)
    # NaN fails every comparison, and so this one too.
    if not 2.0**-LARGEST_SHIFT <= value < 2.0**MULTIPLIER_BITS:
        raise _unscalable(value)
    _, exponent = math.frexp(value)  # value = fraction * 2**exponent, fraction in [0.5, 1)
    shift = min(MULTIPLIER_BITS - exponent, LARGEST_SHIFT)
    multiplier = round(math.ldexp(value, shift))
    common = min(shift, (multiplier & -multiplier).bit_length() - 1)
    multiplier, shift = multiplier >> common, shift - common
    if multiplier >= 2**MULTIPLIER_BITS:
        raise _unscalable(value)
    return multiplier, shift


def _unscalable(value: float) -> NumericsError:
    return NumericsError(
        f"scale (={value!r}) has no multiplier and shift: it must be finite, at least "
        f"2**-{LARGEST_SHIFT} and below 2**{MULTIPLIER_BITS}; a tensor of zeros needs scale 1"
    )
