"""What the scanner pushes for a convolution's positions in dataflow `row`: T41."""

from typing import NamedTuple

import numpy as np

from spusim.kernels.conv_layout import F, G
from spusim.kernels.declare import Deferred, kernel
from spusim.kernels.scratch import fresh, release

trailing_zeros = Deferred("numba.cpython.unsafe.numbers", "trailing_zeros")
_CHANNELS, _HEIGHT, _WIDTH = int(G.CHANNELS), int(G.HEIGHT), int(G.WIDTH)
_KERNEL_H, _KERNEL_W = int(G.KERNEL_HEIGHT), int(G.KERNEL_WIDTH)
_STRIDE_Y, _STRIDE_X, _TOP, _LEFT = int(G.STRIDE_Y), int(G.STRIDE_X), int(G.TOP), int(G.LEFT)
_DILATION_Y, _DILATION_X, _OUT_W = int(G.DILATION_Y), int(G.DILATION_X), int(G.OUT_WIDTH)
_BEHIND, _WINDOWS = int(F.BEHIND), int(F.WINDOWS)
RUN = 16  # positions whose visits stay in the nearest cache
_STRIP = 512  # pixels whose flags stay in the nearest cache while channel after channel joins
FLAGS = 64  # channels whose flags are one word


class Pushed(NamedTuple):
    """What the scanner finds in each pixel, whatever position's window it lies in.

    Pixel p's pushed channels (T9), ascending, are channels[starts[p] : starts[p + 1]], uint16;
    steps (uint16) are the windows from the one of the push before, at least 1, or from before the
    pixel's first. Of each pixel: spans, the sum of its steps, and tails, the windows behind
    its last push, all of them where there is none. Behind the last pixel is one more, from which
    the empty entry is pushed: channel 0, one step.
    """

    starts: np.ndarray
    channels: np.ndarray
    steps: np.ndarray
    spans: np.ndarray
    tails: np.ndarray


@kernel
def flag_active(x, flags):
    """Write a bit for each nonzero activation.

    x (channels, pixels) of integers; flags (ceil(channels / 64), pixels) uint64, channel 0 lowest.
    """
    channels, pixels = x.shape
    for k in range(flags.shape[0]):
        for strip in range(0, pixels, _STRIP):
            part = flags[k, strip : min(strip + _STRIP, pixels)]
            part[:] = 0
            for c in range(FLAGS * k, min(FLAGS * (k + 1), channels)):
                row = x[c, strip : strip + part.shape[0]]
                bit = np.uint64(1) << np.uint64(c - FLAGS * k)
                for p in range(part.shape[0]):
                    part[p] |= bit if row[p] != 0 else np.uint64(0)


@kernel
def list_pushed(flags, window_of, pushed):
    """Fill in `Pushed` from flags, as `flag_active` writes them.

    window_of (channels,) uint16: the window that a channel lies in.
    """
    starts, channels, steps, spans, tails = pushed
    windows = np.int64(window_of[window_of.shape[0] - 1]) + 1
    n = 0
    for pixel in range(flags.shape[1]):
        starts[pixel] = n
        last, span = -1, 0
        for k in range(flags.shape[0]):
            left = flags[k, pixel]
            while left:
                c = FLAGS * k + np.int64(trailing_zeros(left))
                left &= left - np.uint64(1)
                window = np.int64(window_of[c])
                step = max(window - last, 1)
                last = window
                channels[n], steps[n] = c, step
                span += step
                n += 1
        spans[pixel], tails[pixel] = span, windows - 1 - last
    empty = flags.shape[1]
    starts[empty], starts[empty + 1] = n, n + 1
    channels[n], steps[n] = 0, 1
    spans[empty], tails[empty] = 1, 0


@kernel
def visit(first, last, sizes, pushed, windows, feeder, ends, visits):
    """Find the pixels from which the windows of positions first to last - 1 push anything.

    pushed: `Pushed`; windows: of a pixel. visits (n, 3) int64, n more than places of all: of each
    such pixel the pixel, the column of its channel 0, and the windows that pass before its own;
    those of the k-th position end before ends[k]. A position that pushes nothing visits the empty
    entry, numbered after all columns. feeder: `F`, of which BEHIND and WINDOWS go on.
    """
    starts, _, _, _, tails = pushed
    channels, height, width = sizes[_CHANNELS], sizes[_HEIGHT], sizes[_WIDTH]
    dy, dx, places_across = sizes[_DILATION_Y], sizes[_DILATION_X], sizes[_KERNEL_W]
    columns = channels * sizes[_KERNEL_H] * places_across
    behind, n = feeder[_BEHIND], np.int64(0)
    for position in range(first, last):
        top = (position // sizes[_OUT_W]) * sizes[_STRIDE_Y] - sizes[_TOP]
        left = (position % sizes[_OUT_W]) * sizes[_STRIDE_X] - sizes[_LEFT]
        begin, inside = n, np.int64(0)
        for ky in range(sizes[_KERNEL_H]):
            y = top + ky * dy
            if y < 0 or y >= height:
                continue
            for kx in range(max(0, -(left // dx)), min(places_across, -((left - width) // dx))):
                pixel = y * width + left + kx * dx
                visits[n, 0] = pixel
                visits[n, 1] = (ky * places_across + kx) * channels
                visits[n, 2] = behind
                some = np.int64(starts[pixel] < starts[pixel + 1])
                behind = tails[pixel] + (1 - some) * behind
                n += some
                inside += 1
        if inside == 0:
            behind += 1  # all places are outside, which takes a cycle to see
        if n == begin:  # its step, of one window, is among those behind
            visits[n, 0], visits[n, 1], visits[n, 2] = tails.shape[0] - 1, columns, behind - 1
            behind = np.int64(0)
            n += 1
        feeder[_WINDOWS] += inside * windows
        ends[position - first] = n
    feeder[_BEHIND] = behind


@kernel
def scan_position(position, sizes, pushed, windows, feeder, visits, columns, scans):
    """Write a position's pushed columns and their `scan` to columns and scans; return how many.

    columns and scans (places * channels + 1,) int32. Other arguments as in `visit`.
    """
    starts, channels, steps, _, _ = pushed
    ends = fresh(1, np.int64)
    visit(position, position + 1, sizes, pushed, windows, feeder, ends, visits)
    n = 0
    for v in range(ends[0]):
        before = visits[v, 2]
        for q in range(starts[visits[v, 0]], starts[visits[v, 0] + 1]):
            columns[n] = visits[v, 1] + np.int64(channels[q])
            scans[n] = np.int64(steps[q]) + before
            before = 0
            n += 1
    release(ends)
    return n
