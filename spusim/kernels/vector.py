"""The vector unit: element values, and the beats and bank accesses of rules T16 and T17."""

import numpy as np

from spusim.kernels.arithmetic import (
    MOST_LEFT,
    MOST_MULTIPLIER,
    MOST_RIGHT,
    SATURATE,
    STOCHASTIC,
    WRAP,
    fold,
    scale,
    scale_dithered,
    shift_right,
)
from spusim.kernels.declare import inlined, kernel
from spusim.kernels.layout import Op, P
from spusim.kernels.random import dither
from spusim.kernels.scratch import copied, release, zeros
from spusim.kernels.views import seen_as

_TENSOR, _CHANNEL = int(Op.QUANTISE_TENSOR), int(Op.QUANTISE_CHANNEL)
_ADD, _SUB, _MUL, _MAX = int(Op.ADD), int(Op.SUB), int(Op.MUL), int(Op.MAX)
_MOVE, _RELU = int(Op.MOVE), int(Op.RELU)
_TOP = int(Op.TOP)
_NORMALISE = int(Op.NORMALISE)
_BANKS, _LANES = int(P.BANKS), int(P.VECTOR_LANES)
_STAGES, _TABLE_READS, _WORD_SHIFT = int(P.VECTOR_STAGES), int(P.TABLE_READS), int(P.WORD_SHIFT)
SCALE_BYTES = 8


@inlined
def narrow_element(memory, byte, bits, k):
    """Element k of 4 bits (signed) or of one (+1 where the bit is set, else -1)."""
    at = k * bits
    field = np.int64(memory[byte + (at >> 3)]) >> (at & 7)
    if bits == 1:
        return 2 * (field & 1) - 1
    return ((field & 15) ^ 8) - 8


@kernel
def _put_narrow(memory, byte, bits, k, value, overflow):
    """Store element k: of 4 bits folded, of one the sign; the byte's other bits stay."""
    at = k * bits
    here = byte + (at >> 3)
    field = np.int64(value >= 0) if bits == 1 else fold(value, bits, overflow) & 15
    mask = ((1 << bits) - 1) << (at & 7)
    memory[here] = np.uint8((np.int64(memory[here]) & ~mask) | (field << (at & 7)))


@kernel
def _read(source, out):
    # A slice from 0 on is what LLVM loads and stores side by side.
    for k in range(source.shape[0]):
        out[k] = source[k]


@kernel
def read_elements(memory, byte, bits, n, out):
    """out[:n] = n elements of `bits` from a byte address on. memory (bytes,) uint8."""
    if bits < 8:
        for k in range(n):
            out[k] = narrow_element(memory, byte, bits, k)
    elif bits == 8:
        _read(seen_as(memory, np.int8)[byte : byte + n], out)
    elif bits == 16:
        _read(seen_as(memory, np.int16)[byte >> 1 : (byte >> 1) + n], out)
    else:
        _read(seen_as(memory, np.int32)[byte >> 2 : (byte >> 2) + n], out)


@kernel
def _write(target, values, bits, overflow):
    for k in range(target.shape[0]):
        target[k] = fold(values[k], bits, overflow)


@kernel
def write_elements(memory, byte, bits, n, values, overflow):
    """Fold n values to `bits` (to one: their signs) and store them from a byte address on."""
    if bits < 8:
        for k in range(n):
            _put_narrow(memory, byte, bits, k, values[k], overflow)
    elif bits == 8:
        _write(seen_as(memory, np.int8)[byte : byte + n], values, bits, overflow)
    elif bits == 16:
        _write(seen_as(memory, np.int16)[byte >> 1 : (byte >> 1) + n], values, bits, overflow)
    else:
        _write(seen_as(memory, np.int32)[byte >> 2 : (byte >> 2) + n], values, bits, overflow)


@kernel
def combine(op, a, b, n, sa, sb, sd, rounding, overflow):
    """Put the elementwise result of one or two operands into a[:n], before folding."""
    if op == _MUL:
        for k in range(n):
            a[k] = shift_right(a[k] * b[k], sd, rounding, overflow)
        return
    if op == _MOVE or op == _RELU:
        for k in range(n):
            a[k] = shift_right(a[k], sd, rounding, overflow)
            if op == _RELU:
                a[k] = max(a[k], 0)
        return
    for k in range(n):
        x = shift_right(a[k], sa, 0, WRAP)
        y = shift_right(b[k], sb, 0, WRAP)
        if op == _ADD:
            r = x + y
        elif op == _SUB:
            r = x - y
        elif op == _MAX:
            r = max(x, y)
        else:
            r = min(x, y)
        a[k] = shift_right(r, sd, rounding, overflow)


@kernel
def combine_randomly(op, a, b, n, sa, sb, sd, draw):
    """Do as `combine`, rounding a right shift by sd (at least 1) stochastically."""
    combine(_MOVE if op == _RELU else op, a, b, n, sa, sb, 0, 0, WRAP)
    for k in range(n):
        a[k] = (a[k] + dither(draw, k, sd)) >> sd
        if op == _RELU:
            a[k] = max(a[k], 0)


@kernel
def _narrow(acc, n):
    """Whether all of acc[:n] fit 32 bits, so that their products fit 63."""
    low, high = np.int64(0), np.int64(0)
    for k in range(n):
        low, high = min(low, acc[k]), max(high, acc[k])
    return low >= -(1 << 31) and high < 1 << 31


@kernel
def _scale_narrow(acc, n, multiplier, shift, rounding, out):
    """Scale accumulators of up to 32 bits, rounding floor or half_up, as `scale` does."""
    half = (np.int64(1) << (shift - 1)) if rounding else np.int64(0)
    for k in range(n):
        out[k] = (acc[k] * multiplier + half) >> shift


@kernel
def _scaled(acc, multiplier, shift, rounding, overflow, draw, k):
    if rounding != STOCHASTIC:
        return scale(acc, multiplier, shift, rounding, overflow)
    if shift <= 0:
        return scale(acc, multiplier, shift, 0, overflow)
    return scale_dithered(acc, multiplier, shift, dither(draw, k, shift), overflow)


@kernel
def normalising_shift(values, n, bits):
    """Return the least shift by which all of values[:n] fit `bits` (A13)."""
    magnitudes = np.int64(0)
    for k in range(n):
        magnitudes |= values[k] ^ (values[k] >> 63)
    needed = np.int64(1)
    while magnitudes:
        needed += 1
        magnitudes >>= 1
    return needed - bits


@inlined
def _less(shift, norm):
    """Undo a run-time shift (A14)."""
    return min(max(shift - norm, -MOST_LEFT), MOST_RIGHT)


@kernel
def requantise(
    op, acc, n, memory, byte, sd, norm, bits, zero, rounding, overflow, draw, out
):  # fmt: skip
    """Scale accumulators to `bits` in out[:n]: by shift, or by the scale entries from `byte` on.

    norm: the run-time shift (A14); zero: added to the scaled; draw: where stochastic rounding takes
    its bits, see `random_bits`.
    To one bit only the signs matter, and nothing is folded; then overflow must be SATURATE.
    Returns whether all entries have a multiplier below 2**31 and a shift up to 62.
    """
    wholes = seen_as(memory, np.uint32)
    multiplier, shift = np.int64(1), np.int64(sd)
    if op == _TENSOR:
        multiplier, shift = np.int64(wholes[byte >> 2]), np.int64(wholes[(byte >> 2) + 1] & 0xFF)
    if op != _CHANNEL:
        if multiplier > MOST_MULTIPLIER or shift > MOST_RIGHT:
            return False
        shift = _less(shift, norm)
        if shift > 0 and rounding < 2 and _narrow(acc, n):
            _scale_narrow(acc, n, multiplier, shift, rounding, out)
        else:
            for k in range(n):
                out[k] = _scaled(acc[k], multiplier, shift, rounding, overflow, draw, k)
    else:
        for k in range(n):
            at = (byte >> 2) + 2 * k
            multiplier, shift = np.int64(wholes[at]), np.int64(wholes[at + 1] & 0xFF)
            if multiplier > MOST_MULTIPLIER or shift > MOST_RIGHT:
                return False
            shift = _less(shift, norm)
            out[k] = _scaled(acc[k], multiplier, shift, rounding, overflow, draw, k)
    if bits > 1:
        for k in range(n):
            out[k] = fold(out[k] + zero, bits, overflow)
    elif zero:
        for k in range(n):
            out[k] += zero
    return True


@kernel
def look_up(table, values, n, address_bits, fraction_bits, interpolate, rounding):
    """Replace values[:n] by their table entries; inputs beyond the table saturate to its ends."""
    top = (np.int64(1) << (address_bits + fraction_bits - 1)) - 1
    half = np.int64(1) << (address_bits - 1)
    low = (np.int64(1) << fraction_bits) - 1
    if interpolate and fraction_bits > 0 and rounding <= 1:
        # What most tables are, without a question for every element.
        up = rounding << (fraction_bits - 1)
        for k in range(n):
            x = min(max(values[k], -top - 1), top)
            at = np.uint64((x >> fraction_bits) + half)
            here = np.int64(table[at])
            rise = (np.int64(table[at + np.uint64(1)]) - here) * (x & low)
            values[k] = here + ((rise + up) >> fraction_bits)
        return
    for k in range(n):
        x = min(max(values[k], -top - 1), top)
        at = (x >> fraction_bits) + half
        here = np.int64(table[at])
        if interpolate:
            rise = (np.int64(table[at + 1]) - here) * (x & low)
            here += shift_right(rise, fraction_bits, rounding, SATURATE)
        values[k] = here


@kernel
def drop_small(values, n, threshold):
    """Zero what of values[:n] is smaller in magnitude than a threshold."""
    for k in range(n):
        if abs(values[k]) < threshold:
            values[k] = 0


@kernel
def keep_largest(values, n, keep, bits):
    """Zero all of values[:n], of `bits`, but the `keep` largest magnitudes, of equals the first.

    As T16 has it built: the magnitude of the last that is kept is found bit by bit.
    """
    least = np.int64(0)
    for bit in range(bits - 1, -1, -1):
        wanted = least | np.int64(1) << bit
        count = 0
        for k in range(n):
            count += np.int64(abs(values[k]) >= wanted)
        if count >= keep:
            least = wanted
    room = np.int64(keep)
    for k in range(n):
        room -= np.int64(abs(values[k]) > least)
    for k in range(n):
        magnitude = abs(values[k])
        if magnitude == least and room > 0:
            room -= 1
        elif magnitude <= least:
            values[k] = 0


@kernel
def passes_before(op, bits):
    """Return the passes over the elements before the one that writes `bits` wide results (T16)."""
    return np.int64(bits) if op == _TOP else np.int64(op == _NORMALISE)


@kernel
def beat_words(params, beat, n, byte, bits):
    """First and last word that a beat's elements of one operand lie in."""
    lanes = params[_LANES]
    first = beat * lanes
    last = min(n, first + lanes) - 1
    shift = params[_WORD_SHIFT]
    return (byte + first * bits // 8) >> shift, (byte + (last * bits + bits - 1) // 8) >> shift


@kernel
def _start_banks(params, bytes_, bits, words, banks_of):
    """Note each operand's first word and its bank."""
    for k in range(4):
        words[k] = bytes_[k] >> params[_WORD_SHIFT]
        banks_of[k] = words[k] % params[_BANKS] if bits[k] else 0


@kernel
def vector_cycles(params, n, bytes_, bits, fixed, reads, accesses, scratch):
    """Cycles of a vector instruction (T16, T17), its bank mask, and words read and written.

    bytes_, bits (4,) int64: byte address and element width of operands a, b, scale, d; width 0:
    no such operand; fixed: element count of the scale operand when it is the same in every beat,
    else 0; reads: table reads an element. Adds the accesses to accesses (banks,). Words and banks
    of an operand only go up from beat to beat, so no beat divides.
    """
    lanes, banks, shift = params[_LANES], params[_BANKS], params[_WORD_SHIFT]
    beats = max((n + lanes - 1) // lanes, 1)
    whole_lookups = (lanes * reads + params[_TABLE_READS] - 1) // params[_TABLE_READS]
    words, banks_of = zeros(4, np.int64), zeros(4, np.int64)
    _start_banks(params, bytes_, bits, words, banks_of)
    total = np.int64(params[_STAGES])
    mask, read, written = np.int64(0), np.int64(0), np.int64(0)
    for beat in range(beats):
        start = beat * lanes
        elements = min(n - start, lanes)
        longest = np.int64(1)
        if elements > 0:
            scratch[:banks] = 0
            for k in range(4):
                if bits[k] == 0:
                    continue
                begin, count = (0, fixed) if k == 2 and fixed else (start, elements)
                first = (bytes_[k] + (begin * bits[k] >> 3)) >> shift
                last = (bytes_[k] + (((begin + count) * bits[k] - 1) >> 3)) >> shift
                bank = banks_of[k] + first - words[k]
                while bank >= banks:
                    bank -= banks
                words[k], banks_of[k] = first, bank
                for _ in range(first, last + 1):
                    scratch[bank] += 1
                    accesses[bank] += 1
                    mask |= np.int64(1) << bank
                    longest = max(longest, scratch[bank])
                    bank = bank + 1 if bank + 1 < banks else 0
                if k == 3:
                    written += last - first + 1
                else:
                    read += last - first + 1
            lookups = whole_lookups
            if elements < lanes:
                lookups = (elements * reads + params[_TABLE_READS] - 1) // params[_TABLE_READS]
            longest = max(longest, lookups)
        total += longest
    release(words)
    return total, mask, read, written


@kernel
def passes_cycles(params, n, bytes_, bits, fixed, reads, passes, accesses, scratch):
    """As `vector_cycles`, for an instruction that first takes passes that write nothing (T16)."""
    total, mask, read, written = vector_cycles(
        params, n, bytes_, bits, fixed, reads, accesses, scratch
    )
    reading = copied(bits)
    reading[3] = 0
    for _ in range(passes):
        more = vector_cycles(params, n, bytes_, reading, fixed, reads, accesses, scratch)
        total += more[0] - params[_STAGES]
        read += more[2]
    release(reading)
    return total, mask, read, written
