"""Which activations the positions of a tile meet (T33), and in which words these lie (T45)."""

import numpy as np

from spusim.kernels.conv_layout import G
from spusim.kernels.declare import kernel
from spusim.kernels.scratch import fresh, release, zeros

_CHANNELS, _HEIGHT, _WIDTH = int(G.CHANNELS), int(G.HEIGHT), int(G.WIDTH)
_KERNEL_H, _KERNEL_W = int(G.KERNEL_HEIGHT), int(G.KERNEL_WIDTH)
_STRIDE_Y, _STRIDE_X, _TOP, _LEFT = int(G.STRIDE_Y), int(G.STRIDE_X), int(G.TOP), int(G.LEFT)
_DILATION_Y, _DILATION_X, _OUT_W = int(G.DILATION_Y), int(G.DILATION_X), int(G.OUT_WIDTH)


@kernel
def count_met(x, sizes, first, last, met):
    """Add to met (places, channels) int64 the nonzero activations that positions meet there.

    x (channels, height, width) of integers; positions first to last - 1 in raster order.
    """
    width, y, column = sizes[_OUT_W], first // sizes[_OUT_W], first % sizes[_OUT_W]
    while first < last:
        # a rectangle: what is left of a row, or all whole rows
        rows = 1 if column or last - first < width else (last - first) // width
        end = width if rows > 1 else min(width, column + last - first)
        _count_rectangle(x, sizes, y, y + rows, column, end, met)
        first += rows * (end - column)
        y, column = y + rows, 0


@kernel
def _count_rectangle(x, sizes, top, bottom, left, right, met):
    """Add for output rows top to bottom - 1, columns left to right - 1."""
    sy, sx, width = sizes[_STRIDE_Y], sizes[_STRIDE_X], sizes[_WIDTH]
    # of a channel: each column's nonzeros in rows sy apart, from the top down to row i - sy
    above = zeros((sizes[_HEIGHT] + sy, width), np.int32)
    for c in range(sizes[_CHANNELS]):
        for y in range(sizes[_HEIGHT]):
            for i in range(width):
                above[y + sy, i] = above[y, i] + np.int32(x[c, y, i] != 0)
        for ky in range(sizes[_KERNEL_H]):
            offset = ky * sizes[_DILATION_Y] - sizes[_TOP]
            begin, end = _inside(top, bottom, sy, offset, sizes[_HEIGHT])
            for kx in range(sizes[_KERNEL_W]):
                offset = kx * sizes[_DILATION_X] - sizes[_LEFT]
                total = np.int64(0)
                for i in range(*_inside(left, right, sx, offset, width), sx):
                    total += above[end, i] - above[begin, i]
                met[ky * sizes[_KERNEL_W] + kx, c] += total
    release(above)


@kernel
def _inside(first, last, stride, offset, size):
    """Return where first * stride + offset and so on up to last's begin and end within the image.

    The end is a stride behind the last one; 0 and 0 where there is none.
    """
    begin, end = first * stride + offset, last * stride + offset
    if begin < 0:
        begin += -(begin // stride) * stride
    if end - stride >= size:
        end -= -(-(end - stride - size + 1) // stride) * stride
    return (begin, end) if begin < end else (np.int64(0), np.int64(0))


@kernel
def sum_windows(values, sizes, y, sums):
    """Write to sums (columns of output,) int64 what the windows of output row y hold in all.

    values (pixels,) int32.
    """
    width, columns = sizes[_WIDTH], zeros(sizes[_WIDTH], np.int64)
    for ky in range(sizes[_KERNEL_H]):
        row = y * sizes[_STRIDE_Y] + ky * sizes[_DILATION_Y] - sizes[_TOP]
        if 0 <= row < sizes[_HEIGHT]:
            for i in range(width):
                columns[i] += values[row * width + i]
    sums[:] = 0
    for kx in range(sizes[_KERNEL_W]):
        offset = kx * sizes[_DILATION_X] - sizes[_LEFT]
        first = max(0, -(offset // sizes[_STRIDE_X]))
        last = min(sums.shape[0], -((offset - width) // sizes[_STRIDE_X]))
        for i in range(first, last):
            sums[i] += columns[i * sizes[_STRIDE_X] + offset]
    release(columns)


@kernel
def fetch_blocks(bounds, sizes, per_word, words, times):
    """Find the words of a channel's plane that blocks of positions need (T45).

    bounds (blocks + 1,) int64: output positions at which blocks begin, and the last one's end;
    per_word: activations of a word. words (blocks,) int64: how many each needs; times (words of a
    plane,) int64: to each word is added how many blocks need it.
    """
    height, width = sizes[_HEIGHT], sizes[_WIDTH]
    needed = zeros((height, width), np.uint8)
    flat = needed.reshape(needed.size)
    for block in range(words.shape[0]):
        top, bottom = _need(bounds[block], bounds[block + 1], sizes, needed)
        words[block] = 0
        for word in range(top * width // per_word, -(-bottom * width // per_word)):
            found = False
            for pixel in range(word * per_word, min((word + 1) * per_word, flat.shape[0])):
                found |= flat[pixel] != 0
            words[block] += found
            times[word] += found
        needed[top:bottom] = 0


@kernel
def _need(first, last, sizes, needed):
    """Mark the pixels that positions first to last - 1 need; return the rows they lie within."""
    width = sizes[_OUT_W]
    columns = fresh(sizes[_WIDTH], np.uint8)
    top, bottom = sizes[_HEIGHT], np.int64(0)
    for y in range(first // width, (last - 1) // width + 1):
        _need_columns(max(first - y * width, 0), min(last - y * width, width), sizes, columns)
        for ky in range(sizes[_KERNEL_H]):
            iy = y * sizes[_STRIDE_Y] + ky * sizes[_DILATION_Y] - sizes[_TOP]
            if 0 <= iy < sizes[_HEIGHT]:
                for ix in range(columns.shape[0]):
                    needed[iy, ix] |= columns[ix]
                top, bottom = min(top, iy), max(bottom, iy + 1)
    release(columns)
    return min(top, bottom), bottom


@kernel
def _need_columns(first, last, sizes, columns):
    columns[:] = 0
    for kx in range(sizes[_KERNEL_W]):
        ix = first * sizes[_STRIDE_X] + kx * sizes[_DILATION_X] - sizes[_LEFT]
        for _ in range(first, last):
            if 0 <= ix < columns.shape[0]:
                columns[ix] = 1
            ix += sizes[_STRIDE_X]
