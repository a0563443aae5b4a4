"""The queue between a convolution's feeder and its PEs: T37 and T39 as a max-plus recurrence.

Two forms of one recurrence. `advance` holds for all machines. `advance_bytes` keeps of each PE
only its backlog, the cycles from the earliest pop of the newest slice to its own, in a byte; it
holds for up to 64 PEs, a backlog that cannot exceed a byte, and passes that cannot end before
the accumulators of the pass before have drained.
"""

import numpy as np

from spusim.kernels.compiling import kernel
from spusim.kernels.conv_layout import F, Stall
from spusim.kernels.lanes import highest, less, load_lanes, plus, store_lanes

_PUSH, _SLOT, _FULL = int(F.PUSH), int(F.SLOT), int(F.FULL)
_ACCUMULATORS = int(Stall.ACCUMULATORS)
BYTE = 255


@kernel
def advance(
    beats, groups, slices, scans, n, bound, release_done, feeder, ring, done, entered, stalls
):
    """Let a pass of n slices go through the queues; the first one is popped from `bound` on.

    beats (kinds of slices, pes) for one group; slices (n,): kinds in order of push; scans
    (n,): cycles to prepare each. bound (pes,): T39's third term. feeder (`F`), ring (depth,) of
    releases, done and entered (pes,) are state; stalls (pes, causes). Times count from S (T37).
    """
    push, slot = feeder[_PUSH], feeder[_SLOT]
    pes, depth = done.shape[0], ring.shape[0]
    for i in range(n):
        found = push + np.int64(scans[i])
        push = max(found, ring[slot] + 1)
        feeder[_FULL] += push - found
        work = beats[slices[i]]
        latest = np.int64(0)
        for p in range(pes):
            pop = max(push + 1, done[p])
            if i == 0:
                late = max(np.int64(0), bound[p] - pop)
                stalls[p, _ACCUMULATORS] += late
                pop += late
                entered[p] = pop
            done[p] = pop + max(np.int64(1), np.int64(work[p]) * groups)
            latest = max(latest, done[p] if release_done else pop)
        ring[slot] = latest
        slot = slot + 1 if slot + 1 < depth else 0
    feeder[_PUSH], feeder[_SLOT] = push, slot


@kernel
def advance_bytes(costs, columns, scans, n, release_done, feeder, ring, owed):
    """Do the same for 64 PEs; costs (64 * kinds,) uint8, at least 1 for PEs that there are.

    owed (64,) uint8: of each PE, the cycles from the last push + 1 to its last done.
    """
    push, slot, full = feeder[_PUSH], feeder[_SLOT], feeder[_FULL]
    depth = ring.shape[0]
    busy_until = load_lanes(owed, 0)
    for i in range(n):
        found = push + np.int64(scans[i])
        now = max(found, ring[slot] + 1)
        full += now - found
        backlog = less(busy_until, min(now - push, BYTE))
        push = now
        busy_until = plus(backlog, load_lanes(costs, np.int64(columns[i]) * 64))
        ring[slot] = push + 1 + highest(busy_until if release_done else backlog)
        slot = slot + 1 if slot + 1 < depth else 0
    store_lanes(busy_until, owed)
    feeder[_PUSH], feeder[_SLOT], feeder[_FULL] = push, slot, full
