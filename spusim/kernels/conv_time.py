"""Time plane of a convolution's tile, both dataflows: T33 to T46.

O(slices x PEs): never a step per cycle, weight or position of a group.
"""

import numpy as np

from spusim.kernels.conv_layout import FREE, F, G, Stall
from spusim.kernels.conv_queue import advance, row_passes_bytes, row_passes_even
from spusim.kernels.conv_scan import RUN, scan_position
from spusim.kernels.declare import inlined, kernel, thorough
from spusim.kernels.scratch import fresh, zeros

_KERNEL_H, _KERNEL_W = int(G.KERNEL_HEIGHT), int(G.KERNEL_WIDTH)
_PUSH, _FULL, _BEHIND = int(F.PUSH), int(F.FULL), int(F.BEHIND)
_LOAD, _BUSY, _EMPTY, _STARVED = (
    int(Stall.LOAD), int(Stall.BUSY), int(Stall.EMPTY), int(Stall.STARVED),
)  # fmt: skip
_ACCUMULATORS, _IMBALANCE, _DRAIN = (
    int(Stall.ACCUMULATORS), int(Stall.IMBALANCE), int(Stall.DRAIN),
)  # fmt: skip
_QUEUE_FULL, _PE_WAIT = int(Stall.QUEUE_FULL), int(Stall.PE_WAIT)


@kernel
def idle_feeder(feeder, ring):
    """Bring feeder and queues to where an instruction begins."""
    feeder[:] = 0
    feeder[_PUSH] = -1
    ring[:] = FREE


@inlined
def largest(values):
    """Return the largest of values (n,), at least one."""
    found = values[0]
    for k in range(1, values.shape[0]):
        found = max(found, values[k])
    return found


@kernel
def finish(load, stages, drained, last_drain, feeder, done, stalls, feeder_stalls):
    """Add the end of a tile to the stalls (T40); return the instruction's duration.

    drained (pes,): when each PE's second last pass has drained; last_drain (pes,): cycles that the
    last one takes. stalls (pes, causes) hold cycles of work and waits for accumulators.
    """
    scanned = feeder[_PUSH] + 1 + feeder[_BEHIND]
    end = max(scanned, largest(done))
    over = max(end + stages, largest(drained)) + largest(last_drain)
    feeder_stalls[_LOAD] = load
    feeder_stalls[_QUEUE_FULL] = feeder[_FULL]
    feeder_stalls[_BUSY] = scanned - feeder[_FULL]
    feeder_stalls[_PE_WAIT] = end - scanned
    feeder_stalls[_DRAIN] = over - end
    for p in range(done.shape[0]):
        worked = stalls[p, _BUSY] + stalls[p, _EMPTY]
        stalls[p, _LOAD] = load
        stalls[p, _STARVED] = done[p] - worked - stalls[p, _ACCUMULATORS]
        stalls[p, _IMBALANCE] = end - done[p]
        stalls[p, _DRAIN] = over - end
    return load + over


@kernel
def add_work(beats, counted, groups, times, stalls):
    """Add cycles of work: slices of kind i were popped times[i] times.

    beats (kinds, pes) for one group; counted (kinds, pes) bool: where this is `busy`, else the
    slice is empty for the PE.
    """
    pes = beats.shape[1]
    busy, empty = zeros(pes, np.int64), zeros(pes, np.int64)
    for i in range(times.shape[0]):
        for p in range(pes):
            spent = times[i] * max(np.int64(1), np.int64(beats[i, p]) * groups)
            busy[p] += spent if counted[i, p] else np.int64(0)
            empty[p] += np.int64(0) if counted[i, p] else spent
    for p in range(pes):
        stalls[p, _BUSY] += busy[p]
        stalls[p, _EMPTY] += empty[p]


@kernel
def row_passes(
    first, last, sizes, pushed, windows, visits, beats, release_done, drain, feeder, ring, done,
    before, stalls,
):  # fmt: skip
    """Let positions first to last - 1 through the queues, on any machine.

    beats (columns + 1, pes): of each column, and of the empty entry; drain (pes,): d_p; before
    (pes,): when the buffer that the next pass needs has drained. Returns how often the empty entry
    was pushed.
    """
    empty = beats.shape[0] - 1
    columns, scans = fresh(empty + 1, np.int32), fresh(empty + 1, np.int32)
    entered, empties = zeros(done.shape[0], np.int64), np.int64(0)
    before[:] = 0
    for position in range(first, last):
        n = scan_position(position, sizes, pushed, windows, feeder, visits, columns, scans)
        empties += np.int64(columns[0] == empty)
        advance(
            beats, 1, columns, scans, n, before, release_done, feeder, ring, done, entered, stalls
        )
        if position > first:
            for p in range(done.shape[0]):
                before[p] = entered[p] + drain[p]
    return empties


@thorough
def row_tile(
    first, last, sizes, pushed, windows, beats, counted, costs, even, release_done, drain, load,
    stages, feeder, ring, done, times, stalls, feeder_stalls,
):  # fmt: skip
    """Cycles of positions first to last - 1 in dataflow `row`.

    pushed: `Pushed`; costs: as in `row_passes_bytes`, or empty where bytes do not do; even:
    whether `row_passes_even` does. times (columns + 1,): how often each column is pushed, to
    which empty entries are added. stalls and feeder_stalls come as zeros. Other arguments as in
    `row_passes`, `add_work` and `finish`.
    """
    visits = fresh((RUN * sizes[_KERNEL_H] * sizes[_KERNEL_W] + 1, 3), np.int64)
    before = zeros(done.shape[0], np.int64)
    idle_feeder(feeder, ring)
    done[:] = 0
    empties, shortest = np.int64(-1), largest(drain)
    if even:
        empties = row_passes_even(
            first, last, sizes, pushed, windows, visits, shortest, feeder, done
        )
    elif costs.shape[0]:
        empties = row_passes_bytes(
            first, last, sizes, pushed, windows, visits, costs, release_done, shortest, feeder,
            ring, done,
        )  # fmt: skip
    if empties < 0:
        idle_feeder(feeder, ring)
        empties = row_passes(
            first, last, sizes, pushed, windows, visits, beats, release_done, drain, feeder, ring,
            done, before, stalls,
        )  # fmt: skip
    times[times.shape[0] - 1] += empties
    add_work(beats, counted, 1, times, stalls)
    return finish(load, stages, before, drain, feeder, done, stalls, feeder_stalls)


@thorough
def pixel_tile(
    beats, counted, kinds, groups, fetch, release_done, heights, load, stages,
    feeder, ring, done, stalls, feeder_stalls,
):  # fmt: skip
    """Cycles of a tile in dataflow `pixel`.

    beats and counted (kinds of slices, pes): as in `add_work`; kinds (n,): the slices of every
    block, in order; groups and fetch (blocks,): groups of a block, and cycles to fetch a slice of
    it; heights (pes,): filters. stalls and feeder_stalls come as zeros.
    """
    pes, blocks = done.shape[0], groups.shape[0]
    entered, before = zeros(pes, np.int64), zeros(pes, np.int64)
    drains = zeros(pes, np.int64)  # of the last block
    times = zeros(beats.shape[0], np.int64)
    for k in range(kinds.shape[0]):
        times[kinds[k]] = 1
    scans = fresh(kinds.shape[0], np.int64)
    idle_feeder(feeder, ring)
    done[:] = 0
    for block in range(blocks):
        for k in range(scans.shape[0]):
            scans[k] = fetch[block]
        advance(
            beats, groups[block], kinds, scans, kinds.shape[0], before, release_done, feeder,
            ring, done, entered, stalls,
        )  # fmt: skip
        add_work(beats, counted, groups[block], times, stalls)
        if block:
            for p in range(pes):
                before[p] = entered[p] + drains[p]
        for p in range(pes):
            drains[p] = heights[p] * groups[block]
    return finish(load, stages, before, drains, feeder, done, stalls, feeder_stalls)
