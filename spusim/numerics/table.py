"""Look-up tables of nonlinear functions, with linear interpolation."""

from collections.abc import Callable

import numpy as np

from spusim.numerics.errors import NumericsError
from spusim.numerics.exact import Integers, integers
from spusim.numerics.shift import round_shift

Function = Callable[[np.ndarray], np.ndarray]

INPUT_BITS = 16


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # By tanh: exp(-x) would overflow, and sigmoid(0) is exactly one half.
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _sqrt(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.maximum(x, 0.0)))


def _rsqrt(x: np.ndarray) -> np.ndarray:
    # At and below zero a large but finite value, which every table's output saturates.
    return np.asarray(1.0 / np.sqrt(np.maximum(x, 2.0**-200)))


def _hardsigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(x / 6.0 + 0.5, 0.0, 1.0))


FUNCTIONS: dict[str, Function] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hardsigmoid": _hardsigmoid,
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
}


def table_entries(address_bits: int, interpolate: bool) -> int:
    """Return the entries of a table: one more than addresses when it is interpolated."""
    return (1 << address_bits) + int(interpolate)


def build_table(
    function: str | Function,
    address_bits: int,
    fraction_bits: int,
    in_exponent: int,
    out_bits: int,
    out_exponent: int,
    interpolate: bool,
) -> np.ndarray:
    """Tabulate `function` (a callable on float arrays, or a name of FUNCTIONS).

    Returns (2**address_bits [+1],) int32. An input integer x has value x * 2**in_exponent and
    address (x >> fraction_bits) + 2**(address_bits - 1). An entry is the function at the first
    of the inputs that share its address, or without interpolation at their mean, in units of
    2**out_exponent, rounded to nearest (ties to even) and saturated to `out_bits`.
    """
    _check_widths(address_bits, fraction_bits, out_bits)
    evaluate = _function(function)
    address = np.arange(table_entries(address_bits, interpolate), dtype=np.int64)
    x = ((address - 2 ** (address_bits - 1)) << fraction_bits).astype(np.float64)
    if not interpolate:
        x += (2**fraction_bits - 1) / 2
    values = np.asarray(evaluate(np.ldexp(x, in_exponent)), dtype=np.float64)
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values))[0]
        raise NumericsError(
            f"the function's value at {np.ldexp(x, in_exponent)[bad]} is {values[bad]}; "
            "a table needs finite values over all of its inputs"
        )
    half = 2 ** (out_bits - 1)
    return np.clip(np.rint(np.ldexp(values, -out_exponent)), -half, half - 1).astype(np.int32)


def lookup(
    entries: Integers,
    x: Integers,
    address_bits: int,
    fraction_bits: int,
    interpolate: bool,
    rounding: str,
) -> np.ndarray:
    """Look up integers x (any shape) -> int64 of the same shape.

    x first saturates to the table's first or last input; its low `fraction_bits` then go on from
    entry t0 toward the next t1: t0 + round_shift((t1 - t0) * fraction, fraction_bits, rounding).
    """
    table, x = integers(entries), integers(x)
    expected = table_entries(address_bits, interpolate)
    if table.shape != (expected,):
        raise NumericsError(
            f"table of shape {table.shape} must be ({expected},): 2**{address_bits} entries"
            f"{' and one more to interpolate' if interpolate else ''}"
        )
    half = 2 ** (address_bits - 1)
    first, last = -(half << fraction_bits), (half << fraction_bits) - 1
    x = np.asarray(np.clip(x, first, last), dtype=np.int64)
    address = (x >> fraction_bits) + half
    if not interpolate:
        return np.asarray(table[address])
    fraction = x & ((1 << fraction_bits) - 1)
    step = table[address + 1] - table[address]
    return np.asarray(table[address] + round_shift(step * fraction, fraction_bits, rounding))


def _function(function: str | Function) -> Function:
    if callable(function):
        return function
    if function not in FUNCTIONS:
        known = ", ".join(FUNCTIONS)
        raise NumericsError(f"function {function!r} has no table; use one of {known}")
    return FUNCTIONS[function]


def _check_widths(address_bits: int, fraction_bits: int, out_bits: int) -> None:
    if address_bits < 1 or fraction_bits < 0 or address_bits + fraction_bits > INPUT_BITS:
        raise NumericsError(
            f"address_bits (={address_bits}) and fraction_bits (={fraction_bits}) must be at "
            f"least 1 and 0 and {INPUT_BITS} at most together, the width of a table's input"
        )
    if not 2 <= out_bits <= 32:
        raise NumericsError(f"out_bits (={out_bits}) of a table must be between 2 and 32")
