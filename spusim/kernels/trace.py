"""What units did in every cycle of a traced run: logged work, stepped again with its states kept.

The steps are those of `contention` and `stepping`, in windows of one cycle, whatever kind of ports
the run had: reserved ports are ports at which nobody ever meets a rival.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from spusim.kernels.ahead import COLUMNS_A_NOTE
from spusim.kernels.chip import NEVER, A
from spusim.kernels.contention import (
    ACTIVE,
    ADDRESS,
    BEATS,
    ELAPSED,
    ENGINE_DONE,
    INTERVAL,
    NATURAL,
    START,
    VECTOR_DONE,
    WORDS,
    start_vector,
    step_cycle,
)
from spusim.kernels.contention import (
    BEAT as VECTOR_BEAT,
)
from spusim.kernels.declare import Handle, kernel
from spusim.kernels.engine_state import (
    COST,
    IDLE,
    LOADING,
    MATRIX,
    NEXT,
    PHASE,
    POPPED,
    SCANNED,
    WINDOW,
    start_engine,
)
from spusim.kernels.layout import M, S, Unit
from spusim.kernels.rowtime import cost_of
from spusim.kernels.views import overwrite


class W(IntEnum):
    """A row of logged work: an instruction of engine, vector unit or router."""

    UNIT = 0
    START = 1  # issue
    END = 2  # completion
    BANKS = 3  # mask of banks held
    NOTES = 4  # where the columns pushed are noted
    PLAN = 5  # of engine and vector unit: `A`; of a transfer: first access, address, words, between
    COUNT = PLAN + int(A.COUNT)


class Y(IntEnum):
    """Where a replay stands."""

    NOW = 0
    NEXT = 1  # row of work that begins next
    ENGINE_ROW = 2
    VECTOR_ROW = 3
    USED = 4  # rows of `changes`
    WRONG = 5  # row of work that did not complete when the log says, plus one
    COUNT = 6


class ReplayArrays(NamedTuple):
    """State of a replay of one core's work, and what comes of it."""

    state: np.ndarray  # (Y.COUNT,) int64
    engine: np.ndarray  # as in ChipState
    pes: np.ndarray
    last: np.ndarray
    vector: np.ndarray
    bytes_: np.ndarray
    bits: np.ndarray
    accesses: np.ndarray  # (1,) int64
    transfer: np.ndarray
    columns: np.ndarray
    taken: np.ndarray  # (banks,) uint8
    held: np.ndarray  # (banks, 2) int64: until when, by which unit
    pe_stalls: np.ndarray  # (pes, S.COUNT) of one cycle
    scanner_stalls: np.ndarray  # (S.COUNT,)
    before: np.ndarray  # (pes, 3): queue, column and beat at the beginning of a cycle
    kept: np.ndarray  # (signals,) uint8: whose changes are kept
    current: np.ndarray  # (signals,) int64
    changes: np.ndarray  # (rows, 3) int64: cycle, signal, its value from then on


class Replay(Handle):
    """The same arrays behind one pointer."""

    fields = ReplayArrays._fields


PHASE_SIGNAL, WINDOW_SIGNAL, SCANNER_SIGNAL, VECTOR_SIGNAL, PE_SIGNALS = range(5)
PE_PARTS = 4  # cause, queue, column and beat; then the banks
UNIT_IDLE = int(S.COUNT)  # after the causes, for scanner and PEs
V_BUSY, V_PORT, V_IDLE = range(3)
P_LOAD, P_RUN, P_DRAIN, P_IDLE = range(4)  # phases
NOTHING = -1  # no column, no beat
HELD = 3  # a bank's value: who is granted it (`BY_ROUTER`, ...), or HELD + who holds it

_UNIT, _START, _END, _BANKS, _NOTES, _PLAN = (
    int(W.UNIT),
    int(W.START),
    int(W.END),
    int(W.BANKS),
    int(W.NOTES),
    int(W.PLAN),
)
_NOW, _Y_NEXT, _ENGINE_ROW, _VECTOR_ROW = (
    int(Y.NOW),
    int(Y.NEXT),
    int(Y.ENGINE_ROW),
    int(Y.VECTOR_ROW),
)
_USED, _WRONG = int(Y.USED), int(Y.WRONG)
_ENGINE, _VECTOR = int(Unit.ENGINE), int(Unit.VECTOR)
_MATRIX, _SOURCE, _ACCUMULATE = int(A.MATRIX), int(A.SOURCE), int(A.ACCUMULATE)
_LENGTH, _FIXED, _READS = int(A.LENGTH), int(A.FIXED), int(A.READS)
_BYTES, _BITS, _PASSES = int(A.BYTES), int(A.BITS), int(A.PASSES)
_COLUMNS, _COSTS, _S_PORT = int(M.COLUMNS), int(M.COSTS), int(S.PORT)


@kernel
def signal_count(pes, banks):
    """Return the number of signals of a core."""
    return PE_SIGNALS + PE_PARTS * pes + banks


@kernel
def _columns(notes, at, columns, out):
    """Unpack the masks of pushed columns; return how many there are."""
    n = 0
    for j in range(columns):
        if notes[at + j // COLUMNS_A_NOTE] >> (j % COLUMNS_A_NOTE) & 1:
            out[n] = j
            n += 1
    return n


@kernel
def _begin(core, replay, row, number, notes):
    """Let a unit begin a row of work, which also holds its banks."""
    plan = row[_PLAN:]
    if row[_UNIT] == _ENGINE:
        replay.state[_ENGINE_ROW] = number
        total = core.matrices[plan[_MATRIX], _COLUMNS]
        n = _columns(notes, row[_NOTES], total, replay.columns)
        start_engine(
            core, plan[_MATRIX], plan[_SOURCE], n, plan[_ACCUMULATE], replay.engine, replay.pes,
            replay.last,
        )  # fmt: skip
    elif row[_UNIT] == _VECTOR:
        replay.state[_VECTOR_ROW] = number
        overwrite(replay.bytes_, plan[_BYTES : _BYTES + 4])
        overwrite(replay.bits, plan[_BITS : _BITS + 4])
        start_vector(core, plan[_LENGTH], plan[_FIXED], plan[_READS], plan[_PASSES], replay.vector)
    else:
        replay.transfer[START], replay.transfer[ADDRESS] = plan[0], plan[1]
        replay.transfer[WORDS], replay.transfer[INTERVAL] = plan[2], plan[3]
    for bank in range(replay.held.shape[0]):
        if row[_BANKS] >> bank & 1:
            replay.held[bank, 0] = row[_END]
            # in the order of BY_ROUTER, BY_VECTOR, BY_ENGINE
            replay.held[bank, 1] = HELD + 4 - row[_UNIT]


@kernel
def _set(replay, signal, value):
    """Note that a signal has a value from this cycle on."""
    if replay.current[signal] != value:
        replay.current[signal] = value
        if replay.kept[signal]:
            row = replay.changes[replay.state[_USED]]
            row[0], row[1], row[2] = replay.state[_NOW], signal, value
            replay.state[_USED] += 1


@kernel
def _look(core, replay):
    """Note every PE's queue, column and beat due, as they are at the beginning of a cycle."""
    engine = replay.engine
    pes, count = replay.pes, replay.pes.shape[1]
    for p in range(count):
        before, popped = replay.before[p], pes[POPPED, p]
        before[0] = engine[NEXT] - popped
        before[1], before[2] = NOTHING, NOTHING
        if pes[COST, p]:
            column = replay.columns[popped - 1]
            at = column * count + p + core.matrices[engine[MATRIX], _COSTS]
            before[1], before[2] = column, cost_of(core.packed_beats[at]) - pes[COST, p]
        elif before[0] > 0:
            before[1], before[2] = replay.columns[popped], 0


@kernel
def _cause(stalls):
    """Return what this cycle was counted as, and forget it."""
    for cause in range(stalls.shape[0]):
        if stalls[cause]:
            stalls[cause] = 0
            return cause
    return UNIT_IDLE


@kernel
def _keep_engine(replay, running, scanned, completed):
    """Keep what the engine did in this cycle, by its state after it."""
    engine = replay.engine
    cause = _cause(replay.scanner_stalls)
    phase, window = np.int64(P_IDLE), np.int64(0)
    if running:
        phase = np.int64(P_DRAIN) if completed else engine[PHASE] - LOADING
        if phase == P_DRAIN or (phase == P_RUN and (scanned or cause == _S_PORT)):
            # refused the next window, or beyond the last one
            window = engine[WINDOW] + 1
        elif phase == P_RUN:
            window = engine[WINDOW]
    _set(replay, PHASE_SIGNAL, phase)
    _set(replay, WINDOW_SIGNAL, window)
    _set(replay, SCANNER_SIGNAL, cause)
    count = replay.pes.shape[1]
    for p in range(count):
        _set(replay, PE_SIGNALS + p, _cause(replay.pe_stalls[p]))
        before = replay.before[p]
        _set(replay, PE_SIGNALS + count + p, before[0] if running else 0)
        _set(replay, PE_SIGNALS + 2 * count + p, before[1] if running else NOTHING)
        _set(replay, PE_SIGNALS + 3 * count + p, before[2] if running else NOTHING)


@kernel
def _keep_banks(replay, now):
    """Keep who is granted each bank, or else holds it."""
    first = PE_SIGNALS + PE_PARTS * replay.pes.shape[1]
    for bank in range(replay.taken.shape[0]):
        value = np.int64(replay.taken[bank])
        if value == 0 and replay.held[bank, 0] > now:
            value = replay.held[bank, 1]
        _set(replay, first + bank, value)


@kernel
def _complete(replay, work, done, ends):
    """Note a row of work that does not end when the log says."""
    state = replay.state
    for unit, row in ((ENGINE_DONE, state[_ENGINE_ROW]), (VECTOR_DONE, state[_VECTOR_ROW])):
        if done & unit and work[row, _END] != ends:
            state[_WRONG] = row + 1


@kernel
def _active(replay, now):
    """Whether any unit works, or any bank is held, in a cycle."""
    transfer = replay.transfer
    if replay.engine[PHASE] != IDLE or replay.vector[ACTIVE]:
        return True
    if now < transfer[START] + transfer[WORDS] * transfer[INTERVAL]:
        return True
    for bank in range(replay.held.shape[0]):
        if replay.held[bank, 0] > now:
            return True
    return False


@kernel
def _replay_cycle(core, replay, work):
    """Step all units one cycle, and keep what they did."""
    now = replay.state[_NOW]
    engine, vector = replay.engine, replay.vector
    running, scanned = engine[PHASE] != IDLE, engine[SCANNED]
    vector_active, elapsed = vector[ACTIVE], vector[ELAPSED]
    draining = vector[VECTOR_BEAT] == vector[BEATS]
    if running:
        _look(core, replay)
    done = step_cycle(
        core, now, engine, replay.pes, replay.columns, replay.last, vector, replay.bytes_,
        replay.bits, replay.transfer, replay.accesses, replay.taken, replay.pe_stalls,
        replay.scanner_stalls,
    )  # fmt: skip
    _keep_engine(replay, running, scanned, done & ENGINE_DONE)
    value = V_IDLE
    if vector_active:
        # T19: a beat's cycles beyond those of T16 are waiting
        value = V_BUSY if draining or elapsed < vector[NATURAL] else V_PORT
    _set(replay, VECTOR_SIGNAL, value)
    _keep_banks(replay, now)
    if done:
        _complete(replay, work, done, now + 1)
    replay.state[_NOW] += 1


@kernel
def replay_work(core, replay, work, notes, until):
    """Step a core's work (rows, W.COUNT), by start, up to a cycle; return whether it got there.

    It stops before when `changes` has no room for another cycle; the caller takes them out and
    calls again. core: one whose beats are laid out, see `stepping`.
    """
    state = replay.state
    while state[_NOW] < until:
        if state[_USED] + replay.current.shape[0] > replay.changes.shape[0]:
            return False
        while state[_Y_NEXT] < work.shape[0] and work[state[_Y_NEXT], _START] <= state[_NOW]:
            _begin(core, replay, work[state[_Y_NEXT]], state[_Y_NEXT], notes)
            state[_Y_NEXT] += 1
        if _active(replay, state[_NOW]):
            _replay_cycle(core, replay, work)
            continue
        replay.taken[:] = 0
        _keep_engine(replay, False, 0, 0)
        _set(replay, VECTOR_SIGNAL, V_IDLE)
        _keep_banks(replay, state[_NOW])
        following = work[state[_Y_NEXT], _START] if state[_Y_NEXT] < work.shape[0] else NEVER
        state[_NOW] = min(until, following)
    return True
