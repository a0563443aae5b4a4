"""Threads of a core: tokens, the ready queue, dispatch (T21 to T23); units and banks (T18, T24)."""

import numpy as np

from spusim.kernels.chip import ChipFault, F, G, H, K
from spusim.kernels.context import start_thread
from spusim.kernels.declare import kernel, seldom
from spusim.kernels.layout import Unit, X
from spusim.kernels.log import L, note

_NEXT, _HEAD, _READY, _THREADS = int(K.NEXT), int(K.READY_HEAD), int(K.READY_COUNT), int(K.THREADS)
_FLIGHTS, _CORE_ARRIVED = int(K.FLIGHTS), int(K.ARRIVED)
_TOKENS, _LEFT, _LIVE, _WAITING = int(H.TOKENS), int(H.LEFT), int(H.LIVE), int(H.WAITING)
_ARRIVED, _RESUME = int(H.ARRIVED), int(H.RESUME)
_ACTIVATIONS, _ACTIVATION = int(H.ACTIVATIONS), int(X.ACTIVATION)
_THREAD, _READY_AT, _ENDED = int(F.THREAD), int(F.READY_AT), int(F.ENDED)
_FAULT, _FAULT_CORE, _FAULT_CONTEXT = int(G.FAULT), int(G.FAULT_CORE), int(G.FAULT_CONTEXT)
_FAULT_DETAIL, _CONTEXTS = int(G.FAULT_DETAIL), int(G.CONTEXTS)
_DISPATCH = int(G.DISPATCH_CYCLES)
_UNKNOWN_THREAD, _DOUBLE = int(ChipFault.UNKNOWN_THREAD), int(ChipFault.DOUBLE_ARMING)
_SHARED = int(G.SHARED)
_L_READY, _L_DISPATCH, _L_RETIRE = int(L.READY), int(L.DISPATCH), int(L.RETIRE)
_NOW, UNITS = int(G.NOW), len(Unit)


@seldom
def fail(chip, fault, core, context, detail):
    """Note what went wrong; the run stops at the end of the cycle. The first fault counts."""
    if chip.chip[_FAULT] == 0:
        chip.chip[_FAULT] = fault
        chip.chip[_FAULT_CORE] = core
        chip.chip[_FAULT_CONTEXT] = context
        chip.chip[_FAULT_DETAIL] = detail


@kernel
def take_token(chip, c, thread, now):
    """Let a token reach a core in this cycle; it counts at the cycle's end."""
    if thread >= chip.core[c, _THREADS]:
        fail(chip, _UNKNOWN_THREAD, c, -1, thread)
        return
    chip.threads[c, thread, _ARRIVED] += 1
    chip.core[c, _CORE_ARRIVED] += 1
    chip.core[c, _NEXT] = min(chip.core[c, _NEXT], now)


@kernel
def _enqueue(chip, c, thread):
    slots = chip.ready.shape[1]
    at = (chip.core[c, _HEAD] + chip.core[c, _READY]) % slots
    chip.ready[c, at] = thread
    chip.core[c, _READY] += 1
    chip.threads[c, thread, _LIVE] = 1
    note(chip, _L_READY, chip.chip[_NOW], c, thread)


@kernel
def apply_tokens(chip, c):
    """Count this cycle's tokens, in ascending thread number (T21, T22)."""
    chip.core[c, _CORE_ARRIVED] = 0
    for thread in range(chip.core[c, _THREADS]):
        state = chip.threads[c, thread]
        while state[_ARRIVED]:
            state[_ARRIVED] -= 1
            state[_LEFT] -= 1
            if state[_LEFT]:
                continue
            state[_LEFT] = state[_TOKENS]
            if not state[_LIVE]:
                _enqueue(chip, c, thread)
            elif state[_WAITING]:
                fail(chip, _DOUBLE, c, -1, thread)
            else:
                state[_WAITING] = 1


@kernel
def retire(chip, c, now):
    """Let threads that have ended leave their contexts; a waiting arming queues them again."""
    kept = 0
    for k in range(chip.core[c, _FLIGHTS]):
        context = chip.oldest[c, k]
        flight = chip.flights[c, context]
        if flight[_ENDED] and flight[_READY_AT] <= now:
            thread = flight[_THREAD]
            note(chip, _L_RETIRE, flight[_READY_AT], c, context, thread)
            flight[_THREAD] = -1
            chip.threads[c, thread, _LIVE] = 0
            if chip.threads[c, thread, _WAITING]:
                chip.threads[c, thread, _WAITING] = 0
                _enqueue(chip, c, thread)
        else:
            chip.oldest[c, kept] = context
            kept += 1
    chip.core[c, _FLIGHTS] = kept


@kernel
def dispatch(chip, c, now):
    """Move one thread from the ready queue to a free context (T23)."""
    core = chip.core[c]
    if core[_READY] == 0 or core[_FLIGHTS] == chip.chip[_CONTEXTS]:
        return
    thread = chip.ready[c, core[_HEAD]]
    core[_HEAD] = (core[_HEAD] + 1) % chip.ready.shape[1]
    core[_READY] -= 1
    context = 0
    while chip.flights[c, context, _THREAD] >= 0:
        context += 1
    flight = chip.flights[c, context]
    flight[:] = 0
    flight[_THREAD] = thread
    flight[_READY_AT] = now + chip.chip[_DISPATCH]
    note(chip, _L_DISPATCH, now, c, context, thread)
    context_state = chip.contexts[c, context]
    start_thread(context_state, chip.threads[c, thread, _RESUME])
    context_state[_ACTIVATION] = chip.threads[c, thread, _ACTIVATIONS]
    chip.threads[c, thread, _ACTIVATIONS] += 1
    chip.oldest[c, core[_FLIGHTS]] = context
    core[_FLIGHTS] += 1


@kernel
def quiet(chip, c):
    """Whether no thread of a core is queued, running, or about to be."""
    core = chip.core[c]
    return core[_FLIGHTS] == 0 and core[_READY] == 0 and core[_CORE_ARRIVED] == 0


@kernel
def occupy(chip, c, unit, banks, until):
    """Give a unit, and with reserved ports an instruction's banks, until a cycle (T18, T24)."""
    chip.unit_free[c, unit] = until
    chip.unit_banks[c, unit] = banks


@kernel
def banks_free_at(chip, c, banks):
    """Cycle from which all banks of a mask are free; always, with shared ports.

    What a unit did before its last instruction is complete, and holds no bank any more.
    """
    time = np.int64(0)
    if banks and not chip.chip[_SHARED]:
        for unit in range(UNITS):
            held = chip.unit_banks[c, unit] & banks
            time = max(time, chip.unit_free[c, unit] if held else 0)
    return time
