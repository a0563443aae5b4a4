"""Beats of every column at every PE (T5, T6), as the time plane of the engine reads them."""

import numpy as np

from spusim.arch.spec import CoreSpec
from spusim.formats import ColumnCounts
from spusim.kernels.lanes import LANES
from spusim.kernels.registers import FEW, FULL, WORD
from spusim.kernels.rowtime import BYTE


def beats_in_words(counts: ColumnCounts, core: CoreSpec, per_beat: int) -> np.ndarray:
    """Rules T5 and T6: beats of every column, and in the upper half of those with entries."""
    beats = counts.beats.astype(np.int64)
    if core.sparse.weights == "decompress":
        whole = -(-counts.slice_rows // per_beat)
        beats = np.maximum(beats, whole[None, :])
    cost = np.maximum(beats, 1)
    packed: np.ndarray = cost | np.where(counts.entries > 0, cost, 0) << 32
    return packed


def beats_in_lanes(packed_beats: np.ndarray, core: CoreSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the beats as (columns, LANES) uint8 and (columns, FEW) uint16, at most one not empty.

    Each holds where no PE's backlog can exceed its numbers: a column and what its queue holds. The
    few also hold the cycles from one push to the next.
    """
    beats = packed_beats & 0xFFFFFFFF
    columns, pes = beats.shape
    backlog = (core.queue.depth + 1) * int(beats.max(initial=0))
    in_shorts = pes <= FEW and max(backlog, columns) <= FULL
    in_bytes = not in_shorts and pes <= LANES and backlog <= BYTE
    lanes = np.zeros((columns if in_bytes else 0, LANES), np.uint8)
    few = np.zeros((columns if in_shorts else 0, FEW), np.uint16)
    if in_bytes:
        lanes[:, :pes] = beats
    elif in_shorts:
        few[:, :pes] = beats
    return lanes, few


def evenly(packed_beats: np.ndarray, core: CoreSpec) -> bool:
    """Whether every column costs every PE one beat, and so no queue of this depth can fill.

    Then a column is popped in the cycle after its push, and its slot is free one or two later. The
    scanner's windows must fill words of a pattern, in which they are counted.
    """
    deep = core.queue.depth >= (3 if core.queue.release == "done" else 2)
    alone = core.hazard == "bypass" and core.ports == "reserved"
    counted = deep and alone and WORD % core.scanner.width == 0
    return counted and int((packed_beats & 0xFFFFFFFF).max(initial=1)) == 1
