"""The queue between a convolution's feeder and its PEs: T37 and T39 as a max-plus recurrence.

`advance` holds for all machines. In dataflow `row` two others do the same where they may, which is
for passes that cannot end before the accumulators of the pass before have drained.
`row_passes_bytes` keeps of each PE only its backlog, the cycles from the earliest pop of the newest
slice to its own, in a byte: it holds for up to 64 PEs and a backlog that cannot exceed a byte.
`row_passes_even` holds where every slice costs every PE one cycle: then each is popped in the
cycle after its push, and no queue of two entries (three where slots free at `done`) is ever full.
"""

import numpy as np

from spusim.kernels.conv_layout import F, G, Stall
from spusim.kernels.conv_places import sum_windows
from spusim.kernels.conv_scan import RUN, visit
from spusim.kernels.declare import kernel
from spusim.kernels.lanes import LANES, highest, less, load_lanes, plus, store_lanes
from spusim.kernels.scratch import fresh, zeros
from spusim.kernels.views import overwrite

_OUT_W = int(G.OUT_WIDTH)
_PUSH, _SLOT, _FULL = int(F.PUSH), int(F.SLOT), int(F.FULL)
_BEHIND, _WINDOWS = int(F.BEHIND), int(F.WINDOWS)
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
def row_passes_bytes(
    first, last, sizes, pushed, windows, visits, costs, release_done, shortest, feeder, ring, done
):  # fmt: skip
    """Let positions first to last - 1 through the queues of up to 64 PEs (T37, T41).

    visits: of `RUN` positions; costs (64 * (columns + 1),) uint8, the empty entry's last, at least
    1 for PEs that there are; other arguments as in `visit` and `advance`. Returns how often the
    empty entry was pushed, or -1 where a position pushes fewer than `shortest` slices.
    """
    starts, channels, steps, spans, _ = pushed
    depth, empty = ring.shape[0], spans.shape[0] - 1
    # those of a position's slices, behind those of the last `depth` before it
    releases = fresh(depth + costs.shape[0] // LANES, np.int64)
    overwrite(releases, ring)
    ends, owed = fresh(RUN, np.int64), zeros(LANES, np.uint8)
    busy_until = load_lanes(owed, 0)  # counted from the last push + 1
    push, scanned, empties = feeder[_PUSH], feeder[_PUSH], np.int64(0)
    for run in range(first, last, RUN):
        positions, end = min(RUN, last - run), np.int64(0)
        visit(run, run + positions, sizes, pushed, windows, feeder, ends, visits)
        for position in range(positions):
            # unsigned, for nothing is counted from an array's end
            at, begin, end = np.uint64(0), end, ends[position]
            empties += np.int64(visits[begin, 0] == empty)
            for v in range(begin, end):
                pixel, column, before = visits[v, 0], visits[v, 1], visits[v, 2]
                scanned += before + spans[pixel]
                push += before
                held = before
                for q in range(np.uint64(starts[pixel]), np.uint64(starts[pixel + 1])):
                    now = max(push + np.int64(steps[q]), releases[at] + 1)
                    backlog = less(busy_until, min(now - push + held, BYTE))
                    push, held = now, np.int64(0)
                    cost = load_lanes(costs, LANES * (column + np.int64(channels[q])))
                    busy_until = plus(backlog, cost)
                    latest = highest(busy_until if release_done else backlog)
                    releases[at + np.uint64(depth)] = push + 1 + latest
                    at += np.uint64(1)
            if np.int64(at) < shortest:
                return np.int64(-1)
            for k in range(depth):
                releases[k] = releases[np.int64(at) + k]
    store_lanes(busy_until, owed)
    for p in range(done.shape[0]):
        done[p] = push + 1 + owed[p]
    feeder[_PUSH], feeder[_FULL] = push, push - scanned
    return empties


@kernel
def row_passes_even(first, last, sizes, pushed, windows, visits, shortest, feeder, done):
    """Do the same where every slice costs every PE one cycle, and no queue is ever full.

    Then the feeder takes for a position what it takes for its pixels, one after the other.
    """
    starts, _, _, spans, tails = pushed
    width = sizes[_OUT_W]
    slices, cycles = fresh(width, np.int64), fresh(width, np.int64)
    pixels = spans.shape[0]
    found, spent = fresh(pixels, np.int32), fresh(pixels, np.int32)
    ones = fresh(pixels, np.int32)
    for pixel in range(pixels):
        found[pixel] = starts[pixel + 1] - starts[pixel]
        spent[pixel] = spans[pixel] + tails[pixel]
        ones[pixel] = 1
    empties, passed = np.int64(0), np.int64(0)
    for y in range(first // width, -(-last // width)):
        begin, end = max(first - y * width, 0), min(last - y * width, width)
        sum_windows(found, sizes, y, slices)
        sum_windows(spent, sizes, y, cycles)
        for x in range(begin, end):
            empties += np.int64(slices[x] == 0)
            passed += max(np.int64(1), cycles[x])  # also to see that all places are outside
            if max(np.int64(1), slices[x]) < shortest:
                return np.int64(-1)
        sum_windows(ones, sizes, y, cycles)
        for x in range(begin, end):
            feeder[_WINDOWS] += cycles[x] * windows
    examined = feeder[_WINDOWS]
    visit(last - 1, last, sizes, pushed, windows, feeder, slices[:1], visits)
    feeder[_WINDOWS] = examined
    feeder[_PUSH] += passed - feeder[_BEHIND]
    done[:] = feeder[_PUSH] + 2
    return empties
