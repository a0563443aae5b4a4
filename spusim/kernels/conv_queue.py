"""The queue between a convolution's feeder and its PEs: T37 and T39 as a max-plus recurrence.

`advance` holds for all machines. In dataflow `row` two others do the same where they may, which is
for passes that cannot end before the accumulators of the pass before have drained.
`row_passes_bytes` keeps of each PE only its backlog, the cycles from the earliest pop of the newest
slice to its own, in a byte: it holds for up to 64 PEs and a backlog that cannot exceed a byte.
`row_passes_even` holds where every slice costs every PE one cycle: then each is popped in the
cycle after its push, and no queue of two entries (three where slots free at `done`) is ever full.
"""

import numba as nb
import numpy as np

from spusim.kernels.conv_layout import F, G, Stall
from spusim.kernels.conv_scan import visit
from spusim.kernels.lanes import LANES, highest, less, load_lanes, plus, store_lanes

_CHANNELS, _KERNEL_H, _KERNEL_W = int(G.CHANNELS), int(G.KERNEL_HEIGHT), int(G.KERNEL_WIDTH)
_PUSH, _SLOT, _FULL = int(F.PUSH), int(F.SLOT), int(F.FULL)
_ACCUMULATORS = int(Stall.ACCUMULATORS)
BYTE = 255


@nb.njit(cache=True)
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


@nb.njit(cache=True)
def row_passes_bytes(
    first, last, sizes, pushed, windows, visits, costs, release_done, shortest, feeder, ring, done
):  # fmt: skip
    """Let positions first to last - 1 through the queues of up to 64 PEs (T37, T41).

    costs (64 * (columns + 1),) uint8, the empty entry's last, at least 1 for PEs that there are;
    other arguments as in `visit` and `advance`. Returns how often the empty entry was pushed, or -1
    where a position pushes fewer than `shortest` slices.
    """
    depth = ring.shape[0]
    most = sizes[_CHANNELS] * sizes[_KERNEL_H] * sizes[_KERNEL_W]
    # those of a position's slices, behind those of the last `depth` before it
    releases = np.empty(depth + most + 1, np.int64)
    releases[:depth] = ring
    owed = np.zeros(LANES, np.uint8)
    busy_until = load_lanes(owed, 0)  # counted from the last push + 1
    push, scanned, empties = feeder[_PUSH], feeder[_PUSH], np.int64(0)
    for position in range(first, last):
        at = depth
        for v in range(visit(position, sizes, pushed, windows, feeder, visits)):
            pixel, column, before = visits[v, 0], visits[v, 1], visits[v, 2]
            scanned += before + pushed.spans[pixel]
            empties += np.int64(column == most)
            for q in range(pushed.starts[pixel], pushed.starts[pixel + 1]):
                found = push + before + np.int64(pushed.steps[q])
                before = np.int64(0)
                now = max(found, releases[at - depth] + 1)
                backlog = less(busy_until, min(now - push, BYTE))
                push = now
                cost = load_lanes(costs, LANES * (column + np.int64(pushed.channels[q])))
                busy_until = plus(backlog, cost)
                releases[at] = push + 1 + highest(busy_until if release_done else backlog)
                at += 1
        if at - depth < shortest:
            return np.int64(-1)
        for k in range(depth):
            releases[k] = releases[at - depth + k]
    store_lanes(busy_until, owed)
    for p in range(done.shape[0]):
        done[p] = push + 1 + owed[p]
    feeder[_PUSH], feeder[_FULL] = push, push - scanned
    return empties


@nb.njit(cache=True)
def row_passes_even(first, last, sizes, pushed, windows, visits, shortest, feeder, done):
    """Do the same where every slice costs every PE one cycle, and no queue is ever full."""
    most = sizes[_CHANNELS] * sizes[_KERNEL_H] * sizes[_KERNEL_W]
    push, empties = feeder[_PUSH], np.int64(0)
    for position in range(first, last):
        slices = np.int64(0)
        for v in range(visit(position, sizes, pushed, windows, feeder, visits)):
            pixel, column, before = visits[v, 0], visits[v, 1], visits[v, 2]
            push += before + pushed.spans[pixel]
            slices += pushed.starts[pixel + 1] - pushed.starts[pixel]
            empties += np.int64(column == most)
        if slices < shortest:
            return np.int64(-1)
    feeder[_PUSH] = push
    done[:] = push + 2
    return empties
