"""The events of a convolution, as docs/energy.md counts them."""

import numpy as np

from spusim.kernels.conv_layout import Stall
from spusim.kernels.layout import C
from spusim.machine.conv_engine import TileTime
from spusim.machine.conv_plan import ConvPlan
from spusim.machine.conv_time import RowPlan
from spusim.machine.conv_window import activations_inside

RAW_BITS = 32  # results of which bypass the requantiser
GATED = -1  # in the place of a counter: multiplications that were gated


def requantised(plan: ConvPlan) -> int:
    """Return how many elements go through the requantiser (T49)."""
    raw = plan.window.output_bits == RAW_BITS
    return 0 if raw else plan.tile[1] * plan.shape.filters


def conv_events(plan: ConvPlan, time: TileTime, active: np.ndarray) -> dict[int, int]:
    """Count what depends on the tile: by counter, `C.MAC` and `GATED` of the precision.

    active (columns,): what `activations_met` returns.
    """
    slices, mode = plan.time.slices, plan.engine.activations
    row = isinstance(plan.time, RowPlan)
    skips = row and mode == "skip"
    on_active = int(slices.macs @ active)
    on_all = on_active if skips else int(slices.macs @ activations_inside(plan.window, plan.shape))
    macs = on_all if mode == "dense" else on_active
    pushed = time.pushed[:-1]
    pushes = int(time.pushed.sum()) * plan.engine.pes
    elements = plan.tile[1] * plan.shape.filters
    events = {
        C.MAC: macs,
        GATED: on_all - macs,
        C.ACC_READ: macs + elements,
        C.ACC_WRITE: macs + elements,
        C.QUEUE_PUSH: pushes,
        C.QUEUE_POP: pushes,
        C.WEIGHT_READ: int(slices.weight_words @ pushed),
        C.INDEX_READ: int(slices.index_words @ pushed),
        C.EFFECTIVE: int(slices.nonzeros @ active),
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
