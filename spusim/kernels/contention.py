"""Units of one core that compete for its banks cycle by cycle: rule T19.

The router is served first and is never refused, so its accesses are known in advance; then the
vector unit; the sparse engine gets the banks that are left.
"""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.layout import P
from spusim.kernels.stepping import BY_ROUTER, BY_VECTOR, IDLE, PHASE, engine_cycle
from spusim.kernels.vector import beat_words

# vector unit
ACTIVE, LENGTH, BEAT, BEATS, ELAPSED, NATURAL, LOOKUPS, PENDING, LEFT, FIXED, READS, PASSES = range(
    12
)
VECTOR_STATE = 12
# the router's transfer: first access, word address, words, cycles between accesses
START, ADDRESS, WORDS, INTERVAL = range(4)
TRANSFER_STATE = 4
BUSY, PORT = range(2)
ENGINE_DONE, VECTOR_DONE = 1, 2

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


@kernel
def _begin_beat(core, state, bytes_, bits, pending):
    """List the banks that a beat accesses, and how long it takes with no rival (T16)."""
    lanes, banks = core.params[_LANES], core.params[_BANKS]
    n, pass_beats = state[LENGTH], state[BEATS] // (state[PASSES] + 1)
    beat = state[BEAT] % pass_beats
    writes = state[BEAT] // pass_beats == state[PASSES]
    elements = min(n - beat * lanes, lanes)
    wanted = np.zeros(banks, np.int64)
    count = np.int64(0)
    longest = np.int64(1)
    state[LOOKUPS] = 1
    if elements > 0:
        for k in range(4):
            if bits[k] == 0 or (k == 3 and not writes):
                continue
            if k == 2 and state[FIXED]:
                first, last = beat_words(core.params, 0, state[FIXED], bytes_[k], bits[k])
            else:
                first, last = beat_words(core.params, beat, n, bytes_[k], bits[k])
            for word in range(first, last + 1):
                pending[count] = word % banks
                count += 1
                wanted[word % banks] += 1
                longest = max(longest, wanted[word % banks])
        reads = core.params[_TABLE_READS]
        state[LOOKUPS] = max((elements * state[READS] + reads - 1) // reads, 1)
    state[PENDING] = count
    state[NATURAL] = max(longest, state[LOOKUPS])


@kernel
def _vector_cycle(core, state, bytes_, bits, pending, taken, stalls):
    """One cycle of the vector unit; return whether it completes with the end of it."""
    if state[BEAT] == state[BEATS]:
        state[LEFT] -= 1
        stalls[BUSY] += 1
        state[ACTIVE] = np.int64(state[LEFT] > 0)
        return state[LEFT] == 0
    if state[ELAPSED] == 0:
        _begin_beat(core, state, bytes_, bits, pending)
    left = 0
    for k in range(state[PENDING]):
        bank = pending[k]
        if taken[bank]:
            pending[left] = bank
            left += 1
        else:
            taken[bank] = BY_VECTOR
    state[PENDING] = left
    state[ELAPSED] += 1
    if left == 0 and state[ELAPSED] >= state[LOOKUPS]:
        stalls[BUSY] += state[NATURAL]
        stalls[PORT] += state[ELAPSED] - state[NATURAL]
        state[BEAT] += 1
        state[ELAPSED] = 0
    return False


@kernel
def step_cycle(
    core, now, engine, pes, columns, last, vector, bytes_, bits, pending, transfer, taken,
    pe_stalls, scanner_stalls, vector_stalls,
):  # fmt: skip
    """Step all units one cycle; return which completed: a sum of ENGINE_DONE and VECTOR_DONE.

    taken (banks,) uint8 comes out with who was granted each bank, 0 for nobody.
    """
    taken[:] = 0
    since = now - transfer[START]
    if since >= 0 and since % transfer[INTERVAL] == 0:
        word = since // transfer[INTERVAL]
        if word < transfer[WORDS]:
            taken[(transfer[ADDRESS] + word) % taken.shape[0]] = BY_ROUTER
    done = 0
    if vector[ACTIVE] and _vector_cycle(core, vector, bytes_, bits, pending, taken, vector_stalls):
        done |= VECTOR_DONE
    if engine[PHASE] != IDLE and engine_cycle(
        core, engine, pes, columns, last, taken, pe_stalls, scanner_stalls
    ):
        done |= ENGINE_DONE
    return done


@kernel
def step_window(
    core, now, until, engine, pes, columns, last, vector, bytes_, bits, pending, transfer,
    pe_stalls, scanner_stalls, vector_stalls,
):  # fmt: skip
    """Step all units from cycle `now` up to `until`, or to the end of the first that completes.

    Returns (time, which completed: a sum of ENGINE_DONE and VECTOR_DONE).
    """
    taken = np.zeros(core.params[_BANKS], np.uint8)
    while now < until:
        done = step_cycle(
            core, now, engine, pes, columns, last, vector, bytes_, bits, pending, transfer, taken,
            pe_stalls, scanner_stalls, vector_stalls,
        )  # fmt: skip
        now += 1
        if done:
            return now, done
    return now, 0
