"""The sparse engine under contention: rules T7 to T14, T19 and T20, in windows of cycles.

`rowtime` gives the same figures at once where no rule depends on absolute time. Here the engine's
state lies in arrays, so that a window of cycles can be stepped, copied, and stepped again when
another unit begins to compete for the banks (T19), or a hazard makes a beat wait (T13).

No cycle is visited in which a part of the engine only goes on with what it does, and the parts are
not stepped side by side: each runs to the end of the window by itself. That is exact, because

* no two parts of the engine ever want one bank (T20), and router and vector unit are granted theirs
  first (T19): which banks are taken, and when, is known before the engine's window begins;
* so PEs and scanner meet in the queues alone: a pop depends on its column's push, and push i on all
  releases of column i - Q (T10, T11), which come before it. In the order of pushes, every cycle is
  known before anything that depends on it.

A window may end in any cycle: parts stop there, with what they have done up to it counted.
"""

import numpy as np

from spusim.kernels.declare import apart, inlined, kernel
from spusim.kernels.engine_state import (
    AT,
    BANKS,
    BEAT,
    BEATS_END,
    COST,
    CYCLE,
    DONE,
    DRAINING,
    ENGINE_STATE,
    ENTRIES,
    EVERY_BANK,
    GRANTED,
    IDLE,
    LEFT,
    LOADING,
    MATRIX,
    NEVER_UPDATED,
    NEXT,
    PE_STATE,
    PENDING,
    PHASE,
    POPPED,
    RUNNING,
    SCAN_AT,
    SCANNED,
    SPARE_SLOTS,
    SPENT,
    TOTAL,
    WINDOW,
    start_engine,
)
from spusim.kernels.layout import M, P, S
from spusim.kernels.load_window import load
from spusim.kernels.rowtime import cost_of
from spusim.kernels.scanner import push_next, scan_rest
from spusim.kernels.scratch import release, zeros

_PES, _DEPTH, _DONE = int(P.PES), int(P.QUEUE_DEPTH), int(P.RELEASE_DONE)
_STAGES, _HAZARD, _COSTS = int(P.MAC_STAGES), int(P.HAZARD_STALL), int(M.COSTS)
_BUSY, _EMPTY, _STARVED = int(S.BUSY), int(S.EMPTY_COLUMN), int(S.STARVED)
_HAZARD_WAIT, _PORT, _IMBALANCE = int(S.HAZARD), int(S.PORT), int(S.IMBALANCE)
_DRAIN, _FULL, _WAIT = int(S.DRAIN), int(S.QUEUE_FULL), int(S.PE_WAIT)
_ENDLESS = np.int64(1 << 40)


@inlined
def _free(state, pes, p, at):
    """Note when a PE's slot of the column that it popped last becomes free (T12)."""
    slot = ENGINE_STATE + pes[POPPED, p] - 1
    state[slot] = max(state[slot], at)


@inlined
def _pop(core, state, pes, p, column):
    """Let a PE take its next column."""
    at = core.matrices[state[MATRIX], _COSTS] + column * pes.shape[1] + p
    packed = core.packed_beats[at]
    pes[COST, p], pes[ENTRIES, p] = cost_of(packed), packed >> 32
    pes[BEAT, p], pes[BEATS_END, p] = core.beat_first[at], core.beat_first[at + 1]
    pes[POPPED, p] += 1
    if not core.params[_DONE]:
        _free(state, pes, p, pes[AT, p])


@inlined
def _hazard_ends(core, beat, last):
    """First cycle in which all rows of a beat may be updated again (T13)."""
    latest = NEVER_UPDATED
    for k in range(core.beats[beat, 0], core.beats[beat + 1, 0]):
        row = core.entry_rows[k]
        if row >= 0:
            latest = max(latest, last[row])
    return latest + core.params[_STAGES]


@inlined
def _update_rows(core, beat, last, at):
    for k in range(core.beats[beat, 0], core.beats[beat + 1, 0]):
        if core.entry_rows[k] >= 0:
            last[core.entry_rows[k]] = at


@inlined
def _begin_beat(core, beat, last, begin, at, until, taken, rivals, stalls):
    """Let a beat wait for its rows, then for its bank (T13, T19); return its cycle, or `until`."""
    if core.params[_HAZARD]:
        free = min(max(_hazard_ends(core, beat, last), at), until)
        stalls[_HAZARD_WAIT] += free - at
        at = free
    bank = core.beats[beat, 1]
    if bank >= 0 and rivals >> bank & 1:
        free = at
        while free < until and taken[free - begin] >> bank & 1:
            free += 1
        stalls[_PORT] += free - at
        at = free
    if core.params[_HAZARD] and at < until:
        _update_rows(core, beat, last, at)
    return at


@inlined
def _place(bank):
    """Mask of a bank, none for no bank."""
    return np.int64(1) << bank if bank >= 0 else np.int64(0)


@inlined
def _unhindered(core, banks, begin, at, cycles, taken, rivals):
    """Whether a PE with these banks can work for some cycles whatever words and rows it needs."""
    if core.params[_HAZARD] or rivals == EVERY_BANK:
        return False
    refused = np.int64(0)
    if rivals & banks:
        for k in range(at - begin, at - begin + cycles):
            refused |= taken[k]
    return refused & banks == 0


@inlined
def _work(core, state, pes, p, last, begin, until, taken, rivals, stalls):
    """Let a PE work on the column that it has popped (T5, T11 to T13)."""
    at, left, beat, end = pes[AT, p], pes[COST, p], pes[BEAT, p], pes[BEATS_END, p]
    granted = np.int64(0)
    cycles = min(left, until - at)
    if not _unhindered(core, pes[BANKS, p], begin, at, cycles, taken, rivals):
        while left and at < until and beat < end:
            at = _begin_beat(core, beat, last, begin, at, until, taken, rivals, stalls)
            if at < until:
                granted |= _place(core.beats[beat, 1])
                at += 1
                left -= 1
                beat += 1
        cycles = min(left, until - at)  # beats beyond the listed ones read and update nothing
    at += cycles
    left -= cycles
    stalls[_BUSY if pes[ENTRIES, p] else _EMPTY] += pes[COST, p] - left
    pes[AT, p], pes[COST, p], pes[BEAT, p] = at, left, min(beat + cycles, end)
    state[GRANTED] |= granted
    if left == 0 and core.params[_DONE]:
        _free(state, pes, p, at)


@inlined
def _step_freely(packed, at, done, first):
    """Find when PEs are done with a column that can be popped from `first` on (T11).

    Returns the last pop, and the last end.
    """
    popped, ended = first, first
    for p in range(at.shape[0]):
        pop = max(first, at[p])
        done[p] = pop + cost_of(packed[p])
        popped, ended = max(popped, pop), max(ended, done[p])
    return popped, ended


@inlined
def _run_freely(core, state, pes, columns, until, pe_stalls, scanner_stalls):
    """Take columns through the engine as long as they are done before `until`: T8 to T12.

    For windows without rivals and hazards, and PEs that are all about to pop the next column; it
    is `rowtime`'s recurrence, and leaves all that is not done before `until` to be stepped.
    """
    count, begin = pes.shape[1], core.matrices[state[MATRIX], _COSTS]
    i, depth, release_done = state[NEXT], core.params[_DEPTH], core.params[_DONE]
    at, done, spent = pes[AT], pes[DONE], pes[SPENT]
    for p in range(count):
        pe_stalls[p, _STARVED] -= at[p]
        spent[p] = 0
    while i < state[TOTAL]:
        window = core.windows[columns[i]]
        found = state[SCAN_AT] + max(window - state[WINDOW], 1) - 1
        push = max(found, state[ENGINE_STATE + i - depth] + 1) if i >= depth else found
        here = begin + columns[i] * count
        packed = core.packed_beats[here : here + count]
        popped, ended = _step_freely(packed, at, done, push + 1)
        if ended >= until:
            break
        for p in range(count):
            at[p] = done[p]
            spent[p] += packed[p]
        state[ENGINE_STATE + i] = ended if release_done else popped
        scanner_stalls[_BUSY] += found + 1 - state[SCAN_AT]
        scanner_stalls[_FULL] += push - found
        state[SCAN_AT], state[WINDOW] = push + 1, window
        i += 1
    state[NEXT] = i
    for p in range(count):
        busy = spent[p] >> 32
        pe_stalls[p, _BUSY] += busy
        pe_stalls[p, _EMPTY] += cost_of(spent[p]) - busy
        pe_stalls[p, _STARVED] += at[p] - cost_of(spent[p])
        pes[POPPED, p] = i


@inlined
def _work_off(core, state, pes, columns, last, begin, until, taken, rivals, pe_stalls):
    """Let PEs work on what is in their queues; return whether all are about to pop the next."""
    ready = True
    for p in range(pes.shape[1]):
        while pes[AT, p] < until and (pes[COST, p] or pes[POPPED, p] < state[NEXT]):
            if pes[COST, p] == 0:
                _pop(core, state, pes, p, columns[pes[POPPED, p]])
            _work(core, state, pes, p, last[p], begin, until, taken, rivals, pe_stalls[p])
        ready &= pes[AT, p] < until
    return ready


@inlined
def _wait_for_push(pes, first, pe_stalls):
    """Let PEs that have nothing to do wait for a column that can be popped from `first` on."""
    for p in range(pes.shape[1]):
        if pes[AT, p] < first:
            pe_stalls[p, _STARVED] += first - pes[AT, p]
            pes[AT, p] = first


@inlined
def _run(core, state, pes, columns, last, begin, until, taken, rivals, pe_stalls, scanner_stalls):
    """Step scanner and PEs; return whether the last column is done before `until` (T14)."""
    while True:
        ready = _work_off(core, state, pes, columns, last, begin, until, taken, rivals, pe_stalls)
        if ready and not (rivals or core.params[_HAZARD] or state[PENDING]):
            _run_freely(core, state, pes, columns, until, pe_stalls, scanner_stalls)
        if state[NEXT] == state[TOTAL]:
            break
        push = push_next(core, state, pes, columns, begin, until, taken, rivals, scanner_stalls)
        if push >= until:
            break
        _wait_for_push(pes, min(push + 1, until), pe_stalls)
    if state[NEXT] == state[TOTAL] and not state[SCANNED]:
        scan_rest(core, state, begin, until, taken, rivals, scanner_stalls)
    return _close(state, pes, until, pe_stalls, scanner_stalls)


@inlined
def _close(state, pes, until, pe_stalls, scanner_stalls):
    """Attribute what is left of the window, up to the end of the last column if it is in it."""
    finished, end = state[SCANNED], state[SCAN_AT]
    for p in range(pes.shape[1]):
        finished &= np.int64(pes[COST, p] == 0 and pes[POPPED, p] == state[TOTAL])
        end = max(end, pes[AT, p])
    if not finished:
        end = until
    scanner_stalls[_WAIT] += end - state[SCAN_AT]
    state[SCAN_AT] = state[CYCLE] = end
    for p in range(pes.shape[1]):
        cause = _IMBALANCE if pes[POPPED, p] == state[TOTAL] else _STARVED
        pe_stalls[p, cause] += end - pes[AT, p]
        pes[AT, p] = end
    return finished != 0 and end < until


@kernel
def _drain(core, state, until, pe_stalls, scanner_stalls):
    cycles = min(state[LEFT], until - state[CYCLE])
    scanner_stalls[_DRAIN] += cycles
    for p in range(core.params[_PES]):
        pe_stalls[p, _DRAIN] += cycles
    state[CYCLE] += cycles
    state[LEFT] -= cycles
    if state[LEFT] == 0:
        state[PHASE] = IDLE


@kernel
def step_engine(
    core, state, pes, columns, last, cycles, taken, rivals, pe_stalls, scanner_stalls
):  # fmt: skip
    """Step the engine so many cycles, or to its completion, which leaves it IDLE; return how many.

    taken (cycles,) int64: masks of the banks that other units are granted; it is not looked at
    where no bank is in the mask `rivals`, which has all of them. GRANTED comes out as the mask of
    the banks that the engine was granted, of those it had to ask for.
    """
    begin, until = state[CYCLE], state[CYCLE] + cycles
    state[GRANTED] = 0
    if state[PHASE] == LOADING and load(
        core, state, pes, begin, until, taken, rivals, pe_stalls, scanner_stalls
    ):
        state[PHASE] = RUNNING
    if state[PHASE] == RUNNING and _run(
        core, state, pes, columns, last, begin, until, taken, rivals, pe_stalls, scanner_stalls
    ):
        state[PHASE] = DRAINING
        state[LEFT] = core.params[_STAGES]
    if state[PHASE] == DRAINING:
        _drain(core, state, until, pe_stalls, scanner_stalls)
    return state[CYCLE] - begin


@apart
def step_alone(core, m, src, columns, n, accumulate):
    """Duration of a product whose banks nobody else wants; adds to the core's stalls."""
    count = core.params[_PES]
    state = zeros(ENGINE_STATE + n, np.int64)
    pes = zeros((PE_STATE, count), np.int64)
    last = zeros((count, core.acc.shape[0] // count + SPARE_SLOTS), np.int64)
    taken = zeros(0, np.int64)
    start_engine(core, m, src, n, accumulate, state, pes, last)
    cycles = step_engine(
        core, state, pes, columns, last, _ENDLESS, taken, 0, core.pe_stalls, core.scanner_stalls
    )
    release(state)
    return cycles
