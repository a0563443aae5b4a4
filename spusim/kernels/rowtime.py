"""Time plane of the sparse engine, dataflow `row`: rules T7 to T14 as a max-plus recurrence.

O(pushed columns x PEs): never a step per cycle or per nonzero. `stepping` gives the same figures
cycle by cycle, and is used where a rule depends on absolute time (T13 stall, T19). The recurrence
has three forms. `_in_words` holds for all machines. The others keep of each PE only its backlog,
the cycles from the earliest pop of the newest column to its own, in a register: `_in_bytes` holds
for matrices with `byte_beats`, `_in_shorts` for those with `short_beats`. Where every column costs
one beat and no queue can fill, there is nothing to recur (`even_cycles`).
"""

import numpy as np

from spusim.kernels.declare import apart, inlined, kernel
from spusim.kernels.lanes import LANES, highest, less, load_lanes, plus, store_lanes
from spusim.kernels.layout import (
    OWING_DONE,
    OWING_DRAIN,
    OWING_FINISH,
    OWING_LOAD,
    M,
    P,
    S,
)
from spusim.kernels.registers import FEW, FULL, full_shorts, grow, lowest, shrink, store_shorts

_LOAD, _BUSY, _EMPTY, _STARVED = int(S.LOAD), int(S.BUSY), int(S.EMPTY_COLUMN), int(S.STARVED)
_IMBALANCE, _DRAIN = int(S.IMBALANCE), int(S.DRAIN)
_FULL, _WAIT = int(S.QUEUE_FULL), int(S.PE_WAIT)
_PES, _WIDTH, _DEPTH = int(P.PES), int(P.SCAN_WIDTH), int(P.QUEUE_DEPTH)
_DONE, _STAGES = int(P.RELEASE_DONE), int(P.MAC_STAGES)
_COLUMNS, _COSTS, _BYTES = int(M.COLUMNS), int(M.COSTS), int(M.BYTE_BEATS)
_SHORTS, _SHIFT = int(M.SHORT_BEATS), int(P.WINDOW_SHIFT)
BYTE = 255
_BEFORE = np.int64(-1)  # the cycle before the first


@inlined
def cost_of(packed):
    """Beats of a column (T5), the low half of a packed entry."""
    return np.int32(packed & 0xFFFFFFFF)


@inlined
def _step(packed, done, first, release_done):
    """Let every PE work on one column that can be popped from `first` on; return the release."""
    latest = np.int32(0)
    if release_done:
        for p in range(done.shape[0]):
            done[p] = max(first, done[p]) + cost_of(packed[p])
            latest = max(latest, done[p])
        return latest
    for p in range(done.shape[0]):
        pop = max(first, done[p])
        latest = max(latest, pop)
        done[p] = pop + cost_of(packed[p])
    return latest


@apart
def _in_words(core, matrix, columns, n):
    """Let n columns go through the queues; return the last push.

    `core.steps` has the cycles from one to the next; `core.pe_done` comes out with the cycle in
    which each PE is done.
    """
    params, done = core.params, core.pe_done
    pes, total, begin = params[_PES], matrix[_COLUMNS], matrix[_COSTS]
    packed = core.packed_beats[begin : begin + total * pes].reshape((total, pes))
    release_done, depth = params[_DONE], params[_DEPTH]
    push, release = _BEFORE, core.release[:depth]
    slot = 0  # of column i in the ring of the last `depth` releases
    done[:] = 0
    release[:] = _BEFORE
    for i in range(n):
        push = max(push + core.steps[i], release[slot] + 1)
        release[slot] = _step(packed[columns[i]], done, np.int32(push + 1), release_done)
        slot = slot + 1 if slot + 1 < depth else 0
    return push


@apart
def _in_bytes(core, matrix, columns, n):
    """Do as `_in_words`."""
    params, owed = core.params, core.pe_owed
    release_done, depth, begin = params[_DONE], params[_DEPTH], matrix[_BYTES]
    push, release = _BEFORE, core.release[:depth]
    slot = np.uint64(0)  # without a sign nobody looks for a negative index
    last = np.uint64(depth - 1)
    owed[:] = 0
    release[:] = _BEFORE
    busy_until = load_lanes(owed, 0)
    for i in range(n):
        at = np.uint64(i)
        now = max(push + core.steps[at], release[slot] + 1)
        backlog = less(busy_until, min(now - push, BYTE))
        push = now
        busy_until = plus(backlog, load_lanes(core.byte_beats, begin + columns[at] * LANES))
        release[slot] = push + 1 + highest(busy_until if release_done else backlog)
        slot = slot + np.uint64(1) if slot < last else np.uint64(0)
    store_lanes(busy_until, owed)
    for p in range(params[_PES]):
        core.pe_done[p] = push + 1 + owed[p]
    return push


@kernel
def _note_steps(core, columns, n):
    """Note in `core.steps` the cycles from push to push (T8) of n columns; return their sum."""
    steps, windows, shift = core.steps, core.windows, core.params[_SHIFT]
    if n == 0:
        return np.int64(0)
    if shift < 0:
        for i in range(1, n):
            steps[i] = max(windows[columns[i]] - windows[columns[i - 1]], 1)
    else:
        later = columns[1:n]
        for i in range(n - 1):
            steps[1 + i] = max((later[i] >> shift) - (columns[i] >> shift), 1)
    steps[0] = windows[columns[0]] + 1
    total = np.int64(0)
    for i in range(n):
        total += steps[i]
    return total


@kernel
def _in_shorts(core, matrix, columns, n):
    """Do as `_in_words`, with `core.steps` noted.

    A PE's number is FULL less its backlog, so that the latest PE has the lowest. The cycles after
    all releases lie in a line, in which a push finds its own.
    """
    params, free = core.params, core.release
    release_done, depth, begin = params[_DONE], params[_DEPTH], matrix[_SHORTS]
    push, ahead = _BEFORE, full_shorts()
    free[:depth] = 0
    used = free[depth:]
    for i in range(n):
        at = np.uint64(i)  # without a sign nobody looks for a negative index
        now = max(push + core.steps[at], free[at])
        backlog = grow(ahead, now - push)
        push = now
        ahead = shrink(backlog, core.short_beats, begin + columns[at] * FEW)
        used[at] = push + (FULL + 2) - lowest(ahead if release_done else backlog)
    store_shorts(ahead, core.pe_ahead)
    for p in range(params[_PES]):
        core.pe_done[p] = push + 1 + FULL - core.pe_ahead[p]
    return push


@kernel
def _charge(core, matrix, found, window, push, load):
    """Attribute a product's cycles, with `core.pe_done` given; return its duration.

    found: cycles in which the scanner would have found all columns; window: of the last.
    """
    params, owing, done = core.params, core.owing, core.pe_done
    scanner_stalls = core.scanner_stalls
    width, stages = params[_WIDTH], params[_STAGES]
    windows = (matrix[_COLUMNS] + width - 1) // width
    full = push + 1 - found
    scanned = push + 1 + windows - 1 - window
    finish = scanned
    for p in range(params[_PES]):
        finish = max(finish, np.int64(done[p]))
        owing[OWING_DONE + p] += done[p]
    owing[OWING_LOAD] += load
    owing[OWING_FINISH] += finish
    owing[OWING_DRAIN] += stages
    scanner_stalls[_LOAD] += load
    scanner_stalls[_FULL] += full
    scanner_stalls[_BUSY] += scanned - full
    scanner_stalls[_WAIT] += finish - scanned
    scanner_stalls[_DRAIN] += stages
    return load + finish + stages


@kernel
def even_cycles(core, matrix, n, used, window, load):
    """Do as `product_cycles` where every column costs every PE one beat, and no queue can fill.

    Pushes are then found as if no queue were there, and each PE is done two cycles after the last.
    A window takes a cycle, and one more for each push but its first. n: columns, in `used` windows,
    of which `window` is the last.
    """
    found = n + window + 1 - used
    for p in range(core.params[_PES]):
        core.pe_done[p] = found + 1 if n else 0
    return _charge(core, matrix, found, window, found - 1, load)


@kernel
def product_cycles(core, matrix, columns, n, load):
    """Duration of one matrix-vector instruction with no interference, and its stalls.

    columns (n,) int64: pushed columns, ascending; load: cycles of the load phase. Adds to the
    core's stalls, but for what `settle_stalls` and `settle_pes` add.
    """
    found = _note_steps(core, columns, n)
    if matrix[_SHORTS] >= 0:
        push = _in_shorts(core, matrix, columns, n)
    elif matrix[_BYTES] >= 0:
        push = _in_bytes(core, matrix, columns, n)
    else:
        push = _in_words(core, matrix, columns, n)
    window = core.windows[columns[n - 1]] if n else _BEFORE
    return _charge(core, matrix, found, window, push, load)


@kernel
def settle_stalls(core):
    """Attribute cycles of PEs that were only summed over products, see `_charge`."""
    owing = core.owing
    for p in range(core.params[_PES]):
        done = owing[OWING_DONE + p]
        core.pe_stalls[p, _LOAD] += owing[OWING_LOAD]
        core.pe_stalls[p, _STARVED] += done
        core.pe_stalls[p, _IMBALANCE] += owing[OWING_FINISH] - done
        core.pe_stalls[p, _DRAIN] += owing[OWING_DRAIN]
    owing[:] = 0


@kernel
def settle_pes(core, matrix, column, uses):
    """Attribute what PEs did of a column that was pushed a number of times: T5, T6."""
    pes = core.params[_PES]
    begin = matrix[_COSTS] + column * pes
    for p in range(pes):
        packed = core.packed_beats[begin + p]
        spent, busy = uses * cost_of(packed), uses * (packed >> 32)
        core.pe_stalls[p, _BUSY] += busy
        core.pe_stalls[p, _EMPTY] += spent - busy
        core.pe_stalls[p, _STARVED] -= spent
