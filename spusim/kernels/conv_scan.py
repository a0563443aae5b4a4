"""What the scanner pushes for a convolution's positions in dataflow `row`: T41."""

import numpy as np

from spusim.kernels.compiling import inlined, kernel
from spusim.kernels.conv_layout import F, G

_CHANNELS, _HEIGHT, _WIDTH = int(G.CHANNELS), int(G.HEIGHT), int(G.WIDTH)
_KERNEL_H, _KERNEL_W = int(G.KERNEL_HEIGHT), int(G.KERNEL_WIDTH)
_STRIDE_Y, _STRIDE_X, _TOP, _LEFT = int(G.STRIDE_Y), int(G.STRIDE_X), int(G.TOP), int(G.LEFT)
_DILATION_Y, _DILATION_X, _OUT_W = int(G.DILATION_Y), int(G.DILATION_X), int(G.OUT_WIDTH)
_BEHIND, _WINDOWS = int(F.BEHIND), int(F.WINDOWS)
_STRIP = 64  # pixels whose lists grow together and stay in the nearest cache
_APART = 32  # places between two pixels' lists, lest they all want the same lines of that cache


@inlined
def list_stride(channels):
    """Return how far apart the lists of two pixels begin."""
    return channels + _APART


@kernel
def list_pushed(x, push_all, counts, pushed):
    """List each pixel's channels that are pushed, ascending (T9).

    x (channels, pixels) of integers; counts (pixels,) int64; pushed (pixels *
    stride,) uint16: a pixel's list starts at pixel * stride, the stride `list_stride`.
    """
    channels, pixels = x.shape
    stride = list_stride(channels)
    for strip in range(0, pixels, _STRIP):
        last = min(strip + _STRIP, pixels)
        counts[strip:last] = 0
        for c in range(channels):
            row = x[c]
            for pixel in range(strip, last):
                count = counts[pixel]
                pushed[pixel * stride + count] = c
                counts[pixel] = count + np.int64(push_all or row[pixel] != 0)


@kernel
def scan_position(position, sizes, counts, pushed, window_of, feeder, columns, scans):
    """Write a position's pushed columns and their `scan` to columns and scans; return how many.

    window_of (channels,) int64: the window that a channel lies in; columns and scans (places *
    channels + 1,) int32. A position without any gets the empty entry, numbered after all columns.
    feeder: `F`, of which BEHIND and WINDOWS go on.
    """
    channels = sizes[_CHANNELS]
    stride = list_stride(channels)
    y = (position // sizes[_OUT_W]) * sizes[_STRIDE_Y] - sizes[_TOP]
    x = (position % sizes[_OUT_W]) * sizes[_STRIDE_X] - sizes[_LEFT]
    windows = window_of[channels - 1] + 1
    behind, examined = feeder[_BEHIND], feeder[_WINDOWS]
    n = 0
    column = np.int64(0)
    for ky in range(sizes[_KERNEL_H]):
        iy = y + ky * sizes[_DILATION_Y]
        for kx in range(sizes[_KERNEL_W]):
            ix = x + kx * sizes[_DILATION_X]
            if 0 <= iy < sizes[_HEIGHT] and 0 <= ix < sizes[_WIDTH]:
                pixel = iy * sizes[_WIDTH] + ix
                start = pixel * stride
                last = -behind - 1
                for q in range(start, start + counts[pixel]):
                    c = np.int64(pushed[q])
                    window = window_of[c]
                    columns[n] = column + c
                    scans[n] = max(window - last, 1)
                    last = window
                    n += 1
                behind = windows - 1 - last
                examined += windows
            column += channels
    if examined == feeder[_WINDOWS]:
        behind += 1  # all places are outside, which takes a cycle to see
    if n == 0:
        columns[0] = column
        scans[0] = behind
        behind = 0
        n = 1
    feeder[_BEHIND], feeder[_WINDOWS] = behind, examined
    return n


@kernel
def count_words(first, last, sizes, per_word, needed):
    """Count the words of a channel's plane that positions first to last - 1 need (T45).

    needed (height * width,) uint8 is scratch; per_word: activations of a word.
    """
    needed[:] = 0
    width = sizes[_WIDTH]
    for position in range(first, last):
        y = (position // sizes[_OUT_W]) * sizes[_STRIDE_Y] - sizes[_TOP]
        x = (position % sizes[_OUT_W]) * sizes[_STRIDE_X] - sizes[_LEFT]
        for ky in range(sizes[_KERNEL_H]):
            iy = y + ky * sizes[_DILATION_Y]
            if 0 <= iy < sizes[_HEIGHT]:
                for kx in range(sizes[_KERNEL_W]):
                    ix = x + kx * sizes[_DILATION_X]
                    if 0 <= ix < width:
                        needed[iy * width + ix] = 1
    words = 0
    for start in range(0, needed.shape[0], per_word):
        words += np.int64(needed[start : start + per_word].max())
    return words
