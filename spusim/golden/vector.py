"""What the vector unit's instructions mean. All of an operand is read before d is written."""

from dataclasses import replace

import numpy as np

from spusim.golden.activation import Activation
from spusim.golden.control import Operands
from spusim.golden.errors import CodeError, UnknownError
from spusim.numerics import (
    MOST_LEFT,
    MOST_RIGHT,
    STOCHASTIC,
    Numerics,
    lookup,
    overflow,
    requantise,
    round_shift,
)
from spusim.program import TABLE_NONE, TABLE_RELU, Table

TABLE_BITS = 16  # width of a table's input
SCALE_WORDS = 4  # `scale` counts in these
SCALE_ENTRY = np.dtype([("multiplier", "<u4"), ("shift", "u1"), ("zero", "u1", 3)])


def vadd(t: Activation, o: Operands) -> None:
    """Set d = ((a >> sa) + (b >> sb)) >> sd."""
    _put(t, o, _shifted(t, _pre_a(t, o) + _pre_b(t, o)))


def vsub(t: Activation, o: Operands) -> None:
    """Set d = ((a >> sa) - (b >> sb)) >> sd."""
    _put(t, o, _shifted(t, _pre_a(t, o) - _pre_b(t, o)))


def vmul(t: Activation, o: Operands) -> None:
    """Set d = (a * b) >> sd."""
    _put(t, o, _shifted(t, _a(t, o) * _b(t, o)))


def vmax(t: Activation, o: Operands) -> None:
    """Set d = max(a >> sa, b >> sb) >> sd."""
    _put(t, o, _shifted(t, np.maximum(_pre_a(t, o), _pre_b(t, o))))


def vmin(t: Activation, o: Operands) -> None:
    """Set d = min(a >> sa, b >> sb) >> sd."""
    _put(t, o, _shifted(t, np.minimum(_pre_a(t, o), _pre_b(t, o))))


def vmov(t: Activation, o: Operands) -> None:
    """Set d = a >> sd."""
    _put(t, o, _shifted(t, _a(t, o)))


def vrelu(t: Activation, o: Operands) -> None:
    """Set d = max(0, a >> sd)."""
    _put(t, o, np.maximum(0, _shifted(t, _a(t, o))))


def vthr(t: Activation, o: Operands) -> None:
    """Set d = a >> sd, and 0 where its magnitude is below the threshold."""
    x = _narrow(t, _shifted(t, _a(t, o)), t.vector.wd)
    _put(t, o, np.where(np.abs(x) < o["threshold"], 0, x))


def vtop(t: Activation, o: Operands) -> None:
    """Set d = a >> sd where its magnitude is one of the `keep` largest, else 0."""
    x = _narrow(t, _shifted(t, _a(t, o)), t.vector.wd)
    strongest_first = np.argsort(-np.abs(x), kind="stable")
    x[strongest_first[o["keep"] :]] = 0
    _put(t, o, x)


def vnrm(t: Activation, o: Operands) -> None:
    """Set d = a >> k, with the least k by which all of a fits d, and keep k for the thread."""
    a, bits = _a(t, o), t.vector.wd
    magnitudes = int(np.bitwise_or.reduce(a ^ (a >> 63), initial=0))
    t.run_time_shift = magnitudes.bit_length() + 1 - bits
    x = round_shift(a, t.run_time_shift, _numerics(t).rounding, _random(t, len(a)))
    _put(t, o, x if bits == 1 else overflow(x, bits, "saturate"))


def vlut(t: Activation, o: Operands) -> None:
    """Set d = table(a >> sa), where a >> sa saturates to the table's 16 bits."""
    x = overflow(round_shift(_a(t, o), t.vector.sa, "floor"), TABLE_BITS, "saturate")
    _put(t, o, function(t, o["table"], x))


def vfill(t: Activation, o: Operands) -> None:
    """Set d = value in every element."""
    _put(t, o, np.full(t.vector.length, o["value"], np.int64))


def vqs(t: Activation, o: Operands) -> None:
    """Set d = f(requantise(acc, shift sd))."""
    _requantise(t, o, 1, t.vector.sd)


def vqm(t: Activation, o: Operands) -> None:
    """Set d = f(requantise(acc, multiplier and shift of the one scale entry))."""
    _requantise(t, o, *scales(t, o["scale"], 1))


def vqc(t: Activation, o: Operands) -> None:
    """Set d = f(requantise(acc, multiplier and shift of a scale entry per row))."""
    _requantise(t, o, *scales(t, o["scale"], t.vector.length))


def _a(t: Activation, o: Operands) -> np.ndarray:
    return t.read(o["a"], t.vector.length, t.vector.wa)


def _b(t: Activation, o: Operands) -> np.ndarray:
    return t.read(o["b"], t.vector.length, t.vector.wb)


def _pre_a(t: Activation, o: Operands) -> np.ndarray:
    return _floored(_a(t, o), t.vector.sa)


def _pre_b(t: Activation, o: Operands) -> np.ndarray:
    return _floored(_b(t, o), t.vector.sb)


def _floored(x: np.ndarray, shift: int) -> np.ndarray:
    return round_shift(x, shift, "floor")


def _shifted(t: Activation, x: np.ndarray) -> np.ndarray:
    return round_shift(x, t.vector.sd, _numerics(t).rounding, _random(t, len(x)))


def _random(t: Activation, count: int) -> np.ndarray | None:
    """Return 64 random bits an output, where rounding asks for them."""
    return t.draw.bits(count) if _numerics(t).rounding == STOCHASTIC else None


def _numerics(t: Activation) -> Numerics:
    """Return the architecture's arithmetic with the thread's rounding."""
    rounding = t.vector.rounding
    return replace(t.chip.numerics, rounding=rounding) if rounding else t.chip.numerics


def _narrow(t: Activation, x: np.ndarray, bits: int) -> np.ndarray:
    if bits == 1:
        return np.where(x < 0, -1, 1)
    return overflow(x, bits, t.chip.numerics.requantize_overflow)


def _put(t: Activation, o: Operands, x: np.ndarray) -> None:
    t.random.ordinal += 1
    t.write(o["d"], _narrow(t, x, t.vector.wd), t.vector.wd)


def scales(t: Activation, scale: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Read `count` scale entries: multipliers and shifts (count,). Raises CodeError."""
    data = t.read_bytes(scale * SCALE_WORDS, count * SCALE_ENTRY.itemsize)
    entries = data.view(SCALE_ENTRY)
    multiplier, shift = (entries[name].astype(np.int64) for name in ("multiplier", "shift"))
    if np.any(multiplier >= 1 << 31) or np.any(shift > MOST_RIGHT):
        raise CodeError(
            f"a scale entry must have a multiplier below 2**31, a shift to {MOST_RIGHT}"
        )
    return multiplier, shift


def _requantise(
    t: Activation, o: Operands, multiplier: int | np.ndarray, shift: int | np.ndarray
) -> None:
    acc, zero = t.read_rows(o["acc"], t.vector.length), t.zero_d
    random = _random(t, len(acc))
    shift = np.clip(shift - t.run_time_shift, -MOST_LEFT, MOST_RIGHT)
    if o["table"] < TABLE_RELU:
        q = requantise(acc, multiplier, shift, TABLE_BITS, _numerics(t), random=random)
        _put(t, o, _looked_up(t, o["table"], q) + zero)
        return
    bits, numerics = t.vector.wd, _numerics(t)
    if bits == 1:
        # only the sign counts, which saturating to any width keeps
        bits, numerics = TABLE_BITS, replace(numerics, requantize_overflow="saturate")
    q = requantise(acc, multiplier, shift, bits, numerics, zero=zero, random=random)
    _put(t, o, np.maximum(zero, q) if o["table"] == TABLE_RELU else q)


def function(t: Activation, number: int, x: np.ndarray) -> np.ndarray:
    """Return f(x): table `number` of the core, the identity, or max(0, x)."""
    if number == TABLE_NONE:
        return x
    return np.maximum(0, x) if number == TABLE_RELU else _looked_up(t, number, x)


def _looked_up(t: Activation, number: int, x: np.ndarray) -> np.ndarray:
    table = _table(t, number)
    return lookup(
        table.entries,
        x,
        table.address_bits,
        table.fraction_bits,
        table.interpolate,
        t.chip.numerics.table_rounding,
    )


def _table(t: Activation, number: int) -> Table:
    tables = t.core.image.tables
    if number >= len(tables):
        raise UnknownError(
            f"table {number} does not exist; core {t.number} has {len(tables)}, and "
            f"{TABLE_RELU} is max(0, .), {TABLE_NONE} none"
        )
    return tables[number]
