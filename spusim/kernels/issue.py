"""A core's end of cycle: complete, issue, count tokens, dispatch (T21 to T26).

Threads are executed ahead (`ahead`), which gives every instruction's duration; here they are
issued in time. While one thread is alone, the time up to its next synchronising instruction is
one sum; otherwise each issue is an event of its own.
"""

import numpy as np

from spusim.kernels.ahead import know_step, next_row
from spusim.kernels.chip import NEVER, ChipFault, F, G, H, K, Q
from spusim.kernels.context import next_instruction
from spusim.kernels.declare import kernel
from spusim.kernels.dma import issue_dma
from spusim.kernels.layout import C, Op, T, Unit, X
from spusim.kernels.log import L, note
from spusim.kernels.ports import issue_transfer, receive
from spusim.kernels.router import post_remote
from spusim.kernels.sequencer import (
    apply_tokens,
    banks_free_at,
    dispatch,
    fail,
    occupy,
    retire,
    take_token,
)
from spusim.kernels.shared import begin_planned

_NEXT, _ACCOUNTED, _CAUSE, _FLIGHTS = int(K.NEXT), int(K.ACCOUNTED), int(K.CAUSE), int(K.FLIGHTS)
_RECEIVING, _ARRIVED = int(K.RECEIVING), int(K.ARRIVED)
_LIMIT = int(G.LOG_LIMIT)
_READY, _CONTEXTS, _SHARED = int(K.READY_COUNT), int(G.CONTEXTS), int(G.SHARED)
_READY_AT, _RUNNING, _ENDED = int(F.READY_AT), int(F.RUNNING), int(F.ENDED)
_STEP, _STEPS, _F_CYCLES = int(F.STEP), int(F.STEPS), int(F.CYCLES)
_KNOWN, _F_UNIT, _F_BANKS = int(F.KNOWN), int(F.UNIT), int(F.BANKS)
_UNIT, _CYCLES, _BANKS, _PC = int(T.UNIT), int(T.CYCLES), int(T.BANKS), int(T.PC)
_BUSY, _Q_IDLE, _Q_DISPATCH = int(Q.BUSY), int(Q.IDLE), int(Q.DISPATCH)
_Q_UNIT, _Q_BANKS, _Q_ENGINE = int(Q.UNIT), int(Q.BANKS), int(Q.ENGINE)
_SEQUENCER, _ENGINE, _VECTOR = int(Unit.SEQUENCER), int(Unit.ENGINE), int(Unit.VECTOR)
_END, _SEND, _RECV = int(Op.END), int(Op.SEND), int(Op.RECV)
_YIELD, _DMA, _YIELD_IN_LOOP = int(Op.YIELD), int(Unit.DMA), int(ChipFault.YIELD)
_THREAD, _ENTRY, _RESUME, _DEPTH = int(F.THREAD), int(H.ENTRY), int(H.RESUME), int(X.DEPTH)
_INSTRUCTION = int(C.INSTRUCTION)
_L_ISSUE, _L_SEQUENCER, _X_PC = int(L.ISSUE), int(L.SEQUENCER), int(X.PC)


@kernel
def _alone(chip, c):
    return chip.core[c, _FLIGHTS] == 1 and not chip.chip[_SHARED]


@kernel
def _waiting_for(chip, c, now):
    """Say what the oldest thread in flight waits for in a cycle without an issue (T26)."""
    if chip.core[c, _FLIGHTS] == 0:
        return _Q_IDLE
    context = chip.oldest[c, 0]
    flight = chip.flights[c, context]
    if flight[_READY_AT] > now or flight[_ENDED]:
        return _Q_ENGINE + flight[_RUNNING] - _ENGINE if flight[_RUNNING] else _Q_DISPATCH
    if chip.unit_free[c, flight[_F_UNIT]] > now:
        return _Q_UNIT
    return _Q_BANKS


@kernel
def _attribute(chip, c, until):
    state = chip.core[c]
    if until > state[_ACCOUNTED]:
        chip.sequencer_cycles[c, state[_CAUSE]] += until - state[_ACCOUNTED]
        state[_ACCOUNTED] = until


@kernel
def _issue_step(chip, c, context, now):
    """Let an executed instruction occupy its unit and banks for its duration."""
    flight = chip.flights[c, context]
    step = chip.steps[c, context, flight[_STEP]]
    flight[_STEP] += 1
    flight[_F_CYCLES] -= step[_CYCLES]
    know_step(chip, c, context, flight)
    if chip.chip[_SHARED] and step[_UNIT] != _SEQUENCER:
        # How long it takes is found cycle by cycle (T19).
        note(chip, _L_ISSUE, now, c, context, step[_PC], step[_UNIT], NEVER, 0)
        flight[_RUNNING], flight[_READY_AT] = step[_UNIT], NEVER
        occupy(chip, c, step[_UNIT], 0, NEVER)
        begin_planned(chip, c, context, step[_UNIT], now)
        return
    until = now + step[_CYCLES]
    note(chip, _L_ISSUE, now, c, context, step[_PC], step[_UNIT], until, step[_BANKS])
    flight[_RUNNING], flight[_READY_AT] = step[_UNIT], until
    occupy(chip, c, step[_UNIT], step[_BANKS], until)
    if step[_UNIT] == _VECTOR:
        chip.vector_cycles[c, 0] += step[_CYCLES]


@kernel
def _issue_all(chip, c, context):
    """Do as `_issue_step` of each step, whose thread was alone until they were all complete.

    From one to the next the sequencer issues in one cycle, and waits for the unit in the others.
    Since all units and banks are free again, it is of no consequence when each of them was.
    """
    flight, steps = chip.flights[c, context], chip.steps[c, context]
    cycles = chip.sequencer_cycles[c]
    _attribute(chip, c, flight[_READY_AT])
    for k in range(flight[_STEP], flight[_STEPS]):
        step = steps[k]
        cycles[_Q_ENGINE - _ENGINE + step[_UNIT]] += step[_CYCLES] - 1  # nothing for its own
        chip.vector_cycles[c, 0] += np.int64(step[_UNIT] == _VECTOR) * step[_CYCLES]
        flight[_RUNNING] = step[_UNIT]
    cycles[_BUSY] += flight[_STEPS] - flight[_STEP]
    flight[_READY_AT] += flight[_F_CYCLES]
    chip.core[c, _ACCOUNTED] = flight[_READY_AT]
    flight[_STEP], flight[_F_CYCLES], flight[_KNOWN] = flight[_STEPS], 0, 0


@kernel
def account(chip, c, now):
    """Attribute the sequencer's cycles before `now`, and issue what a lone thread did in them."""
    if _alone(chip, c):
        context = chip.oldest[c, 0]
        flight = chip.flights[c, context]
        left = flight[_F_CYCLES]
        if left and flight[_READY_AT] + left == now and not chip.chip[_LIMIT]:
            _issue_all(chip, c, context)
        while flight[_STEP] < flight[_STEPS] and flight[_READY_AT] < now:
            _attribute(chip, c, flight[_READY_AT])
            chip.sequencer_cycles[c, _BUSY] += 1
            chip.core[c, _ACCOUNTED] += 1
            _issue_step(chip, c, context, flight[_READY_AT])
            state = chip.core[c]
            state[_CAUSE] = _waiting_for(chip, c, state[_ACCOUNTED])
            note(chip, _L_SEQUENCER, state[_ACCOUNTED] - 1, c, _BUSY, state[_CAUSE])
    _attribute(chip, c, now)


@kernel
def _issue_control(chip, c, context, row, now):
    """Run `end`, `yield` or `post` on the sequencer (T21, T25, T59)."""
    flight = chip.flights[c, context]
    note(chip, _L_ISSUE, now, c, context, chip.contexts[c, context, _X_PC], _SEQUENCER, now + 1, 0)
    flight[_RUNNING], flight[_READY_AT] = _SEQUENCER, now + 1
    occupy(chip, c, _SEQUENCER, 0, now + 1)
    if row[0] == _END or row[0] == _YIELD:
        flight[_ENDED] = 1
        state = chip.threads[c, flight[_THREAD]]
        thread = chip.contexts[c, context]
        state[_RESUME] = state[_ENTRY] if row[0] == _END else thread[_X_PC] + 1
    elif row[2] == c:
        take_token(chip, c, row[3], now)
    else:
        post_remote(chip, c, context, row[2], row[3], now)


@kernel
def _issue_one(chip, c, context, now):
    flight = chip.flights[c, context]
    if flight[_STEP] < flight[_STEPS]:
        _issue_step(chip, c, context, now)
        return
    flight[_KNOWN] = 0
    row = next_row(chip, c, context)
    if row[0] == _SEND or row[0] == _RECV:
        issue_transfer(chip, c, context, row, now)
        return
    if row[1] == _DMA:
        issue_dma(chip, c, context, row, now)
        return
    if row[0] == _YIELD and chip.contexts[c, context, _DEPTH]:
        fail(chip, _YIELD_IN_LOOP, c, context, 0)
        return
    _issue_control(chip, c, context, row, now)
    next_instruction(chip.contexts[c, context])
    chip.cores[c].counters[_INSTRUCTION] += 1


@kernel
def _issue(chip, c, now):
    """Issue at most one instruction: that of the oldest thread that can (T24)."""
    for k in range(chip.core[c, _FLIGHTS]):
        context = chip.oldest[c, k]
        flight = chip.flights[c, context]
        if flight[_ENDED] or flight[_READY_AT] > now:
            continue
        if chip.unit_free[c, flight[_F_UNIT]] > now:
            continue
        if banks_free_at(chip, c, flight[_F_BANKS]) > now:
            continue
        _issue_one(chip, c, context, now)
        return True
    return False


@kernel
def _next_time(chip, c, context):
    """Earliest cycle in which a flight can issue, as far as its own core knows."""
    flight = chip.flights[c, context]
    if flight[_READY_AT] == NEVER or flight[_ENDED]:
        return flight[_READY_AT]
    if _alone(chip, c):
        return flight[_READY_AT] + flight[_F_CYCLES]
    time = max(flight[_READY_AT], chip.unit_free[c, flight[_F_UNIT]])
    return max(time, banks_free_at(chip, c, flight[_F_BANKS]))


@kernel
def _next_cause(chip, c, context, now):
    """Cycle in which what the oldest thread waits for may change (T26)."""
    ready = chip.flights[c, context, _READY_AT]
    if ready > now or chip.flights[c, context, _ENDED]:
        return ready
    free = chip.unit_free[c, chip.flights[c, context, _F_UNIT]]
    return free if free > now else np.int64(NEVER)


@kernel
def core_sleep(chip, c, now, completion):
    """Set the next cycle in which this core can do something by itself.

    completion: when one of its units completes that is stepped cycle by cycle, else NEVER.
    """
    state = chip.core[c]
    earliest = np.int64(completion)
    for k in range(state[_FLIGHTS]):
        earliest = min(earliest, _next_time(chip, c, chip.oldest[c, k]))
    if state[_FLIGHTS] > 1:
        earliest = min(earliest, _next_cause(chip, c, chip.oldest[c, 0], now))
    if state[_READY] and state[_FLIGHTS] < chip.chip[_CONTEXTS]:
        earliest = now + 1
    state[_NEXT] = max(earliest, now + 1)


@kernel
def core_cycle(chip, c, now):
    """Do all that a core does at the end of one cycle; its threads are executed ahead."""
    state = chip.core[c]
    retire(chip, c, now)
    if state[_RECEIVING] >= 0:
        receive(chip, c, now)
    issued = _issue(chip, c, now)
    cause = _BUSY if issued else _waiting_for(chip, c, now)
    chip.sequencer_cycles[c, cause] += 1
    state[_ACCOUNTED] = now + 1
    if state[_ARRIVED]:
        apply_tokens(chip, c)
    dispatch(chip, c, now)
    state[_CAUSE] = _waiting_for(chip, c, now + 1)
    note(chip, _L_SEQUENCER, now, c, cause, state[_CAUSE])
