"""A core's units under shared ports (T19): stepped in windows, re-stepped when a rival appears."""

import numpy as np

from spusim.kernels.borrow import overwrite
from spusim.kernels.chip import NEVER, A, F, K
from spusim.kernels.contention import ACTIVE, ENGINE_DONE, VECTOR_DONE, start_vector, step_window
from spusim.kernels.declare import kernel
from spusim.kernels.layout import Unit
from spusim.kernels.log import L, note
from spusim.kernels.sequencer import occupy
from spusim.kernels.stepping import IDLE, PHASE, start_engine

_FLIGHTS, _STEPPED, _COLUMNS = int(K.FLIGHTS), int(K.STEPPED), int(K.PUSHED)
_K_MATRIX, _BEGAN = int(K.ENGINE_MATRIX), int(K.ENGINE_BEGAN)
_READY_AT, _RUNNING = int(F.READY_AT), int(F.RUNNING)
_LENGTH, _FIXED, _READS, _MATRIX = int(A.LENGTH), int(A.FIXED), int(A.READS), int(A.MATRIX)
_SOURCE, _ACCUMULATE, _PUSHED = int(A.SOURCE), int(A.ACCUMULATE), int(A.PUSHED)
_BYTES, _BITS, _PASSES = int(A.BYTES), int(A.BITS), int(A.PASSES)
_ENGINE, _VECTOR = int(Unit.ENGINE), int(Unit.VECTOR)
_L_DONE = int(L.DONE)


@kernel
def begin_planned(chip, c, context, unit, now):
    """Let a unit begin, in this cycle, the instruction that was executed ahead."""
    plan = chip.planned[c, context]
    core = chip.cores[c]
    if unit == _VECTOR:
        overwrite(chip.vector_bytes[c], plan[_BYTES : _BYTES + 4])
        overwrite(chip.vector_bits[c], plan[_BITS : _BITS + 4])
        start_vector(core, plan[_LENGTH], plan[_FIXED], plan[_READS], plan[_PASSES], chip.vector[c])
    elif unit == _ENGINE:
        n, m = plan[_PUSHED], plan[_MATRIX]
        overwrite(chip.columns[c], chip.pushed[c, context, :n])
        state = chip.core[c]
        state[_COLUMNS], state[_K_MATRIX], state[_BEGAN] = n, m, now
        start_engine(
            core, m, plan[_SOURCE], n, plan[_ACCUMULATE], chip.engine[c], chip.pes[c], chip.last[c]
        )


@kernel
def _finish_unit(chip, c, unit, now):
    note(chip, _L_DONE, now, c, unit)
    occupy(chip, c, unit, 0, now)
    for k in range(chip.core[c, _FLIGHTS]):
        flight = chip.flights[c, chip.oldest[c, k]]
        if flight[_RUNNING] == unit and flight[_READY_AT] == NEVER:
            flight[_READY_AT] = now


@kernel
def step_units(chip, c, now, ahead):
    """Step a core's competing units.

    ahead 0: to the beginning of cycle `now`, completing what completes. ahead 1: on copies, to
    the next completion if nothing new begins. Returns the cycle reached, NEVER if nothing runs.
    """
    state, core = chip.core[c], chip.cores[c]
    engine, pes, last, vector = chip.engine[c], chip.pes[c], chip.last[c], chip.vector[c]
    pending, stalls = chip.pending[c], chip.vector_cycles[c]
    pe_stalls, scanner_stalls = core.pe_stalls, core.scanner_stalls
    if ahead:
        engine, pes, last, vector = engine.copy(), pes.copy(), last.copy(), vector.copy()
        pending, stalls = pending.copy(), stalls.copy()
        pe_stalls, scanner_stalls = pe_stalls.copy(), scanner_stalls.copy()
    time = state[_STEPPED]
    while time < now and (engine[PHASE] != IDLE or vector[ACTIVE]):
        time, done = step_window(
            core, time, now, engine, pes, chip.columns[c, : state[_COLUMNS]], last, vector,
            chip.vector_bytes[c], chip.vector_bits[c], pending, chip.transfer[c],
            pe_stalls, scanner_stalls, stalls,
        )  # fmt: skip
        if ahead:
            return time
        if done & ENGINE_DONE:
            core.matrix_use[state[_K_MATRIX], 0] += time - state[_BEGAN]
            _finish_unit(chip, c, _ENGINE, time)
        if done & VECTOR_DONE:
            _finish_unit(chip, c, _VECTOR, time)
    if ahead:
        return np.int64(NEVER)
    state[_STEPPED] = now
    return now
