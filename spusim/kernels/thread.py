"""The compiled thread interpreter: what a thread does between two synchronisation points.

Values are computed in thread order, and each instruction's duration without interference is
noted as a step. When nothing interferes the machine adds the durations up; otherwise it issues
the steps one by one. Either way the rules of a unit exist once, in the functions called here.
"""

import numpy as np

from spusim.kernels.arithmetic import MOST_LEFT, MOST_RIGHT, SATURATE, STOCHASTIC, fold
from spusim.kernels.declare import kernel
from spusim.kernels.engine import matvec_fault, multiply
from spusim.kernels.layout import (
    LOOP_BUMP,
    LOOP_FIRST,
    LOOP_ITERATION,
    LOOP_LAST,
    LOOP_LEFT,
    LOOP_LEVELS,
    B,
    C,
    Fault,
    Given,
    Op,
    P,
    Unit,
    X,
)
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

_SEQUENCER, _ENGINE, _VECTOR = int(Unit.SEQUENCER), int(Unit.ENGINE), int(Unit.VECTOR)
_END, _POST, _LOOP, _VSET = int(Op.END), int(Op.POST), int(Op.LOOP), int(Op.VSET)
_SEND, _RECV, _MATVEC = int(Op.SEND), int(Op.RECV), int(Op.MATVEC)
_YIELD, _FETCH = int(Op.YIELD), int(Op.FETCH)
_ZERO_SET, _POSITION_SET, _RANDOM_SET, _NORM_SET = (
    int(Op.ZERO_SET),
    int(Op.POSITION_SET),
    int(Op.RANDOM_SET),
    int(Op.NORM_SET),
)
_Q_FIRST, _Q_TENSOR, _Q_CHANNEL = (
    int(Op.QUANTISE_SHIFT),
    int(Op.QUANTISE_TENSOR),
    int(Op.QUANTISE_CHANNEL),
)
_MUL, _MIN, _RELU, _LOOKUP, _FILL = (
    int(Op.MUL),
    int(Op.MIN),
    int(Op.RELU),
    int(Op.LOOKUP),
    int(Op.FILL),
)
_MOVE, _THRESHOLD, _TOP = int(Op.MOVE), int(Op.THRESHOLD), int(Op.TOP)
_NORMALISE, _NORM = int(Op.NORMALISE), int(X.NORM)
_PC, _LENGTH, _WA, _DEPTH, _LOOPS = int(X.PC), int(X.LENGTH), int(X.WA), int(X.DEPTH), int(X.LOOPS)
_WB, _WD, _SA, _SB, _SD = int(X.WB), int(X.WD), int(X.SA), int(X.SB), int(X.SD)
_THREAD_ROUNDING = int(X.ROUNDING)
_ZERO_X, _ZERO_D, _POSITION = int(X.ZERO_X), int(X.ZERO_D), int(X.POSITION)
_DRAW, _STREAM, _ORDINAL, _FIRST = int(X.SEED), int(X.STREAM), int(X.ORDINAL), int(X.FIRST)
_WORD_BYTES, _ROUNDING, _SEED = int(P.WORD_BYTES), int(P.ROUNDING), int(P.SEED)
_RESULT_OVERFLOW = int(P.RESULT_OVERFLOW)
_SHARED = int(P.SHARED_PORTS)
_ELEMENT, _MULTIPLY, _INSTRUCTION = (
    int(C.VECTOR_ELEMENT),
    int(C.VECTOR_MULTIPLY),
    int(C.INSTRUCTION),
)
_ACC_READ, _DATA_READ, _DATA_WRITE, _TABLE_READ = (
    int(C.ACC_READ),
    int(C.DATA_READ),
    int(C.DATA_WRITE),
    int(C.TABLE_READ),
)
_NONE, _PC_OUTSIDE, _LOOP_DEPTH = int(Fault.NONE), int(Fault.PC_OUTSIDE), int(Fault.LOOP_DEPTH)
_MEMORY, _ACCUMULATOR = int(Fault.MEMORY), int(Fault.ACCUMULATOR)
_MATRIX, _TABLE = int(Fault.MATRIX), int(Fault.TABLE)
_LOOP_NESTING, _SHIFT, _SCALE = int(Fault.LOOP_NESTING), int(Fault.SHIFT), int(Fault.SCALE)
_CONVOLVE, _HANDED = int(Op.CONVOLVE), int(Fault.HANDED)
_READY, _CYCLES, _BANKS = int(Given.READY), int(Given.CYCLES), int(Given.BANKS)
_SETTINGS = int(X.SETTINGS)
_B_SETTINGS, _B_OFFSET, _B_TABLE = int(B.SETTINGS), int(B.OFFSET), int(B.TABLE)
_B_BYTES, _B_BITS = int(B.BYTES), int(B.BITS)
_B_CYCLES, _B_MASK, _B_BANKS = int(B.CYCLES), int(B.MASK), int(B.BANKS)
_B_READ, _B_WRITTEN, _B_LOOKUPS = int(B.DATA_READ), int(B.DATA_WRITE), int(B.TABLE_READ)
_B_ELEMENTS, _B_MULTIPLIES, _B_ACC = int(B.ELEMENTS), int(B.MULTIPLIES), int(B.ACC_READ)
_FOUR_BITS = 3  # the last value of the kind `width`, after 8, 16 and 32
_HALF_UP = 1


@kernel
def start_thread(context, entry):
    """Reset a context to a thread's first instruction."""
    context[:] = 0
    context[_PC] = entry
    context[_WA] = context[_WB] = context[_WD] = 16


@kernel
def address_offset(context):
    """Words that the loops around an instruction add to its data addresses."""
    offset = np.int64(0)
    for level in range(context[_DEPTH]):
        loop = context[_LOOPS + 5 * level : _LOOPS + 5 * level + 5]
        offset += loop[LOOP_ITERATION] * loop[LOOP_BUMP]
    return offset


@kernel
def next_instruction(context):
    """Advance the program counter, going round loops whose last instruction was executed."""
    pc = context[_PC]
    while context[_DEPTH]:
        at = _LOOPS + 5 * (context[_DEPTH] - 1)
        loop = context[at : at + 5]
        if pc != loop[LOOP_LAST]:
            break
        loop[LOOP_LEFT] -= 1
        if loop[LOOP_LEFT]:
            loop[LOOP_ITERATION] += 1
            context[_PC] = loop[LOOP_FIRST]
            return
        context[_DEPTH] -= 1
    context[_PC] = pc + 1


@kernel
def _enter_loop(context, count, body, bump):
    pc = context[_PC]
    if context[_DEPTH]:
        outer = _LOOPS + 5 * (context[_DEPTH] - 1)
        if pc + body > context[outer + LOOP_LAST]:
            return _LOOP_NESTING
    if count == 0 or body == 0:
        context[_PC] = pc + body
        next_instruction(context)
        return _NONE
    if context[_DEPTH] == LOOP_LEVELS:
        return _LOOP_DEPTH
    at = _LOOPS + 5 * context[_DEPTH]
    loop = context[at : at + 5]
    loop[LOOP_FIRST] = pc + 1
    loop[LOOP_LAST] = pc + body
    loop[LOOP_LEFT] = count
    loop[LOOP_ITERATION] = 0
    loop[LOOP_BUMP] = bump
    context[_DEPTH] += 1
    context[_PC] = pc + 1
    return _NONE


@kernel
def _set_vector(context, operands):
    context[_LENGTH] = operands[0]
    context[_SETTINGS] = context[_PC] + 1
    rounding, stochastic, binary = operands[7], operands[8], operands[9]
    fault = _NONE
    for k in range(3):
        width = operands[1 + k]
        context[_WA + k] = 8 << width if width < _FOUR_BITS else 4
        if binary >> k & 1:
            context[_WA + k] = 1
        context[_SA + k] = operands[4 + k]
        if operands[4 + k] < -MOST_LEFT or operands[4 + k] > MOST_RIGHT:
            fault = _SHIFT
    context[_THREAD_ROUNDING] = STOCHASTIC + 1 if stochastic else rounding
    return fault


@kernel
def _set_thread(context, op, operands):
    """Execute `vset`, `zset`, `pset`, `rset` or `nset`; return the fault."""
    if op == _VSET:
        return _set_vector(context, operands)
    if op == _ZERO_SET:
        context[_ZERO_X], context[_ZERO_D] = operands[0], operands[1]
    elif op == _POSITION_SET:
        context[_POSITION] = operands[0]
    elif op == _RANDOM_SET:
        context[_STREAM], context[_FIRST], context[_ORDINAL] = operands[0], operands[1], 0
    elif op == _NORM_SET:
        context[_NORM] = operands[0]
    return _NONE


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


@kernel
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


@kernel
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


@kernel
def _bind(core, context, op, operands, offset, bound):
    """Fill a vector instruction's row of `bound`; return the fault."""
    n = context[_LENGTH]
    bytes_, bits = bound[_B_BYTES : _B_BYTES + 4], bound[_B_BITS : _B_BITS + 4]
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
    for bank in range(core.bank_busy.shape[0]):
        core.bank_busy[bank] += bound[_B_BANKS + bank]


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


@kernel
def hold_banks(core, mask, cycles):
    """Count the cycles for which an instruction holds its banks (T18)."""
    for bank in range(core.bank_held.shape[0]):
        core.bank_held[bank] += (mask >> bank & 1) * cycles


@kernel
def synchronises(op):
    """Whether an instruction is one that threads are not executed ahead over."""
    if op == _END or op == _POST or op == _SEND or op == _RECV:
        return True
    return op >= _YIELD and op <= _FETCH


@kernel
def run_thread(core, context, steps, most):
    """Execute until a synchronisation instruction, `most` steps, or a fault.

    steps (n, T.COUNT) int64 gets a row per executed instruction. Returns (steps, fault): with no
    fault and fewer than `most` steps, the context stands before one that synchronises, or before
    one that the machine executes: with no step at all, this is HANDED.
    """
    done = 0
    while done < most:
        pc = context[_PC]
        if pc >= core.code.shape[0]:
            return done, _PC_OUTSIDE
        op, unit = core.code[pc, 0], core.code[pc, 1]
        operands = core.code[pc, 2:]
        if synchronises(op):
            return done, _NONE
        cycles, mask, fault = np.int64(1), np.int64(0), np.int64(_NONE)
        if op >= _CONVOLVE:
            if not core.given[_READY]:
                return done, _NONE if done else _HANDED
            core.given[_READY] = 0
            cycles, mask = core.given[_CYCLES], core.given[_BANKS]
        elif unit == _ENGINE:
            src = operands[1] + address_offset(context)
            if operands[0] >= core.matrices.shape[0]:
                return done, _MATRIX
            fault = matvec_fault(core, operands[0], src, operands[2])
            if fault == _NONE:
                cycles, mask = multiply(
                    core, operands[0], src, operands[2], operands[3], context[_ZERO_X],
                    context[_POSITION],
                )  # fmt: skip
        elif unit == _VECTOR:
            fault, cycles, mask = run_vector(core, context, op, operands)
            context[_ORDINAL] += 1
        elif op != _LOOP:
            fault = _set_thread(context, op, operands)
        if fault:
            return done, fault
        steps[done, 0] = unit
        steps[done, 1] = cycles
        steps[done, 2] = mask
        steps[done, 3] = pc
        if not core.params[_SHARED]:
            hold_banks(core, mask, cycles)
        core.counters[_INSTRUCTION] += 1
        done += 1
        if op == _LOOP:
            fault = _enter_loop(context, operands[0], operands[1], operands[2])
            if fault:
                return done, fault
        else:
            next_instruction(context)
    return done, _NONE
