"""Random bits of stochastic rounding; `spusim.numerics.random` is what they must equal."""

import numpy as np

from spusim.kernels.declare import inlined, kernel

_WORD = np.uint64(0xFFFFFFFF)
_PARITY = np.uint64(0x1BD11BDA)
_LEFT = np.array((10, 11, 13, 23, 6, 17, 25, 18), np.uint64)
_RIGHT = np.array((26, 21, 27, 5, 20, 11, 10, 20), np.uint64)
_WIDTH = np.uint64(32)


@inlined
def _turned(x, by):
    return ((x << by) | (x >> (_WIDTH - by))) & _WORD


@kernel
def random_bits(draw, index):
    """Return the upper 63 of an output's 64 random bits (Threefry-4x32-20) as an int64.

    draw (5,) int64: seed, stream, activation, ordinal, first; index: of the output, from 0.
    """
    k0 = np.uint64(draw[0]) & _WORD
    k4 = k0 ^ _PARITY
    x0 = (np.uint64(draw[4] + index) + k0) & _WORD
    x1, x2 = np.uint64(draw[3]) & _WORD, np.uint64(draw[2]) & _WORD
    x3 = np.uint64(draw[1]) & _WORD
    for number in range(20):
        left, right = _LEFT[number & 7], _RIGHT[number & 7]
        if number & 1:
            x0 = (x0 + x3) & _WORD
            x3 = _turned(x3, left) ^ x0
            x2 = (x2 + x1) & _WORD
            x1 = _turned(x1, right) ^ x2
        else:
            x0 = (x0 + x1) & _WORD
            x1 = _turned(x1, left) ^ x0
            x2 = (x2 + x3) & _WORD
            x3 = _turned(x3, right) ^ x2
        if number & 3 == 3:
            # Words 1 to 3 of the key are zero; k0 and k4 come round to x0, x3, x2, x1.
            turn = number // 4 + 1
            x0 += k0 if turn == 5 else (k4 if turn == 4 else np.uint64(0))
            x1 += k0 if turn == 4 else (k4 if turn == 3 else np.uint64(0))
            x2 += k0 if turn == 3 else (k4 if turn == 2 else np.uint64(0))
            x3 += (k0 if turn == 2 else (k4 if turn == 1 else np.uint64(0))) + np.uint64(turn)
            x0, x1, x2, x3 = x0 & _WORD, x1 & _WORD, x2 & _WORD, x3 & _WORD
    return np.int64(((x1 << _WIDTH) | x0) >> np.uint64(1))


@inlined
def dither(draw, index, shift):
    """Return the random integer below 2**shift that stochastic rounding adds; shift 1 to 62."""
    return random_bits(draw, index) >> (63 - shift)
