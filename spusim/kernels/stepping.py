"""The sparse engine cycle by cycle: rules T7 to T14, T19 and T20, compiled.

`rowtime` gives the same figures at once where no rule depends on absolute time. Here the engine's
state lives in arrays, so that a window of cycles can be stepped, copied, and stepped again when
another unit begins to compete for the banks (T19), or a hazard makes a beat wait (T13).
"""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.layout import M, P, S
from spusim.kernels.rowtime import cost_of

# engine state
PHASE, OPERAND, OPERANDS, SRC, NEXT, TOTAL, WINDOW, PENDING, SCANNED, LEFT, MATRIX, CYCLE = range(
    12
)
ENGINE_STATE = 12
IDLE, LOADING, RUNNING, DRAINING = range(4)
# state of a PE
FETCHED, FETCHES, POPPED, COST, BEAT, ENTRIES, RELEASED, FREED = range(8)
PE_STATE = 8

_PES, _BANKS, _WORD_BYTES, _WIDTH = int(P.PES), int(P.BANKS), int(P.WORD_BYTES), int(P.SCAN_WIDTH)
_DEPTH, _DONE, _STAGES = int(P.QUEUE_DEPTH), int(P.RELEASE_DONE), int(P.MAC_STAGES)
_PRIVATE, _HAZARD = int(P.PRIVATE_WEIGHTS), int(P.HAZARD_STALL)
_COLUMNS, _COSTS, _ABITS, _FETCH = (
    int(M.COLUMNS),
    int(M.COSTS),
    int(M.ACTIVATION_BITS),
    int(M.FETCH),
)
_LOAD, _BUSY, _EMPTY, _STARVED = int(S.LOAD), int(S.BUSY), int(S.EMPTY_COLUMN), int(S.STARVED)
_HAZARD_WAIT, _PORT, _IMBALANCE = int(S.HAZARD), int(S.PORT), int(S.IMBALANCE)
_DRAIN, _FULL, _WAIT = int(S.DRAIN), int(S.QUEUE_FULL), int(S.PE_WAIT)
BY_ROUTER, BY_VECTOR, BY_ENGINE = 1, 2, 3  # who was granted a bank in a cycle
SPARE_SLOTS = 64  # places of a short pencil may lie beyond the last accumulator
_NEVER = np.int64(-(1 << 40))


@kernel
def start_engine(core, m, src, n, accumulate, state, pes, last):
    """Set the stepping state to the first cycle of a product of n pushed columns.

    state (ENGINE_STATE,), pes (pes, PE_STATE), last (pes, slots): cycle of the last update.
    """
    matrix = core.matrices[m]
    state[:] = 0
    pes[:] = 0
    last[:] = _NEVER
    state[PHASE] = LOADING
    state[SRC], state[TOTAL], state[MATRIX] = src, n, m
    state[WINDOW] = -1
    count = core.params[_PES]
    if not core.params[_PRIVATE]:
        word_bits = 8 * core.params[_WORD_BYTES]
        state[OPERANDS] = (matrix[_COLUMNS] * matrix[_ABITS] + word_bits - 1) // word_bits
    for p in range(count):
        pes[p, FETCHES] = core.fetch[matrix[_FETCH] + (count if accumulate else 0) + p]
        pes[p, FREED] = _NEVER


@kernel
def _load_done(state, pes):
    if state[OPERAND] < state[OPERANDS]:
        return False
    for p in range(pes.shape[0]):
        if pes[p, FETCHED] < pes[p, FETCHES]:
            return False
    return True


@kernel
def _load_cycle(core, state, pes, taken, pe_stalls, scanner_stalls):
    """One cycle of the load phase (T7, T19): the operand's word first, then the PEs' fetches."""
    count, banks = core.params[_PES], core.params[_BANKS]
    streaming = np.int64(-1)
    cause = _LOAD
    if state[OPERAND] < state[OPERANDS]:
        bank = (state[SRC] + state[OPERAND]) % banks
        if taken[bank]:
            cause = _PORT
        else:
            streaming = bank % count
            taken[bank] = BY_ENGINE
            state[OPERAND] += 1
    scanner_stalls[cause] += 1
    for p in range(count):
        cause = _LOAD
        if pes[p, FETCHED] < pes[p, FETCHES] and p != streaming:
            bank = p + count * (pes[p, FETCHED] % max(banks // count, 1))
            if core.params[_PRIVATE]:
                pes[p, FETCHED] += 1
            elif taken[bank]:
                cause = _PORT
            else:
                taken[bank] = BY_ENGINE
                pes[p, FETCHED] += 1
        pe_stalls[p, cause] += 1


@kernel
def _take_window(core, state, window, taken):
    """Let a scanner that reads the data memory have all words of a window, or none (T19)."""
    if not core.params[_PRIVATE]:
        return True
    matrix = core.matrices[state[MATRIX]]
    width = core.params[_WIDTH]
    word_bits = 8 * core.params[_WORD_BYTES]
    last = min((window + 1) * width, matrix[_COLUMNS]) - 1
    first_word = window * width * matrix[_ABITS] // word_bits
    last_word = (last * matrix[_ABITS]) // word_bits
    banks = core.params[_BANKS]
    for word in range(first_word, last_word + 1):
        if taken[(state[SRC] + word) % banks]:
            return False
    for word in range(first_word, last_word + 1):
        taken[(state[SRC] + word) % banks] = BY_ENGINE
    return True


@kernel
def _may_push(core, state, pes, cycle):
    """Whether every queue has a slot that was free before this cycle (T10, T12)."""
    i, depth = state[NEXT], core.params[_DEPTH]
    if i < depth:
        return True
    for p in range(pes.shape[0]):
        freed = pes[p, RELEASED] - np.int64(pes[p, FREED] >= cycle)
        if freed <= i - depth:
            return False
    return True


@kernel
def _scan_cycle(core, state, pes, columns, taken, cycle):
    """One cycle of the scanner (T8 to T10); return what it counts as."""
    if state[SCANNED]:
        return _WAIT
    cause = _BUSY
    if state[PENDING]:
        cause = _FULL
    else:
        width = core.params[_WIDTH]
        windows = (core.matrices[state[MATRIX], _COLUMNS] + width - 1) // width
        target = columns[state[NEXT]] // width if state[NEXT] < state[TOTAL] else windows - 1
        if state[WINDOW] < target:
            if not _take_window(core, state, state[WINDOW] + 1, taken):
                return _PORT
            state[WINDOW] += 1
        state[PENDING] = np.int64(state[NEXT] < state[TOTAL] and state[WINDOW] == target)
        state[SCANNED] = np.int64(state[NEXT] == state[TOTAL] and state[WINDOW] == windows - 1)
    if state[PENDING] and _may_push(core, state, pes, cycle):
        state[PENDING] = 0
        state[NEXT] += 1
        if state[NEXT] == state[TOTAL]:
            width = core.params[_WIDTH]
            windows = (core.matrices[state[MATRIX], _COLUMNS] + width - 1) // width
            state[SCANNED] = np.int64(state[WINDOW] == windows - 1)
    return cause


@kernel
def _pop(core, state, pe, p, column, cycle):
    """Let a PE take its next column."""
    at = column * core.params[_PES] + p + core.matrices[state[MATRIX], _COSTS]
    pe[POPPED] += 1
    packed = core.packed_beats[at]
    pe[COST], pe[ENTRIES] = cost_of(packed), packed >> 32
    pe[BEAT] = core.beat_first[at]
    if not core.params[_DONE]:
        pe[RELEASED] += 1
        pe[FREED] = cycle


@kernel
def _beat_waits(core, state, pe, last, taken, cycle):
    """Say what holds a PE's beat up in this cycle: hazard, port, or nothing (busy)."""
    beat = pe[BEAT]
    if core.params[_HAZARD]:
        for k in range(core.beats[beat, 0], core.beats[beat + 1, 0]):
            row = core.entry_rows[k]
            if row >= 0 and cycle - last[row] < core.params[_STAGES]:
                return _HAZARD_WAIT
    bank = core.beats[beat, 1]
    if bank >= 0:
        if taken[bank]:
            return _PORT
        taken[bank] = BY_ENGINE
    for k in range(core.beats[beat, 0], core.beats[beat + 1, 0]):
        if core.entry_rows[k] >= 0:
            last[core.entry_rows[k]] = cycle
    return _BUSY


@kernel
def _pe_cycle(core, state, pe, p, columns, pushed, last, taken, cycle):
    """One cycle of a PE (T5, T11 to T13); return what it counts as."""
    if pe[COST] == 0:
        if pe[POPPED] == state[TOTAL]:
            return _IMBALANCE
        if pe[POPPED] >= pushed:
            return _STARVED
        _pop(core, state, pe, p, columns[pe[POPPED]], cycle)
    cause = _EMPTY
    if pe[ENTRIES]:
        cause = _BUSY
        at = columns[pe[POPPED] - 1] * core.params[_PES] + p + core.matrices[state[MATRIX], _COSTS]
        if pe[BEAT] < core.beat_first[at + 1]:
            cause = _beat_waits(core, state, pe, last, taken, cycle)
            if cause != _BUSY:
                return cause
            pe[BEAT] += 1
    pe[COST] -= 1
    if pe[COST] == 0 and core.params[_DONE]:
        pe[RELEASED] += 1
        pe[FREED] = cycle + 1
    return cause


@kernel
def _finished(state, pes):
    if not state[SCANNED]:
        return False
    for p in range(pes.shape[0]):
        if pes[p, COST] or pes[p, POPPED] < state[TOTAL]:
            return False
    return True


@kernel
def engine_cycle(core, state, pes, columns, last, taken, pe_stalls, scanner_stalls):
    """Step the engine one cycle; return whether it completes with the end of this cycle.

    taken (banks,) uint8: banks that other units were granted in this cycle, to which those that
    the engine is granted are added: never one that another of its parts wants (T20). The PEs and
    the scanner see each other as they were at the start of the cycle.
    """
    cycle = state[CYCLE]
    state[CYCLE] += 1
    if state[PHASE] == LOADING and _load_done(state, pes):
        state[PHASE] = RUNNING
    if state[PHASE] == LOADING:
        _load_cycle(core, state, pes, taken, pe_stalls, scanner_stalls)
        return False
    if state[PHASE] == RUNNING and _finished(state, pes):
        state[PHASE] = DRAINING
        state[LEFT] = core.params[_STAGES]
    if state[PHASE] == DRAINING:
        state[LEFT] -= 1
        scanner_stalls[_DRAIN] += 1
        pe_stalls[:, _DRAIN] += 1
        if state[LEFT] == 0:
            state[PHASE] = IDLE
            return True
        return False
    pushed = state[NEXT]
    scanner_stalls[_scan_cycle(core, state, pes, columns, taken, cycle)] += 1
    for p in range(pes.shape[0]):
        cause = _pe_cycle(core, state, pes[p], p, columns, pushed, last[p], taken, cycle)
        pe_stalls[p, cause] += 1
    return False


@kernel
def step_alone(core, m, src, columns, n, accumulate):
    """Duration of a product whose banks nobody else wants; adds to the core's stalls."""
    count = core.params[_PES]
    state = np.zeros(ENGINE_STATE, np.int64)
    pes = np.zeros((count, PE_STATE), np.int64)
    last = np.zeros((count, core.acc.shape[0] // count + SPARE_SLOTS), np.int64)
    taken = np.zeros(core.params[_BANKS], np.uint8)
    start_engine(core, m, src, n, accumulate, state, pes, last)
    while not engine_cycle(
        core, state, pes, columns, last, taken, core.pe_stalls, core.scanner_stalls
    ):
        taken[:] = 0
    return state[CYCLE]
