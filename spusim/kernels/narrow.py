"""Values of most vector instructions, 16 elements at a time: what `vector` computes in 64 bits.

Elements of 8 or 16 bits, shifted right, have sums of 17 bits and products of 31, so that 32 bits
hold all that comes up between reading and saturating them. Accumulators of 32 bits times a
multiplier of 31 need 63, and 32 once they are saturated. Rounding is `floor` or `half_up`, which
both add a constant and floor, and results saturate; everything else is left to `vector`, which
defines what comes out.
"""

import numpy as np

from spusim.kernels.arithmetic import MOST_MULTIPLIER, MOST_RIGHT, SATURATE, STOCHASTIC
from spusim.kernels.declare import inlined, kernel
from spusim.kernels.layout import Op, P, X
from spusim.kernels.registers import shifted
from spusim.kernels.vector import read_elements
from spusim.kernels.views import seen_as

_TENSOR, _CHANNEL = int(Op.QUANTISE_TENSOR), int(Op.QUANTISE_CHANNEL)
_FIRST, _LOOKUP = int(Op.QUANTISE_SHIFT), int(Op.LOOKUP)
_ADD, _SUB, _MUL, _MAX, _MIN = int(Op.ADD), int(Op.SUB), int(Op.MUL), int(Op.MAX), int(Op.MIN)
_MOVE, _RELU = int(Op.MOVE), int(Op.RELU)
_LENGTH, _SA, _SB, _SD = int(X.LENGTH), int(X.SA), int(X.SB), int(X.SD)
_NORM, _ZERO = int(X.NORM), int(X.ZERO_D)
_ROUNDING, _OVERFLOW = int(P.ROUNDING), int(P.RESULT_OVERFLOW)
TABLE_NONE, TABLE_RELU = 63, 62  # for a table, none, and max(0, .)
_NEVER = -(1 << 31)  # a lower bound that bounds nothing
MOST_SHIFT = 30  # of 32 bits, with a half added
MOST_FRACTION = 14  # bits by which a rise of 17 bits may be multiplied


@kernel
def _scale(acc, multiplier, shift, half, zero, bits, out):
    """Put accumulators (n,) times multiplier / 2**shift, rounded, plus zero in out, saturated.

    Returns whether all of them fit 32 bits, without which out is wrong.
    """
    low = -(np.int64(1) << (bits - 1))
    factor, beyond = np.int64(np.int32(multiplier)), np.int64(0)
    for k in range(acc.shape[0]):
        value = np.int64(np.int32(acc[k]))
        beyond |= value ^ acc[k]
        out[k] = np.int32(min(max(((value * factor + half) >> shift) + zero, low), -low - 1))
    return beyond == 0


@kernel
def _scale_each(acc, entries, rounding, norm, zero, bits, out):
    """Do as `_scale` with an entry of entries (2 n,) uint32 for each: a multiplier and a shift.

    Returns whether accumulators fit 32 bits, multipliers 31, and no shift is to the left.
    """
    low = -(np.int64(1) << (bits - 1))
    wrong = np.int64(0)
    for k in range(acc.shape[0]):
        value = np.int64(np.int32(acc[k]))
        multiplier = np.int64(entries[2 * k])
        shift = np.int64(entries[2 * k + 1] & np.uint32(0xFF))
        wrong |= (value ^ acc[k]) | (multiplier >> 31)
        wrong |= np.int64(shift > MOST_RIGHT) | np.int64(shift - norm > MOST_RIGHT)
        wrong |= np.int64(shift - norm < 0)
        shift = (shift - norm) & 63
        half = (np.int64(rounding) << shift) >> 1
        scaled = (value * np.int64(np.int32(multiplier)) + half) >> shift
        out[k] = np.int32(min(max(scaled + zero, low), -low - 1))
    return wrong == 0


@kernel
def _scaled(core, context, op, first, byte, bits, zero, rounding, out):
    """Put requantised accumulators in out (n,) int32; return whether that could be done here."""
    acc = core.acc[first : first + out.shape[0]]
    wholes = seen_as(core.memory, np.uint32)
    norm = context[_NORM]
    if op == _CHANNEL:
        entries = wholes[byte >> 2 : (byte >> 2) + 2 * out.shape[0]]
        return _scale_each(acc, entries, rounding, norm, zero, bits, out)
    multiplier, shift = np.int64(1), context[_SD]
    if op == _TENSOR:
        multiplier, shift = np.int64(wholes[byte >> 2]), np.int64(wholes[(byte >> 2) + 1] & 0xFF)
    if multiplier > MOST_MULTIPLIER or shift > MOST_RIGHT:
        return False
    shift -= norm
    if shift < 0 or shift > MOST_RIGHT:
        return False
    half = (np.int64(rounding) << shift) >> 1
    return _scale(acc, multiplier, shift, half, zero, bits, out)


@inlined
def _halved(value, half, shift):
    """Return (value + half) / 2**shift, floored, in 32 bits; shift below 32."""
    return shifted(np.int32(value + half), shift)


@inlined
def _part(value, shift):
    return shifted(np.int32(value), shift)


@kernel
def _combine(op, a, b, sa, sb, sd, half, out):
    """Put the elementwise result of a and b (n,) in out (n,) int32, before it is saturated."""
    half = np.int32(half)
    n = out.shape[0]
    if op == _MUL:
        for k in range(n):
            out[k] = _halved(np.int32(np.int32(a[k]) * np.int32(b[k])), half, sd)
    elif op == _ADD:
        for k in range(n):
            out[k] = _halved(np.int32(_part(a[k], sa) + _part(b[k], sb)), half, sd)
    elif op == _SUB:
        for k in range(n):
            out[k] = _halved(np.int32(_part(a[k], sa) - _part(b[k], sb)), half, sd)
    elif op == _MAX:
        for k in range(n):
            out[k] = _halved(max(_part(a[k], sa), _part(b[k], sb)), half, sd)
    elif op == _MIN:
        for k in range(n):
            out[k] = _halved(min(_part(a[k], sa), _part(b[k], sb)), half, sd)
    else:
        least = np.int32(0) if op == _RELU else np.int32(_NEVER)
        for k in range(n):
            out[k] = max(_halved(np.int32(a[k]), half, sd), least)


@kernel
def _combined(core, context, op, bytes_, bits, rounding, out):
    """Put an elementwise instruction's results in out (n,) int32; return whether it could be."""
    n = out.shape[0]
    sa, sb, sd = context[_SA], context[_SB], context[_SD]
    other = seen_as(core.vb, np.int32)[:n]
    if op == _LOOKUP:
        op, sb, sd = np.int64(_MOVE), np.int64(0), sa
        sa, rounding = np.int64(0), np.int64(0)
    if op == _MUL or op == _MOVE or op == _RELU:
        sa, sb = np.int64(0), np.int64(0)  # which these ignore
    elif not (op == _ADD or op == _SUB or op == _MAX or op == _MIN):
        return False
    narrow = bits[0] == 8 or bits[0] == 16
    narrow = narrow and (bits[1] == 0 or bits[1] == 8 or bits[1] == 16)
    if not narrow or min(min(sa, sb), sd) < 0 or max(max(sa, sb), sd) > MOST_SHIFT:
        return False
    half = (np.int64(rounding) << sd) >> 1
    if bits[0] == 16 and bits[1] == 16:
        halves = seen_as(core.memory, np.int16)
        one, two = halves[bytes_[0] >> 1 :], halves[bytes_[1] >> 1 :]
        _combine(op, one[:n], two[:n], sa, sb, sd, half, out)
        return True
    read_elements(core.memory, bytes_[0], bits[0], n, out)
    if bits[1]:
        read_elements(core.memory, bytes_[1], bits[1], n, other)
    _combine(op, out, other, sa, sb, sd, half, out)
    return True


@kernel
def _find_entries(values, places, base, half, low, top, fraction_bits):
    """Put the place of each value's table entry in places, and what is left of it in values."""
    base, shift = np.int32(base + half), fraction_bits
    low, top = np.int32(low), np.int32(top)
    for k in range(values.shape[0]):
        x = min(max(values[k], np.int32(~top)), top)
        places[k] = np.int32(shifted(x, shift) + base)
        values[k] = x & low


@kernel
def _fetch(pairs, places):
    """Replace places by the pairs of entries that are there."""
    for k in range(places.shape[0]):
        places[k] = pairs[np.uint64(np.uint32(places[k]))]


@kernel
def _looks_up(core, table):
    """Whether a table is one that `_look_up` can do."""
    if table >= core.tables.shape[0] or core.table_pairs.shape[0] == 0:
        return False
    row, rounding = core.tables[table], core.params[_ROUNDING]
    fits = row[2] >= 1 and row[2] <= MOST_FRACTION and row[1] >= 1 and row[1] + row[2] <= MOST_SHIFT
    return row[3] == 1 and fits and (rounding < 2 or rounding == STOCHASTIC)


@kernel
def _look_up(core, table, values, pairs):
    """Replace values (n,) int32 by how far each is into its pair of entries, put in pairs."""
    row = core.tables[table]
    base, address_bits, fraction_bits = row[0], row[1], row[2]
    one = np.int64(1)
    half, top = one << (address_bits - 1), (one << (address_bits + fraction_bits - 1)) - 1
    _find_entries(values, pairs, base, half, (one << fraction_bits) - 1, top, fraction_bits)
    _fetch(core.table_pairs, pairs)


@kernel
def _interpolate(values, pairs, up, shift, more, low, high, target):
    """Store the entries that lie values / 2**shift into pairs (n,), as `_finish` does."""
    for k in range(target.shape[0]):
        here = np.int32(np.int16(pairs[k]))
        rise = np.int32(np.int32(shifted(pairs[k], 16) - here) * values[k])
        found = np.int32(here + _halved(rise, up, shift))
        target[k] = min(max(np.int32(found + more), low), high)


@kernel
def _finish(core, table, values, pairs, more, least, bits, target):
    """Store values (n,), or what was looked up of them, plus a number, saturated to bits.

    least: of the results.
    """
    low, high = np.int32(max(least, -(np.int64(1) << (bits - 1)))), np.int32((1 << (bits - 1)) - 1)
    more = np.int32(more)
    if table < TABLE_RELU:
        fraction_bits = core.tables[table, 2]
        up = np.int32(min(core.params[_ROUNDING], np.int64(1)) << (fraction_bits - 1))
        _interpolate(values, pairs, up, fraction_bits, more, low, high, target)
        return
    for k in range(target.shape[0]):
        target[k] = min(max(np.int32(values[k] + more), low), high)


@kernel
def narrow_values(core, context, op, first, bytes_, bits, table, rounding):
    """Compute and store a vector instruction's values; return whether it is one of those here.

    first: its first accumulator; bytes_, bits (4,): of operands a, b, scale, d. Nothing is stored
    that could not be computed.
    """
    n, more, least, width = context[_LENGTH], np.int64(0), np.int64(_NEVER), bits[3]
    looks = table < TABLE_RELU
    if core.params[_OVERFLOW] != SATURATE or rounding > 1 or not (width == 8 or width == 16):
        return False
    if looks and not _looks_up(core, table):
        return False
    values = seen_as(core.va, np.int32)[:n]
    if table == TABLE_RELU:
        least = np.int64(0)
    if op >= _FIRST and op <= _CHANNEL:
        zero = context[_ZERO]
        to, before = (np.int64(16), np.int64(0)) if looks else (width, zero)
        if not _scaled(core, context, op, first, bytes_[2], to, before, rounding, values):
            return False
        more = zero if looks else np.int64(0)
        least = zero if table == TABLE_RELU else least
    elif not _combined(core, context, op, bytes_, bits, rounding, values):
        return False
    pairs = seen_as(core.vb, np.int32)[:n]
    if looks:
        _look_up(core, table, values, pairs)
    at = bytes_[3] >> (width >> 4)
    if width == 16:
        target = seen_as(core.memory, np.int16)[at : at + n]
        _finish(core, table, values, pairs, more, least, width, target)
    else:
        narrow = seen_as(core.memory, np.int8)[at : at + n]
        _finish(core, table, values, pairs, more, least, width, narrow)
    return True
