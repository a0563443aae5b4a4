"""Time plane of the sparse engine, dataflow `row`: rules T7 to T14 as a max-plus recurrence.

O(pushed columns x PEs): never a step per cycle or per nonzero. `stepping` gives the same figures
cycle by cycle, and is used where a rule depends on absolute time (T13 stall, T19).
"""

import numpy as np

from spusim.kernels.compiling import inlined, kernel
from spusim.kernels.layout import S

_LOAD, _BUSY, _EMPTY, _STARVED = int(S.LOAD), int(S.BUSY), int(S.EMPTY_COLUMN), int(S.STARVED)
_IMBALANCE, _DRAIN = int(S.IMBALANCE), int(S.DRAIN)
_FULL, _WAIT = int(S.QUEUE_FULL), int(S.PE_WAIT)


@inlined
def cost_of(packed):
    """Beats of a column (T5), the low half of a packed entry."""
    return np.int32(packed & 0xFFFFFFFF)


@inlined
def _step(packed, done, sums, first, release_done):
    """Let every PE work on one column that can be popped from `first` on; return the release."""
    latest = np.int32(0)
    if release_done:
        for p in range(done.shape[0]):
            sums[p] += packed[p]
            done[p] = max(first, done[p]) + cost_of(packed[p])
            latest = max(latest, done[p])
        return latest
    for p in range(done.shape[0]):
        sums[p] += packed[p]
        pop = max(first, done[p])
        latest = max(latest, pop)
        done[p] = pop + cost_of(packed[p])
    return latest


@kernel
def product_cycles(
    packed, columns, n, total, load, width, depth, release_done, stages,
    pe_stalls, scanner_stalls, done, sums, release,
):  # fmt: skip
    """Duration of one matrix-vector instruction with no interference, and its stalls.

    packed (columns, pes) int64: beats of a column, and in the upper half the same where the column
    has entries, so that one addition sums both; columns (n,): pushed columns, ascending, of
    `total`; load: cycles of the load phase. Adds to pe_stalls (pes, causes) and scanner_stalls
    (causes,) int64. done (pes,) int32, sums (pes,) int64 and release (>= depth,) int32 are
    scratch. Times count from the end of the load phase.
    """
    pes = packed.shape[1]
    done[:] = 0
    sums[:] = 0
    push = np.int64(-1)
    window = np.int64(-1)
    edge = np.int64(0)  # first column beyond the window
    slot = 0  # of column i in the ring of the last `depth` releases
    full = np.int64(0)
    for i in range(n):
        j = columns[i]
        scan = np.int64(0)
        while j >= edge:
            scan += 1
            edge += width
        window += scan
        found = push + max(scan, 1)
        push = found
        if i >= depth:
            push = max(found, release[slot] + 1)
            full += push - found
        release[slot] = _step(packed[j], done, sums, np.int32(push + 1), release_done)
        slot = slot + 1 if slot + 1 < depth else 0
    windows = (total + width - 1) // width
    scanned = push + 1 + windows - 1 - window
    finish = scanned
    for p in range(pes):
        finish = max(finish, done[p])
    scanner_stalls[_LOAD] += load
    scanner_stalls[_FULL] += full
    scanner_stalls[_BUSY] += scanned - full
    scanner_stalls[_WAIT] += finish - scanned
    scanner_stalls[_DRAIN] += stages
    for p in range(pes):
        spent, busy = cost_of(sums[p]), sums[p] >> 32
        pe_stalls[p, _LOAD] += load
        pe_stalls[p, _BUSY] += busy
        pe_stalls[p, _EMPTY] += spent - busy
        pe_stalls[p, _STARVED] += done[p] - spent
        pe_stalls[p, _IMBALANCE] += finish - done[p]
        pe_stalls[p, _DRAIN] += stages
    return load + finish + stages
