"""A thread's vector instructions: operands, faults, values, and what is counted of them."""

import numpy as np

from spusim.kernels.arithmetic import SATURATE, STOCHASTIC, fold
from spusim.kernels.banks import settle_banks
from spusim.kernels.context import address_offset
from spusim.kernels.declare import apart, kernel, seldom
from spusim.kernels.layout import B, C, Fault, Op, P, X
from spusim.kernels.narrow import TABLE_NONE, TABLE_RELU, narrow_values
from spusim.kernels.tape import replays
from spusim.kernels.vector import (
    SCALE_BYTES,
    combine,
    combine_randomly,
    drop_small,
    keep_largest,
    look_up,
    normalising_shift,
    passes_before,
    passes_cycles,
    read_elements,
    requantise,
    write_elements,
)

_Q_FIRST, _Q_TENSOR = int(Op.QUANTISE_SHIFT), int(Op.QUANTISE_TENSOR)
_Q_CHANNEL, _MUL, _MIN = int(Op.QUANTISE_CHANNEL), int(Op.MUL), int(Op.MIN)
_LOOKUP, _FILL, _MOVE, _THRESHOLD = int(Op.LOOKUP), int(Op.FILL), int(Op.MOVE), int(Op.THRESHOLD)
_TOP, _NORMALISE, _NORM, _PC = int(Op.TOP), int(Op.NORMALISE), int(X.NORM), int(X.PC)
_LENGTH, _WA, _WB, _WD, _SA = int(X.LENGTH), int(X.WA), int(X.WB), int(X.WD), int(X.SA)
_SB, _SD, _THREAD_ROUNDING, _ZERO_D = int(X.SB), int(X.SD), int(X.ROUNDING), int(X.ZERO_D)
_DRAW, _FIRST, _WORD_BYTES = int(X.SEED), int(X.FIRST), int(P.WORD_BYTES)
_ROUNDING, _SEED, _RESULT_OVERFLOW = int(P.ROUNDING), int(P.SEED), int(P.RESULT_OVERFLOW)
_ELEMENT, _MULTIPLY, _ACC_READ = int(C.VECTOR_ELEMENT), int(C.VECTOR_MULTIPLY), int(C.ACC_READ)
_DATA_READ, _DATA_WRITE, _TABLE_READ = int(C.DATA_READ), int(C.DATA_WRITE), int(C.TABLE_READ)
_NONE, _MEMORY, _ACCUMULATOR = int(Fault.NONE), int(Fault.MEMORY), int(Fault.ACCUMULATOR)
_TABLE, _SCALE, _SETTINGS = int(Fault.TABLE), int(Fault.SCALE), int(X.SETTINGS)
_B_SETTINGS, _B_OFFSET, _B_TABLE = int(B.SETTINGS), int(B.OFFSET), int(B.TABLE)
_B_BYTES, _B_BITS, _B_CYCLES, _B_MASK = int(B.BYTES), int(B.BITS), int(B.CYCLES), int(B.MASK)
_B_BANKS, _B_READ, _B_WRITTEN = int(B.BANKS), int(B.DATA_READ), int(B.DATA_WRITE)
_B_LOOKUPS, _B_ELEMENTS, _B_MULTIPLIES = int(B.TABLE_READ), int(B.ELEMENTS), int(B.MULTIPLIES)
_B_ACC, _B_USES, _B_HELD = int(B.ACC_READ), int(B.USES), int(B.HELD)
_HALF_UP = 1


@kernel
def vector_operands(core, context, op, operands, bytes_, bits):
    """Fill in byte addresses and widths of operands a, b, scale, d; return (table id, scales).

    scales: 1 for one scale entry, 0 for one an element (or none).
    """
    offset = address_offset(context)
    width = core.params[_WORD_BYTES]
    bits[:] = 0
    bytes_[:] = 0
    bits[3] = context[_WD]
    bytes_[3] = (operands[0] + offset) * width
    table = np.int64(TABLE_NONE)
    if op >= _Q_FIRST and op <= _Q_CHANNEL:
        table = operands[2] if op == _Q_FIRST else operands[3]
        if op != _Q_FIRST:
            bits[2] = 8 * SCALE_BYTES
            bytes_[2] = operands[2] * 4 * width
        return table, np.int64(op == _Q_TENSOR)
    if op == _FILL:
        return table, np.int64(0)
    bits[0] = context[_WA]
    bytes_[0] = (operands[1] + offset) * width
    if op <= _MIN:
        bits[1] = context[_WB]
        bytes_[1] = (operands[2] + offset) * width
    elif op == _LOOKUP:
        table = operands[2]
    return table, np.int64(0)


@kernel
def _vector_fault(core, n, bytes_, bits, op, operands, table):
    for k in range(4):
        elements = 1 if k == 2 and op == _Q_TENSOR else n
        if bits[k] and bytes_[k] + (elements * bits[k] + 7) // 8 > core.memory.shape[0]:
            return _MEMORY
    if op >= _Q_FIRST and op <= _Q_CHANNEL and operands[1] + n > core.acc.shape[0]:
        return _ACCUMULATOR
    if table < TABLE_RELU and table >= core.tables.shape[0]:
        return _TABLE
    return _NONE


@kernel
def _apply_table(core, table, values, n):
    entry = core.tables[table]
    at = core.table_memory[entry[0] :]
    rounding = core.params[_ROUNDING]
    if rounding == STOCHASTIC:
        rounding = _HALF_UP  # a table's result is a function of its input
    look_up(at, values, n, entry[1], entry[2], entry[3], rounding)


@kernel
def _rounding(core, context):
    own = context[_THREAD_ROUNDING]
    return own - 1 if own else core.params[_ROUNDING]


@kernel
def _select(op, values, n, parameter, bits, overflow):
    """Bring values[:n] into `bits`, and drop what is below the threshold or not of the top."""
    for k in range(n):
        sign = np.int64(1) - 2 * np.int64(values[k] < 0)
        values[k] = fold(values[k], bits, overflow) if bits > 1 else sign
    if op == _THRESHOLD:
        drop_small(values, n, parameter)
    else:
        keep_largest(values, n, parameter, bits)


@kernel
def _combined(core, context, op, operands, bytes_, bits, overflow):
    """Put the result of an elementwise instruction on memory into `core.va`, before folding."""
    va, vb, n = core.va, core.vb, context[_LENGTH]
    read_elements(core.memory, bytes_[0], bits[0], n, va)
    if op == _LOOKUP:
        # min(x, x): the pre-shifted operand itself
        combine(_MIN, va, va, n, context[_SA], context[_SA], 0, 0, SATURATE)
        for k in range(n):
            va[k] = fold(va[k], 16, SATURATE)
        return
    if bits[1]:
        read_elements(core.memory, bytes_[1], bits[1], n, vb)
    sa, sb, sd = context[_SA], context[_SB], context[_SD]
    rounding = _rounding(core, context)
    selects = op == _THRESHOLD or op == _TOP
    kind = _MOVE if selects or op == _NORMALISE else op
    if op == _NORMALISE:
        sd = normalising_shift(va, n, bits[3])
        context[_NORM] = sd
    if rounding == STOCHASTIC and sd > 0:
        combine_randomly(kind, va, vb, n, sa, sb, sd, context[_DRAW : _FIRST + 1])
    else:
        combine(kind, va, vb, n, sa, sb, sd, rounding, overflow)
    if selects:
        _select(op, va, n, operands[2], bits[3], overflow)


@apart
def wide_values(core, context, op, operands, bytes_, bits, table, rounding):
    """Compute and store a vector instruction's values, whichever it is; return the fault."""
    n = context[_LENGTH]
    overflow = core.params[_RESULT_OVERFLOW]
    if context[_WD] == 1 and table >= TABLE_RELU:
        overflow = np.int64(SATURATE)  # only the sign matters, and saturation keeps it
    if op == _NORMALISE:
        overflow = np.int64(SATURATE)  # half a unit beyond the largest at most
    va = core.va
    zero = np.int64(0)  # of the result
    context[_DRAW] = core.params[_SEED]
    if op >= _Q_FIRST and op <= _Q_CHANNEL:
        acc = core.acc[operands[1] : operands[1] + n]
        zero = context[_ZERO_D]
        looks_up = table < TABLE_RELU
        if not requantise(
            op, acc, n, core.memory, bytes_[2], context[_SD], context[_NORM],
            16 if looks_up else context[_WD], 0 if looks_up else zero, rounding,
            overflow, context[_DRAW : _FIRST + 1], va,
        ):  # fmt: skip
            return _SCALE
    elif op == _FILL:
        va[:n] = operands[1]
    else:
        _combined(core, context, op, operands, bytes_, bits, overflow)
    if table == TABLE_RELU:
        for k in range(n):
            va[k] = max(va[k], zero)
    elif table != TABLE_NONE:
        for k in range(n):
            va[k] = fold(va[k], 16, SATURATE)
        _apply_table(core, table, va, n)
        if zero:
            for k in range(n):
                va[k] += zero
    write_elements(core.memory, bytes_[3], bits[3], n, va, overflow)
    return _NONE


@apart
def _vector_values(core, context, op, operands, bytes_, bits, table):
    rounding = _rounding(core, context)
    if narrow_values(core, context, op, operands[1], bytes_, bits, table, rounding):
        return _NONE
    return wide_values(core, context, op, operands, bytes_, bits, table, rounding)


@kernel
def table_reads(core, table):
    """Table reads an element: 0 without a table, or with an unknown one; 2 with interpolation."""
    if table >= min(TABLE_RELU, core.tables.shape[0]):
        return np.int64(0)
    return 1 + core.tables[table, 3]


@seldom
def _bind(core, context, op, operands, offset, bound):
    """Fill a vector instruction's row of `bound`; return the fault."""
    n = context[_LENGTH]
    bytes_, bits = bound[_B_BYTES : _B_BYTES + 4], bound[_B_BITS : _B_BITS + 4]
    settle_banks(core, bound)
    bound[_B_SETTINGS] = 0
    table, fixed = vector_operands(core, context, op, operands, bytes_, bits)
    fault = _vector_fault(core, n, bytes_, bits, op, operands, table)
    if fault:
        return fault
    reads, passes = table_reads(core, table), passes_before(op, bits[3])
    bound[_B_BANKS:] = 0
    cycles, mask, read, written = passes_cycles(
        core.params, n, bytes_, bits, fixed, reads, passes, bound[_B_BANKS:], core.bank_scratch
    )
    bound[_B_TABLE], bound[_B_CYCLES], bound[_B_MASK] = table, cycles, mask
    bound[_B_READ], bound[_B_WRITTEN], bound[_B_LOOKUPS] = read, written, n * reads
    bound[_B_ELEMENTS] = n * (passes + 1)
    bound[_B_MULTIPLIES] = n * (op == _MUL or op == _Q_TENSOR or op == _Q_CHANNEL)
    bound[_B_ACC] = n * (op >= _Q_FIRST and op <= _Q_CHANNEL)
    bound[_B_SETTINGS], bound[_B_OFFSET] = context[_SETTINGS] + 1, offset
    return _NONE


@kernel
def _count_vector(core, bound):
    """Count what a vector instruction does, but for its time."""
    counters = core.counters
    counters[_DATA_READ] += bound[_B_READ]
    counters[_DATA_WRITE] += bound[_B_WRITTEN]
    counters[_TABLE_READ] += bound[_B_LOOKUPS]
    counters[_ELEMENT] += bound[_B_ELEMENTS]
    counters[_MULTIPLY] += bound[_B_MULTIPLIES]
    counters[_ACC_READ] += bound[_B_ACC]
    bound[_B_USES] += 1
    bound[_B_HELD] += bound[_B_CYCLES]


@kernel
def run_vector(core, context, op, operands):
    """Execute one vector instruction; return (fault, duration, banks).

    Addresses, time and counts follow from its operands, the thread's settings, and what loops
    add to addresses. They are those of its last execution where these are, mostly: nothing that a
    program computes decides where it goes, or on what.
    """
    bound = core.bound[context[_PC]]
    offset = address_offset(context)
    fault = np.int64(_NONE)
    if bound[_B_SETTINGS] != context[_SETTINGS] + 1 or bound[_B_OFFSET] != offset:
        fault = _bind(core, context, op, operands, offset, bound)
    if fault == _NONE and not replays(core):
        bytes_, bits = bound[_B_BYTES : _B_BYTES + 4], bound[_B_BITS : _B_BITS + 4]
        fault = _vector_values(core, context, op, operands, bytes_, bits, bound[_B_TABLE])
    if fault:
        return fault, np.int64(0), np.int64(0)
    _count_vector(core, bound)
    return fault, bound[_B_CYCLES], bound[_B_MASK]
