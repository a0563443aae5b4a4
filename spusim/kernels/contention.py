"""Units of one core that compete for its banks: rule T19.

The router is served first and is never refused, so its accesses are known in advance; then the
vector unit; the sparse engine gets the banks that are left. So neither of the first two knows of
the engine: they are stepped some cycles ahead of it, and it is told which banks they were granted.
"""

import numpy as np

from spusim.kernels.declare import inlined, kernel
from spusim.kernels.engine_state import (
    BY_ENGINE,
    BY_ROUTER,
    BY_VECTOR,
    EVERY_BANK,
    GRANTED,
    IDLE,
    PHASE,
)
from spusim.kernels.layout import P
from spusim.kernels.stepping import step_engine
from spusim.kernels.vector import beat_words
from spusim.kernels.views import overwrite

# Vector unit. After it, masks of banks: those that its beat has still to access more than 0, 1, ...
# times.
(
    ACTIVE, LENGTH, BEAT, BEATS, ELAPSED, NATURAL, LOOKUPS, PENDING, LEFT, FIXED, READS, PASSES,
    BUSY_CYCLES, PORT_CYCLES,
) = range(14)  # fmt: skip
VECTOR_STATE = 14
LEVELS = 8  # for each lane, and one more: a beat accesses no bank more often
# the router's transfer: first access, word address, words, cycles between accesses
START, ADDRESS, WORDS, INTERVAL = range(4)
TRANSFER_STATE = 4
BUSY, PORT = range(2)
ENGINE_DONE, VECTOR_DONE = 1, 2
AHEAD = 256  # most cycles that router and vector unit are stepped ahead of the engine

_BANKS, _LANES, _STAGES = int(P.BANKS), int(P.VECTOR_LANES), int(P.VECTOR_STAGES)
_TABLE_READS = int(P.TABLE_READS)


@kernel
def start_vector(core, n, fixed, reads, passes, state):
    """Set the stepping state of the vector unit to an instruction's first cycle."""
    lanes = core.params[_LANES]
    state[:] = 0
    state[ACTIVE], state[LENGTH], state[FIXED], state[READS] = 1, n, fixed, reads
    state[PASSES] = passes
    state[BEATS] = max((n + lanes - 1) // lanes, 1) * (passes + 1)
    state[LEFT] = core.params[_STAGES]


@inlined
def _want_words(core, state, first, last):
    """Add an operand's words to those that the beat has to access."""
    banks = core.params[_BANKS]
    bank = first % banks
    for _ in range(first, last + 1):
        place = np.int64(1) << bank
        level = VECTOR_STATE
        while level < VECTOR_STATE + state[PENDING] and state[level] & place:
            level += 1
        if level == VECTOR_STATE + state[PENDING]:
            state[level] = 0
            state[PENDING] += 1
        state[level] |= place
        bank = bank + 1 if bank + 1 < banks else 0


@inlined
def _begin_beat(core, state, bytes_, bits):
    """Find the banks that a beat accesses, and how long it takes with no rival (T16)."""
    lanes = core.params[_LANES]
    n, beat, writes = state[LENGTH], state[BEAT], True
    if state[PASSES]:
        pass_beats = state[BEATS] // (state[PASSES] + 1)
        writes = beat // pass_beats == state[PASSES]
        beat %= pass_beats
    elements = min(n - beat * lanes, lanes)
    state[LOOKUPS] = 1
    if elements > 0:
        for k in range(4):
            if bits[k] == 0 or (k == 3 and not writes):
                continue
            if k == 2 and state[FIXED]:
                first, last = beat_words(core.params, 0, state[FIXED], bytes_[k], bits[k])
            else:
                first, last = beat_words(core.params, beat, n, bytes_[k], bits[k])
            _want_words(core, state, first, last)
        if state[READS]:
            reads = core.params[_TABLE_READS]
            state[LOOKUPS] = (elements * state[READS] + reads - 1) // reads
    state[NATURAL] = max(state[PENDING], state[LOOKUPS])


@inlined
def _access_banks(state, refused):
    """Let the beat access every bank that it still wants and is not refused; return their mask."""
    levels = state[PENDING]
    granted = state[VECTOR_STATE] & ~refused if levels else np.int64(0)
    for level in range(VECTOR_STATE, VECTOR_STATE + levels):
        more = state[level + 1] if level + 1 < VECTOR_STATE + levels else np.int64(0)
        state[level] = (state[level] & ~granted) | (more & granted)
    while state[PENDING] and state[VECTOR_STATE + state[PENDING] - 1] == 0:
        state[PENDING] -= 1
    return granted


@inlined
def _vector_cycle(core, state, bytes_, bits, refused):
    """One cycle of the vector unit; return the mask of banks that it accesses."""
    if state[BEAT] == state[BEATS]:
        state[LEFT] -= 1
        state[BUSY_CYCLES] += 1
        state[ACTIVE] = np.int64(state[LEFT] > 0)
        return np.int64(0)
    if state[ELAPSED] == 0:
        _begin_beat(core, state, bytes_, bits)
    granted = _access_banks(state, refused)
    state[ELAPSED] += 1
    if state[PENDING] == 0 and state[ELAPSED] >= state[LOOKUPS]:
        state[BUSY_CYCLES] += state[NATURAL]
        state[PORT_CYCLES] += state[ELAPSED] - state[NATURAL]
        state[BEAT] += 1
        state[ELAPSED] = 0
    return granted


@inlined
def _transfer_bank(core, transfer, now):
    """Mask of the bank that the router accesses in a cycle."""
    since = now - transfer[START]
    if since < 0 or since >= transfer[WORDS] * transfer[INTERVAL] or since % transfer[INTERVAL]:
        return np.int64(0)
    word = transfer[ADDRESS] + since // transfer[INTERVAL]
    return np.int64(1) << (word % core.params[_BANKS])


@kernel
def _step_rivals(core, now, until, vector, bytes_, bits, transfer, accesses):
    """Step router and vector unit until `until`, the vector unit's completion, or AHEAD cycles on.

    Returns the cycle reached, and the mask of all banks that were accessed; accesses (AHEAD,)
    comes out with those of each cycle, or as it was if there are none.
    """
    if not vector[ACTIVE] and now >= transfer[START] + transfer[WORDS] * transfer[INTERVAL]:
        return until, np.int64(0)
    time, rivals = now, np.int64(0)
    until = min(until, now + AHEAD)
    while time < until:
        banks = _transfer_bank(core, transfer, time)
        time += 1
        if vector[ACTIVE]:
            banks |= _vector_cycle(core, vector, bytes_, bits, banks)
            if not vector[ACTIVE]:
                until = time
        accesses[time - 1 - now] = banks
        rivals |= banks
    return time, rivals


@kernel
def step_cycle(
    core, now, engine, pes, columns, last, vector, bytes_, bits, transfer, accesses, taken,
    pe_stalls, scanner_stalls,
):  # fmt: skip
    """Step all units one cycle; return which completed: a sum of ENGINE_DONE and VECTOR_DONE.

    accesses (AHEAD,) int64 is scratch; taken (banks,) uint8 comes out with who was granted each
    bank, 0 for nobody.
    """
    working, computing, by_engine = engine[PHASE] != IDLE, vector[ACTIVE], np.int64(0)
    by_router = _transfer_bank(core, transfer, now)
    accesses[0] = 0
    _step_rivals(core, now, now + 1, vector, bytes_, bits, transfer, accesses)
    if working:
        step_engine(
            core, engine, pes, columns, last, 1, accesses, EVERY_BANK, pe_stalls, scanner_stalls
        )
        by_engine = engine[GRANTED]
    for bank in range(taken.shape[0]):
        taken[bank] = BY_ENGINE if by_engine >> bank & 1 else 0
        if accesses[0] >> bank & 1:
            taken[bank] = BY_ROUTER if by_router >> bank & 1 else BY_VECTOR
    return _completed(working, computing, engine, vector)


@inlined
def _completed(working, computing, engine, vector):
    """Say which units that were at work are so no longer."""
    by_engine = ENGINE_DONE if working and engine[PHASE] == IDLE else 0
    return by_engine + (VECTOR_DONE if computing and not vector[ACTIVE] else 0)


@kernel
def step_window(
    core, now, until, engine, pes, columns, last, vector, kept, bytes_, bits, transfer, accesses,
    pe_stalls, scanner_stalls,
):  # fmt: skip
    """Step all units from cycle `now` up to `until`, or to the end of the first that completes.

    Returns (time, which completed: a sum of ENGINE_DONE and VECTOR_DONE). kept, of the shape of
    vector, and accesses (AHEAD,) int64 are scratch.
    """
    done = 0
    while now < until and not done:
        working, computing = engine[PHASE] != IDLE, vector[ACTIVE]
        overwrite(kept, vector)
        end, rivals = _step_rivals(core, now, until, vector, bytes_, bits, transfer, accesses)
        if working:
            cycles = step_engine(
                core, engine, pes, columns, last, end - now, accesses, rivals, pe_stalls,
                scanner_stalls,
            )  # fmt: skip
            if cycles < end - now:
                # The vector unit must not be ahead of what may begin when the engine completes.
                end = now + cycles
                overwrite(vector, kept)
                _step_rivals(core, now, end, vector, bytes_, bits, transfer, accesses)
        done = _completed(working, computing, engine, vector)
        now = end
    return now, done
