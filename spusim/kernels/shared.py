"""A core's units under shared ports (T19): stepped in windows, ever anew to foresee completions."""

import numpy as np

from spusim.kernels.chip import NEVER, A, F, K
from spusim.kernels.contention import (
    ACTIVE,
    BUSY,
    BUSY_CYCLES,
    ENGINE_DONE,
    PORT,
    PORT_CYCLES,
    VECTOR_DONE,
    start_vector,
    step_window,
)
from spusim.kernels.declare import apart, kernel
from spusim.kernels.engine_state import (
    IDLE,
    PHASE,
    start_engine,
)
from spusim.kernels.layout import P, Unit
from spusim.kernels.log import L, note
from spusim.kernels.scratch import copied, release
from spusim.kernels.sequencer import occupy
from spusim.kernels.views import overwrite

_FLIGHTS, _STEPPED = int(K.FLIGHTS), int(K.STEPPED)
_K_MATRIX, _BEGAN = int(K.ENGINE_MATRIX), int(K.ENGINE_BEGAN)
_COMPLETES = int(K.COMPLETES)
_READY_AT, _RUNNING = int(F.READY_AT), int(F.RUNNING)
_LENGTH, _FIXED, _READS, _MATRIX = int(A.LENGTH), int(A.FIXED), int(A.READS), int(A.MATRIX)
_SOURCE, _ACCUMULATE, _PUSHED = int(A.SOURCE), int(A.ACCUMULATE), int(A.PUSHED)
_BYTES, _BITS, _PASSES = int(A.BYTES), int(A.BITS), int(A.PASSES)
_ENGINE, _VECTOR = int(Unit.ENGINE), int(Unit.VECTOR)
_L_DONE, _HAZARD = int(L.DONE), int(P.HAZARD_STALL)


@apart
def begin_planned(chip, c, context, unit, now):
    """Let a unit begin, in this cycle, the instruction that was executed ahead."""
    plan = chip.planned[c, context]
    core = chip.cores[c]
    chip.core[c, _COMPLETES] = 0
    if unit == _VECTOR:
        overwrite(chip.vector_bytes[c], plan[_BYTES : _BYTES + 4])
        overwrite(chip.vector_bits[c], plan[_BITS : _BITS + 4])
        start_vector(
            core, plan[_LENGTH], plan[_FIXED], plan[_READS], plan[_PASSES], chip.vector[c, 0]
        )
    elif unit == _ENGINE:
        n, m = plan[_PUSHED], plan[_MATRIX]
        overwrite(chip.columns[c], chip.pushed[c, context, :n])
        state = chip.core[c]
        state[_K_MATRIX], state[_BEGAN] = m, now
        start_engine(
            core, m, plan[_SOURCE], n, plan[_ACCUMULATE], chip.engine[c], chip.pes[c], chip.last[c]
        )


@kernel
def _finish_unit(chip, c, unit, now):
    note(chip, _L_DONE, now, c, unit)
    occupy(chip, c, unit, 0, now)
    chip.core[c, _COMPLETES] = 0
    for k in range(chip.core[c, _FLIGHTS]):
        flight = chip.flights[c, chip.oldest[c, k]]
        if flight[_RUNNING] == unit and flight[_READY_AT] == NEVER:
            flight[_READY_AT] = now


@apart
def step_units(chip, c, now):
    """Step a core's competing units to the beginning of cycle `now`; complete what completes."""
    state, core = chip.core[c], chip.cores[c]
    engine, vector = chip.engine[c], chip.vector[c, 0]
    time = state[_STEPPED]
    while time < now and (engine[PHASE] != IDLE or vector[ACTIVE]):
        time, done = step_window(
            core, time, now, engine, chip.pes[c], chip.columns[c], chip.last[c], vector,
            chip.vector[c, 1], chip.vector_bytes[c], chip.vector_bits[c], chip.transfer[c],
            chip.accesses[c], core.pe_stalls, core.scanner_stalls,
        )  # fmt: skip
        if done & ENGINE_DONE:
            core.matrix_use[state[_K_MATRIX], 0] += time - state[_BEGAN]
            _finish_unit(chip, c, _ENGINE, time)
        if done & VECTOR_DONE:
            chip.vector_cycles[c, BUSY] += vector[BUSY_CYCLES]
            chip.vector_cycles[c, PORT] += vector[PORT_CYCLES]
            _finish_unit(chip, c, _VECTOR, time)
    state[_STEPPED] = now


@kernel
def _foresee(chip, c):
    """Step copies of a core's competing units to the next completion; return its cycle."""
    core, last = chip.cores[c], chip.last[c]
    engine, pes = copied(chip.engine[c]), copied(chip.pes[c])
    time, _ = step_window(
        core, chip.core[c, _STEPPED], NEVER, engine, pes, chip.columns[c],
        copied(last) if core.params[_HAZARD] else last, copied(chip.vector[c, 0]),
        chip.vector[c, 1], chip.vector_bytes[c], chip.vector_bits[c], chip.transfer[c],
        chip.accesses[c], copied(core.pe_stalls), copied(core.scanner_stalls),
    )  # fmt: skip
    release(engine)
    return time


@apart
def next_completion(chip, c):
    """Cycle before which none of a core's competing units completes; NEVER if none is at work.

    It is foreseen once for all that is at work: a transfer that begins later makes nothing complete
    earlier, so that all it costs is to look again when that cycle has come.
    """
    state = chip.core[c]
    if chip.engine[c, PHASE] == IDLE and not chip.vector[c, 0, ACTIVE]:
        return np.int64(NEVER)
    if state[_COMPLETES] <= state[_STEPPED]:
        state[_COMPLETES] = _foresee(chip, c)
    return state[_COMPLETES]
