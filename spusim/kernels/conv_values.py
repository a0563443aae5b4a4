"""Value plane of a convolution: accumulators, bit for bit, without time.

One kernel for all shapes and without a matrix of gathered windows: the input lies in a padded
buffer, one plane for each channel and phase of the stride, so that each nonzero weight is an
offset, and the positions of a row of output are a run behind it. Rows of output have the buffer's
pitch; what is computed between them is never looked at.
"""

import numpy as np

from spusim.kernels.arithmetic import fold
from spusim.kernels.conv_layout import G
from spusim.kernels.declare import kernel
from spusim.kernels.lanes import NARROW, WIDE, add_narrow, add_wide
from spusim.kernels.views import overwrite

_CHANNELS, _HEIGHT, _WIDTH = int(G.CHANNELS), int(G.HEIGHT), int(G.WIDTH)
_STRIDE_Y, _STRIDE_X, _TOP, _LEFT = int(G.STRIDE_Y), int(G.STRIDE_X), int(G.TOP), int(G.LEFT)
SLACK = 2 * WIDE  # places behind the last plane, which the last tile may read


@kernel
def list_weights(weights, spatial, filters, plane, by_place, pointers, offsets, values, sums):
    """Write each filter's nonzero weights, and where they lie in the planes, from its pointer on.

    weights (filters, channels of a group, R, S) int16, ordered by place, channel if `spatial`, else
    by channel, place; filters: of a group; plane: places of all planes of a channel; by_place
    (R * S,) int64: a place of the kernel in them. pointers (filters + 1,) int64; offsets int32,
    values int16; sums (filters,) int64 of |w|.
    """
    inputs, width = weights.shape[1], weights.shape[3]
    places = weights.shape[2] * width
    for k in range(weights.shape[0]):
        at, total, first = np.uint64(pointers[k]), np.int64(0), k // filters * inputs
        for outer in range(places if spatial else inputs):
            for inner in range(inputs if spatial else places):
                c, place = (inner, outer) if spatial else (outer, inner)
                weight = weights[k, c, place // width, place % width]
                if weight != 0:
                    offsets[at] = (first + c) * plane + by_place[place]
                    values[at] = weight
                    total += abs(np.int64(weight))
                    at += np.uint64(1)
        sums[k] = total


@kernel
def fill_planes(x, sizes, phases, rows, pitch, buffer):
    """Write activations x (channels, height, width) to the planes of `buffer`, zeros elsewhere.

    sizes: `G`; phases (n, 2): row and column phases of the stride that some place of the kernel
    needs. A channel's n planes of `rows` x `pitch` follow each other, then the next channel's.
    """
    at = 0
    sy, sx = sizes[_STRIDE_Y], sizes[_STRIDE_X]
    pads = sizes[_TOP] + sizes[_LEFT]
    if sy * sx == 1 and pads == 0 and rows == sizes[_HEIGHT] and pitch == sizes[_WIDTH]:
        overwrite(buffer, x.reshape(x.size))
        buffer[x.size :] = 0
        return
    for c in range(sizes[_CHANNELS]):
        for phase in range(phases.shape[0]):
            # columns of the plane that lie in the image
            shift = phases[phase, 1] - sizes[_LEFT]
            left = min(pitch, max(0, -(shift // sx)))
            right = min(pitch, max(left, -((shift - sizes[_WIDTH]) // sx)))
            for i in range(rows):
                plane = buffer[at : at + pitch]
                at += pitch
                y = i * sy + phases[phase, 0] - sizes[_TOP]
                if y < 0 or y >= sizes[_HEIGHT]:
                    plane[:] = 0
                    continue
                plane[:left] = 0
                plane[right:] = 0
                if sx == 1:
                    overwrite(plane[left:], x[c, y, left + shift : right + shift])
                else:
                    for j in range(left, right):
                        plane[j] = x[c, y, j * sx + shift]
    buffer[at:] = 0


@kernel
def convolve(buffer, pointers, offsets, weights, bias, first, last, sums):
    """Write bias + weights * activations modulo 2**32 for runs of positions.

    buffer int16 as `fill_planes` leaves it; pointers (filters + 1,) int64, all even; offsets int32
    and weights int16 of the nonzeros, one behind the other; bias (filters,) int32; first and last:
    the run, as places at the buffer's pitch. sums (filters, last - first + WIDE or more) int32:
    whole tiles are written. The caller has proved that no partial sum overflows, or wants
    wrap-around.
    """
    room = sums.shape[1]
    flat = sums.reshape(sums.size)
    at = first
    while at < last:
        wide = last - at > NARROW
        for k in range(pointers.shape[0] - 1):
            to = k * room + at - first
            begin, end = pointers[k], pointers[k + 1]
            if wide:
                flat[to : to + WIDE] = bias[k]
                add_wide(buffer, at, offsets, weights, begin, end, flat, to)
            else:
                flat[to : to + NARROW] = bias[k]
                add_narrow(buffer, at, offsets, weights, begin, end, flat, to)
        at += WIDE if wide else NARROW


@kernel
def convolve_stepwise(buffer, pointers, offsets, weights, bias, first, last, sums, bits, wrap):
    """Do the same, folded to `bits` after every accumulation, in the order of the weights.

    buffer of any integers; bias and sums (filters, last - first or more) int64. The definition that
    `convolve` equals where it may be used.
    """
    for k in range(pointers.shape[0] - 1):
        total = sums[k, : last - first]
        total[:] = fold(bias[k], bits, wrap)
        for i in range(pointers[k], pointers[k + 1]):
            w = np.int64(weights[i])
            run = buffer[first + offsets[i] : last + offsets[i]]
            for t in range(last - first):
                total[t] = fold(total[t] + w * np.int64(run[t]), bits, wrap)
