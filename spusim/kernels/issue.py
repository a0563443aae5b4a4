"""A core's end of cycle: complete, issue, count tokens, dispatch (T21 to T26).

Threads are executed ahead of time by the interpreter, which gives every instruction's duration;
here they are issued in time. While one thread is alone, the time up to its next synchronising
instruction is one sum; otherwise each issue is an event of its own.
"""

import numba as nb
import numpy as np

from spusim.kernels.chip import NEVER, F, G, K, Q
from spusim.kernels.contention import (
    ACTIVE,
    ENGINE_DONE,
    VECTOR_DONE,
    start_vector,
    step_window,
)
from spusim.kernels.layout import C, Fault, M, Op, P, T, Unit, X
from spusim.kernels.router import issue_transfer, post_remote, receive, transfer_mask
from spusim.kernels.sequencer import (
    apply_tokens,
    banks_free_at,
    dispatch,
    fail,
    occupy,
    retire,
    take_token,
)
from spusim.kernels.stepping import IDLE, PHASE, start_engine
from spusim.kernels.thread import (
    address_offset,
    next_instruction,
    run_thread,
    table_reads,
    vector_operands,
)

_NEXT, _ACCOUNTED, _CAUSE, _FLIGHTS = int(K.NEXT), int(K.ACCOUNTED), int(K.CAUSE), int(K.FLIGHTS)
_READY, _STEPPED, _INSTRUCTIONS = int(K.READY_COUNT), int(K.STEPPED), int(K.INSTRUCTIONS)
_MATRIX, _BEGAN, _PUSHED = int(K.ENGINE_MATRIX), int(K.ENGINE_BEGAN), int(K.PUSHED)
_CONTEXTS = int(G.CONTEXTS)
_READY_AT, _RUNNING, _ENDED = int(F.READY_AT), int(F.RUNNING), int(F.ENDED)
_STEP, _STEPS = int(F.STEP), int(F.STEPS)
_UNIT, _CYCLES, _BANKS = int(T.UNIT), int(T.CYCLES), int(T.BANKS)
_PC = int(X.PC)
_LENGTH = int(X.LENGTH)
_BUSY, _Q_IDLE, _Q_DISPATCH, _Q_UNIT, _Q_BANKS = int(Q.BUSY), int(Q.IDLE), int(Q.DISPATCH), int(Q.UNIT), int(Q.BANKS)  # fmt: skip
_Q_ENGINE = int(Q.ENGINE)
_SEQUENCER, _ENGINE, _VECTOR = int(Unit.SEQUENCER), int(Unit.ENGINE), int(Unit.VECTOR)
_END, _POST, _SEND, _RECV = int(Op.END), int(Op.POST), int(Op.SEND), int(Op.RECV)
_INSTRUCTION = int(C.INSTRUCTION)
_SHARED, _ALL = int(G.SHARED), int(P.PUSH_ALL)
_COLUMNS = int(M.COLUMNS)
_PC_OUTSIDE = int(Fault.PC_OUTSIDE)


@nb.njit(cache=True, inline="always")
def _alone(chip, c):
    return chip.core[c, _FLIGHTS] == 1 and not chip.chip[_SHARED]


@nb.njit(cache=True, inline="always")
def _row(chip, c, context):
    """Code row of a flight's next instruction; a fault, and an `end`, beyond the last."""
    pc = chip.contexts[c, context, _PC]
    if pc >= chip.core[c, _INSTRUCTIONS]:
        fail(chip, _PC_OUTSIDE, c, context, pc)
        pc = np.int64(chip.code.shape[1] - 1)
    return chip.code[c, pc]


@nb.njit(cache=True, inline="always")
def _synchronising(row):
    op = row[0]
    return op == _END or op == _POST or op == _SEND or op == _RECV


@nb.njit(cache=True)
def _prepare(chip, c, context):
    """Have a flight's next instruction at hand: executed ahead, or standing before a sync."""
    flight = chip.flights[c, context]
    if chip.chip[_SHARED] or flight[_STEP] < flight[_STEPS] or flight[_ENDED]:
        return
    if _synchronising(_row(chip, c, context)):
        return
    steps = chip.steps[c, context]
    count, fault = run_thread(chip.cores[c], chip.contexts[c, context], steps, steps.shape[0])
    flight[_STEP], flight[_STEPS] = 0, count
    if fault:
        fail(chip, fault, c, context, 0)


@nb.njit(cache=True, inline="always")
def _next_unit(chip, c, context):
    flight = chip.flights[c, context]
    if flight[_STEP] < flight[_STEPS]:
        return chip.steps[c, context, flight[_STEP], _UNIT]
    return _row(chip, c, context)[1]


@nb.njit(cache=True, inline="always")
def _next_banks(chip, c, context):
    flight = chip.flights[c, context]
    if flight[_STEP] < flight[_STEPS]:
        return chip.steps[c, context, flight[_STEP], _BANKS]
    row = _row(chip, c, context)
    if row[0] == _SEND or row[0] == _RECV:
        return transfer_mask(chip, c, context, row)
    return np.int64(0)


@nb.njit(cache=True, inline="always")
def _waiting_for(chip, c, now):
    """What the oldest thread in flight waits for in a cycle without an issue (T26)."""
    if chip.core[c, _FLIGHTS] == 0:
        return _Q_IDLE
    context = chip.oldest[c, 0]
    flight = chip.flights[c, context]
    if flight[_READY_AT] > now or flight[_ENDED]:
        return _Q_ENGINE + flight[_RUNNING] - _ENGINE if flight[_RUNNING] else _Q_DISPATCH
    if chip.unit_free[c, _next_unit(chip, c, context)] > now:
        return _Q_UNIT
    return _Q_BANKS


@nb.njit(cache=True, inline="always")
def _attribute(chip, c, until):
    state = chip.core[c]
    if until > state[_ACCOUNTED]:
        chip.sequencer_cycles[c, state[_CAUSE]] += until - state[_ACCOUNTED]
        state[_ACCOUNTED] = until


@nb.njit(cache=True)
def _issue_step(chip, c, context, now):
    """Let an executed instruction occupy its unit and banks for its duration."""
    flight = chip.flights[c, context]
    step = chip.steps[c, context, flight[_STEP]]
    flight[_STEP] += 1
    flight[_RUNNING], flight[_READY_AT] = step[_UNIT], now + step[_CYCLES]
    occupy(chip, c, step[_UNIT], step[_BANKS], now + step[_CYCLES])
    if step[_UNIT] == _VECTOR:
        chip.vector_cycles[c, 0] += step[_CYCLES]


@nb.njit(cache=True)
def account(chip, c, now):
    """Attribute the sequencer's cycles before `now`, and issue what a lone thread did in them."""
    if _alone(chip, c):
        context = chip.oldest[c, 0]
        flight = chip.flights[c, context]
        while flight[_STEP] < flight[_STEPS] and flight[_READY_AT] < now:
            _attribute(chip, c, flight[_READY_AT])
            chip.sequencer_cycles[c, _BUSY] += 1
            chip.core[c, _ACCOUNTED] += 1
            _issue_step(chip, c, context, flight[_READY_AT])
            chip.core[c, _CAUSE] = _waiting_for(chip, c, chip.core[c, _ACCOUNTED])
    _attribute(chip, c, now)


@nb.njit(cache=True)
def _step_units(chip, c, until, engine, pes, last, vector, pending, pe_stalls, scanner, stalls):
    """Step a core's competing units from where they are up to `until`, or a completion."""
    state = chip.core[c]
    return step_window(
        chip.cores[c], state[_STEPPED], until, engine, pes, chip.columns[c, : state[_PUSHED]],
        last, vector, chip.vector_bytes[c], chip.vector_bits[c], pending, chip.transfer[c],
        pe_stalls, scanner, stalls,
    )  # fmt: skip


@nb.njit(cache=True, inline="always")
def _stepping(chip, c):
    return chip.engine[c, PHASE] != IDLE or chip.vector[c, ACTIVE] != 0


@nb.njit(cache=True)
def _finish_unit(chip, c, unit, now):
    occupy(chip, c, unit, 0, now)
    for k in range(chip.core[c, _FLIGHTS]):
        flight = chip.flights[c, chip.oldest[c, k]]
        if flight[_RUNNING] == unit and flight[_READY_AT] == NEVER:
            flight[_READY_AT] = now


@nb.njit(cache=True)
def _step_to(chip, c, now):
    """Shared ports: step the units to the beginning of `now`, and complete what completes."""
    state, core = chip.core[c], chip.cores[c]
    while state[_STEPPED] < now and _stepping(chip, c):
        state[_STEPPED], done = _step_units(
            chip, c, now, chip.engine[c], chip.pes[c], chip.last[c], chip.vector[c],
            chip.pending[c], core.pe_stalls, core.scanner_stalls, chip.vector_cycles[c],
        )  # fmt: skip
        if done & ENGINE_DONE:
            core.matrix_use[state[_MATRIX], 0] += state[_STEPPED] - state[_BEGAN]
            _finish_unit(chip, c, _ENGINE, state[_STEPPED])
        if done & VECTOR_DONE:
            _finish_unit(chip, c, _VECTOR, state[_STEPPED])
    state[_STEPPED] = now


@nb.njit(cache=True)
def _next_completion(chip, c):
    """Shared ports: when a unit completes if nothing new begins; found on copies."""
    if not _stepping(chip, c):
        return np.int64(NEVER)
    core = chip.cores[c]
    time, _ = _step_units(
        chip, c, NEVER, chip.engine[c].copy(), chip.pes[c].copy(), chip.last[c].copy(),
        chip.vector[c].copy(), chip.pending[c].copy(), core.pe_stalls.copy(),
        core.scanner_stalls.copy(), chip.vector_cycles[c].copy(),
    )  # fmt: skip
    return time


@nb.njit(cache=True)
def _begin_engine(chip, c, m, src, accumulate, now):
    """Let the engine begin, in this cycle, the product whose values have just been computed."""
    core, state = chip.cores[c], chip.core[c]
    n = np.int64(0)
    for j in range(core.matrices[m, _COLUMNS]):
        if core.params[_ALL] or core.x[j]:
            chip.columns[c, n] = j
            n += 1
    state[_PUSHED], state[_MATRIX], state[_BEGAN] = n, m, now
    start_engine(core, m, src, n, accumulate, chip.engine[c], chip.pes[c], chip.last[c])


@nb.njit(cache=True)
def _issue_shared(chip, c, context, row, now):
    """Execute one instruction's values; its unit is stepped from this cycle on (T19)."""
    core, flight = chip.cores[c], chip.flights[c, context]
    thread = chip.contexts[c, context]
    unit = row[1]
    offset, length = address_offset(thread), thread[_LENGTH]
    fixed, reads = np.int64(0), np.int64(0)
    if unit == _VECTOR:
        bytes_, bits = chip.vector_bytes[c], chip.vector_bits[c]
        table, fixed = vector_operands(core, thread, row[0], row[2:], bytes_, bits)
        reads = table_reads(core, table)
    _, fault = run_thread(core, thread, chip.steps[c, context], 1)
    if fault:
        fail(chip, fault, c, context, 0)
        return
    flight[_RUNNING] = unit
    flight[_READY_AT] = now + 1 if unit == _SEQUENCER else NEVER
    occupy(chip, c, unit, 0, flight[_READY_AT])
    if unit == _VECTOR:
        start_vector(core, length, fixed, reads, chip.vector[c])
    elif unit == _ENGINE:
        _begin_engine(chip, c, row[2], row[3] + offset, row[5], now)


@nb.njit(cache=True)
def _issue_control(chip, c, context, row, now):
    """Run `end` or `post` on the sequencer (T21, T25)."""
    flight = chip.flights[c, context]
    flight[_RUNNING], flight[_READY_AT] = _SEQUENCER, now + 1
    occupy(chip, c, _SEQUENCER, 0, now + 1)
    if row[0] == _END:
        flight[_ENDED] = 1
    elif row[2] == c:
        take_token(chip, c, row[3], now)
    else:
        post_remote(chip, c, context, row[2], row[3], now)


@nb.njit(cache=True)
def _issue_one(chip, c, context, now):
    flight = chip.flights[c, context]
    if flight[_STEP] < flight[_STEPS]:
        _issue_step(chip, c, context, now)
        return
    row = _row(chip, c, context)
    if not _synchronising(row):
        _issue_shared(chip, c, context, row, now)
        return
    if row[0] == _SEND or row[0] == _RECV:
        issue_transfer(chip, c, context, row, now)
    else:
        _issue_control(chip, c, context, row, now)
    next_instruction(chip.contexts[c, context])
    chip.cores[c].counters[_INSTRUCTION] += 1


@nb.njit(cache=True)
def _issue(chip, c, now):
    """Issue at most one instruction: that of the oldest thread that can (T24)."""
    for k in range(chip.core[c, _FLIGHTS]):
        context = chip.oldest[c, k]
        flight = chip.flights[c, context]
        if flight[_ENDED] or flight[_READY_AT] > now:
            continue
        _prepare(chip, c, context)
        if chip.unit_free[c, _next_unit(chip, c, context)] > now:
            continue
        if banks_free_at(chip, c, _next_banks(chip, c, context)) > now:
            continue
        _issue_one(chip, c, context, now)
        return True
    return False


@nb.njit(cache=True)
def _next_time(chip, c, context):
    """Earliest cycle in which a flight can issue, as far as its own core knows."""
    flight = chip.flights[c, context]
    if flight[_READY_AT] == NEVER or flight[_ENDED]:
        return flight[_READY_AT]
    _prepare(chip, c, context)
    if _alone(chip, c):
        time = flight[_READY_AT]
        for k in range(flight[_STEP], flight[_STEPS]):
            time += chip.steps[c, context, k, _CYCLES]
        return time
    time = max(flight[_READY_AT], chip.unit_free[c, _next_unit(chip, c, context)])
    return max(time, banks_free_at(chip, c, _next_banks(chip, c, context)))


@nb.njit(cache=True)
def _sleep(chip, c, now):
    """Set the next cycle in which this core can do something by itself."""
    state = chip.core[c]
    earliest = np.int64(NEVER)
    for k in range(state[_FLIGHTS]):
        earliest = min(earliest, _next_time(chip, c, chip.oldest[c, k]))
    if state[_READY] and state[_FLIGHTS] < chip.chip[_CONTEXTS]:
        earliest = now + 1
    if chip.chip[_SHARED]:
        earliest = min(earliest, _next_completion(chip, c))
    state[_NEXT] = max(earliest, now + 1)


@nb.njit(cache=True)
def core_cycle(chip, c, now):
    """Do all that a core does at the end of one cycle."""
    state = chip.core[c]
    account(chip, c, now)
    if chip.chip[_SHARED]:
        _step_to(chip, c, now)
    retire(chip, c, now)
    receive(chip, c, now)
    issued = _issue(chip, c, now)
    chip.sequencer_cycles[c, _BUSY if issued else _waiting_for(chip, c, now)] += 1
    state[_ACCOUNTED] = now + 1
    apply_tokens(chip, c)
    dispatch(chip, c, now)
    state[_CAUSE] = _waiting_for(chip, c, now + 1)
    _sleep(chip, c, now)
