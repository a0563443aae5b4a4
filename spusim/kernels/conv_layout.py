"""Positions in the flat arrays that the kernels of convolutions share with their callers."""

from enum import IntEnum

FREE = -(1 << 60)  # release of a queue slot that was never taken


class G(IntEnum):
    """A convolution's sizes (T33), in `sizes`."""

    CHANNELS = 0
    HEIGHT = 1
    WIDTH = 2
    KERNEL_HEIGHT = 3
    KERNEL_WIDTH = 4
    STRIDE_Y = 5
    STRIDE_X = 6
    TOP = 7
    LEFT = 8
    DILATION_Y = 9
    DILATION_X = 10
    OUT_WIDTH = 11
    COUNT = 12


class Stall(IntEnum):
    """Causes, columns of the stalls of PEs and feeder."""

    LOAD = 0
    BUSY = 1
    EMPTY = 2
    STARVED = 3
    ACCUMULATORS = 4
    IMBALANCE = 5
    DRAIN = 6
    QUEUE_FULL = 7
    PE_WAIT = 8
    COUNT = 9


class F(IntEnum):
    """State of the feeder, in `feeder`."""

    PUSH = 0  # cycle of the last push
    SLOT = 1  # in the ring of releases, of the next slice
    FULL = 2  # cycles lost to full queues
    BEHIND = 3  # windows examined after the one of the last push
    WINDOWS = 4  # windows examined
    COUNT = 5
