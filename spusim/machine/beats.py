"""Beats of every column at every PE (T5, T6), as the time plane of the engine reads them."""

import numpy as np

from spusim.arch.spec import CoreSpec
from spusim.formats import ColumnCounts
from spusim.kernels.lanes import LANES
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


def beats_in_bytes(packed_beats: np.ndarray, core: CoreSpec) -> np.ndarray:
    """Beats as bytes, where no PE's backlog can exceed one: a column and what its queue holds."""
    beats = packed_beats & 0xFFFFFFFF
    columns, pes = beats.shape
    fits = pes <= LANES and (core.queue.depth + 1) * int(beats.max(initial=0)) <= BYTE
    if not fits:
        return np.zeros((0, LANES), np.uint8)
    padded = np.zeros((columns, LANES), np.uint8)
    padded[:, :pes] = beats
    return padded
