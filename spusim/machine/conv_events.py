"""The events of a convolution, as docs/energy.md counts them."""

import numpy as np

from spusim.kernels.conv_layout import Stall
from spusim.kernels.layout import C
from spusim.machine.conv_engine import TileTime
from spusim.machine.conv_plan import ConvPlan
from spusim.machine.conv_time import RowPlan
from spusim.machine.conv_window import activations_met
from spusim.numerics.convolution import Convolution

RAW_BITS = 32  # results of which bypass the requantiser
GATED = -1  # in the place of a counter: multiplications that were gated


def requantised(plan: ConvPlan) -> int:
    """Return how many elements go through the requantiser (T49)."""
    raw = plan.window.output_bits == RAW_BITS
    return 0 if raw else plan.tile[1] * plan.shape.filters


def conv_events(plan: ConvPlan, time: TileTime, x: np.ndarray) -> dict[int, int]:
    """Count what depends on the tile: by counter, `C.MAC` and `GATED` of the precision.

    x (channels, height, width).
    """
    counts, pes = plan.counts, plan.engine.pes
    active, inside = activations_met(plan.window, plan.shape, x)
    row = isinstance(plan.time, RowPlan)
    skips = row and plan.engine.activations == "skip"
    macs = int(counts.macs @ (inside if plan.engine.activations == "dense" else active))
    pushes = int(time.pushed.sum()) * pes
    weight_words, index_words = _words_read(plan, time)
    elements = plan.tile[1] * plan.shape.filters
    events = {
        C.MAC: macs,
        GATED: int(counts.macs @ (active if skips else inside)) - macs,
        C.ACC_READ: macs + elements,
        C.ACC_WRITE: macs + elements,
        C.QUEUE_PUSH: pushes,
        C.QUEUE_POP: pushes,
        C.WEIGHT_READ: weight_words,
        C.INDEX_READ: index_words,
        C.EFFECTIVE: int(counts.nonzeros @ active),
        C.ACTIVE: plan.shape.filters // plan.shape.groups * int(active.sum()),
        C.VECTOR_ELEMENT: requantised(plan),
        C.VECTOR_MULTIPLY: requantised(plan) if plan.window.scaling else 0,
    }
    return events | (_scanned(time) if row else _fetched(plan, time))


def _scanned(time: TileTime) -> dict[int, int]:
    return {C.SCANNER_WINDOW: time.examined}


def _fetched(plan: ConvPlan, time: TileTime) -> dict[int, int]:
    """Count the words written to slots, and those that beats read from them (T45, T46)."""
    beats = int(time.pe_stalls[:, Stall.BUSY].sum())
    bits = plan.engine.group * plan.engine.activation_bits
    return {
        C.SLOT_WRITE: time.examined * plan.engine.pes,
        C.SLOT_READ: beats * -(-bits // plan.engine.word_bits),
    }


def _words_read(plan: ConvPlan, time: TileTime) -> tuple[int, int]:
    """Return the words of weights and of indices that pops read (T42, T46)."""
    pushed, counts, shape = time.pushed[:-1], plan.counts, plan.shape
    words, index = counts.column_words
    if isinstance(plan.time, RowPlan):
        return int(words @ pushed), int(index @ pushed)
    words = slice_words(counts.entries, shape, plan.per_word).sum(axis=1)
    return int(words @ pushed), int(index.reshape(-1, shape.places).sum(axis=1) @ pushed)


def slice_words(entries: np.ndarray, shape: Convolution, per_word: int) -> np.ndarray:
    """Return the words that each channel's entries lie in, (channels, pes), from (columns, pes)."""
    each = entries.reshape(-1, shape.places, entries.shape[1]).sum(axis=1)
    ends = np.cumsum(each, axis=0, dtype=np.int64)
    first, last = (ends - each) // per_word, (ends - 1) // per_word
    words: np.ndarray = np.where(each > 0, last - first + 1, 0)
    return words
