"""Threads executed ahead of time: values now, durations as steps that are issued later.

A thread runs on to its next synchronising instruction, or, where units compete for banks and
durations are found cycle by cycle, by one instruction, whose operands are noted for its unit.
Values may run ahead of time because tokens order conflicting accesses; golden refuses programs in
which they do not.
"""

import numpy as np

from spusim.kernels.chip import NEVER, A, F, G, K
from spusim.kernels.context import address_offset
from spusim.kernels.declare import apart, kernel
from spusim.kernels.dma import dma_mask
from spusim.kernels.elementwise import table_reads, vector_operands
from spusim.kernels.layout import B, Fault, M, Op, P, T, Unit, X
from spusim.kernels.log import L, note
from spusim.kernels.sequencer import fail
from spusim.kernels.thread import run_thread, synchronises
from spusim.kernels.transfers import bind_transfer, transfer_operands
from spusim.kernels.vector import passes_before
from spusim.kernels.views import overwrite

_FLIGHTS, _INSTRUCTIONS = int(K.FLIGHTS), int(K.INSTRUCTIONS)
_READY_AT, _ENDED, _STEP, _STEPS = int(F.READY_AT), int(F.ENDED), int(F.STEP), int(F.STEPS)
_LENGTH, _FIXED, _READS, _MATRIX = int(A.LENGTH), int(A.FIXED), int(A.READS), int(A.MATRIX)
_SOURCE, _ACCUMULATE, _PUSHED = int(A.SOURCE), int(A.ACCUMULATE), int(A.PUSHED)
_BYTES, _BITS, _PASSES = int(A.BYTES), int(A.BITS), int(A.PASSES)
_PC, _VECTOR_LENGTH = int(X.PC), int(X.LENGTH)
_ENGINE, _VECTOR = int(Unit.ENGINE), int(Unit.VECTOR)
_SHARED, _ALL, _COLUMNS = int(G.SHARED), int(P.PUSH_ALL), int(M.COLUMNS)
_PC_OUTSIDE, _NONE, _HANDED = int(Fault.PC_OUTSIDE), int(Fault.NONE), int(Fault.HANDED)
_CONVOLVE, _WANTED = int(Op.CONVOLVE), int(G.HANDED)
_WANTED_CORE, _WANTED_CONTEXT = int(G.HANDED_CORE), int(G.HANDED_CONTEXT)
_SEND, _RECV, _DMA = int(Op.SEND), int(Op.RECV), int(Unit.DMA)
_MASK = int(B.MASK)
_CYCLES, _KNOWN, _UNIT, _BANKS = int(F.CYCLES), int(F.KNOWN), int(F.UNIT), int(F.BANKS)
_LIMIT, _NOTED, _NOW = int(G.LOG_LIMIT), int(G.NOTED), int(G.NOW)
_T_UNIT, _T_CYCLES = int(T.UNIT), int(T.CYCLES)
_T_BANKS, _T_PC = int(T.BANKS), int(T.PC)
_L_STEP, PLAN = int(L.STEP), int(A.COUNT)
COLUMNS_A_NOTE = 63  # a mask of columns a word, its sign left alone


@kernel
def next_row(chip, c, context):
    """Code row of a flight's next instruction; a fault, and an `end`, beyond the last."""
    pc = chip.contexts[c, context, _PC]
    if pc >= chip.core[c, _INSTRUCTIONS]:
        fail(chip, _PC_OUTSIDE, c, context, pc)
        return chip.code[c, chip.code.shape[1] - 1]
    return chip.cores[c].code[pc]  # the row that `run_thread` reads, too


@apart
def _plan(core, thread, row, plan):
    """Note the operands of a vector or matrix-vector instruction before it is executed."""
    if row[0] >= _CONVOLVE:
        plan[:] = 0
    elif row[1] == _VECTOR:
        bytes_, bits = plan[_BYTES : _BYTES + 4], plan[_BITS : _BITS + 4]
        table, plan[_FIXED] = vector_operands(core, thread, row[0], row[2:], bytes_, bits)
        plan[_READS], plan[_LENGTH] = table_reads(core, table), thread[_VECTOR_LENGTH]
        plan[_PASSES] = passes_before(row[0], bits[3])
    elif row[1] == _ENGINE:
        plan[_MATRIX], plan[_SOURCE] = row[2], row[3] + address_offset(thread)
        plan[_ACCUMULATE] = row[5]


@apart
def _note_pushed(core, plan, pushed):
    """Note the columns of the product whose values have just been computed."""
    n = 0
    for j in range(core.matrices[plan[_MATRIX], _COLUMNS]):
        if core.params[_ALL] or core.x[j]:
            pushed[n] = j
            n += 1
    plan[_PUSHED] = n


@kernel
def _note_operands(chip, core, plan, unit):
    """Note an executed instruction's plan, and masks of the columns that a product pushes."""
    at = chip.chip[_NOTED]
    overwrite(chip.notes[at : at + PLAN], plan)
    end = at + PLAN
    if unit == _ENGINE:
        columns = core.matrices[plan[_MATRIX], _COLUMNS]
        words = columns // COLUMNS_A_NOTE + 1
        chip.notes[end : end + words] = 0
        for j in range(columns):
            if core.params[_ALL] or core.x[j]:
                chip.notes[end + j // COLUMNS_A_NOTE] |= np.int64(1) << (j % COLUMNS_A_NOTE)
        end += words
    chip.chip[_NOTED] = end


@apart
def _run_noted(chip, c, context, steps, most):
    """Do as `run_thread`, and log every step of engine and vector unit with its operands."""
    core, thread, plan = chip.cores[c], chip.contexts[c, context], chip.planned[c, context]
    done, spent = np.int64(0), np.int64(0)
    while done < most:
        row = chip.code[c, min(thread[_PC], chip.code.shape[1] - 1)]
        _plan(core, thread, row, plan)
        count, fault, cycles = run_thread(core, thread, steps[done:], 1)
        spent += cycles
        if fault == _HANDED and done:
            return done, _NONE, spent
        if fault or count == 0:
            return done + count, fault, spent
        if row[1] == _ENGINE or row[1] == _VECTOR:
            step, at = steps[done], chip.chip[_NOTED]
            _note_operands(chip, core, plan, row[1] if row[0] < _CONVOLVE else np.int64(0))
            note(
                chip, _L_STEP, chip.chip[_NOW], c, context, step[_T_PC], step[_T_CYCLES],
                step[_T_BANKS], at,
            )  # fmt: skip
        done += 1
    return done, _NONE, spent


@kernel
def _run_ahead(chip, c, context, row):
    """Execute a flight's next instructions; False where one is handed to the machine."""
    core, thread, steps = chip.cores[c], chip.contexts[c, context], chip.steps[c, context]
    flight = chip.flights[c, context]
    shared = chip.chip[_SHARED]
    plan = chip.planned[c, context]
    if shared:
        _plan(core, thread, row, plan)
    most = np.int64(1) if shared else np.int64(steps.shape[0])
    if chip.chip[_LIMIT]:
        count, fault, spent = _run_noted(chip, c, context, steps, most)
    else:
        count, fault, spent = run_thread(core, thread, steps, most)
    flight[_STEP], flight[_STEPS], flight[_CYCLES] = 0, count, spent
    if fault == _HANDED:
        chip.chip[_WANTED] = 1
        chip.chip[_WANTED_CORE], chip.chip[_WANTED_CONTEXT] = c, context
        return False
    if fault:
        fail(chip, fault, c, context, 0)
        flight[_READY_AT] = NEVER  # nothing of it is issued in the cycle that the run still takes
    elif shared and row[1] == _ENGINE:
        _note_pushed(core, plan, chip.pushed[c, context])
    return True


@kernel
def know_step(chip, c, context, flight):
    """Have a flight's next executed instruction at hand, if it has one."""
    flight[_KNOWN] = flight[_STEP] < flight[_STEPS]
    if flight[_KNOWN]:
        step = chip.steps[c, context, flight[_STEP]]
        flight[_UNIT], flight[_BANKS] = step[_T_UNIT], step[_T_BANKS]


@kernel
def _know_sync(chip, c, context, flight, row):
    """Have a synchronising instruction at hand."""
    flight[_KNOWN], flight[_UNIT], flight[_BANKS] = 1, row[1], 0
    if row[0] == _SEND or row[0] == _RECV:
        address, words = transfer_operands(chip, c, context, row)
        flight[_BANKS] = bind_transfer(chip, c, context, address, words)[_MASK]
    elif row[1] == _DMA:
        flight[_BANKS] = dma_mask(chip, c, context, row)


@kernel
def prepare_core(chip, c):
    """Have every flight's next instruction at hand: executed, or standing before a sync.

    Returns whether they are; if not, one is handed to the machine, and this wants to be called
    again.
    """
    for k in range(chip.core[c, _FLIGHTS]):
        context = chip.oldest[c, k]
        flight = chip.flights[c, context]
        if flight[_KNOWN] or flight[_ENDED] or flight[_READY_AT] == NEVER:
            continue
        row = next_row(chip, c, context)
        if synchronises(row[0]):
            _know_sync(chip, c, context, flight, row)
        elif _run_ahead(chip, c, context, row):
            know_step(chip, c, context, flight)
        else:
            return False
    return True
