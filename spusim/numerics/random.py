"""Random bits of stochastic rounding: a counter-based generator, so that no order matters.

Threefry-4x32 with 20 rounds: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel Random
Numbers: As Easy as 1, 2, 3", SC 2011. It adds, rotates and XORs 32-bit words, and multiplies none.
"""

from dataclasses import dataclass

import numpy as np

ROTATIONS = ((10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20))
PARITY = 0x1BD11BDA
ROUNDS = 20
_WORD = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class Draw:
    """An instruction instance, to which bits belong: docs/numbers_arithmetic.md, A2.

    stream and first: as `rset` set them; activation: executions of the thread in this file before
    this one; ordinal: vector instructions of the thread since that `rset`.
    """

    seed: int
    stream: int = 0
    activation: int = 0
    ordinal: int = 0
    first: int = 0

    def bits(self, count: int) -> np.ndarray:
        """Return 64 random bits for each of `count` outputs: (count,) uint64."""
        index = (np.arange(count, dtype=np.uint64) + np.uint64(self.first)).astype(np.uint32)
        counter = (index, self.ordinal, self.activation, self.stream)
        low, high, _, _ = threefry(counter, (self.seed, 0, 0, 0))
        return np.asarray(high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64))


Words = tuple[int | np.ndarray, int | np.ndarray, int | np.ndarray, int | np.ndarray]


def threefry(counter: Words, key: tuple[int, int, int, int]) -> tuple[np.ndarray, ...]:
    """Return Threefry-4x32-20 of four counter words and four key words: four uint32 arrays."""
    x = [np.asarray(word).astype(np.uint64).astype(np.uint32) for word in counter]
    x = [word.copy() for word in np.broadcast_arrays(*x)]
    keys = [np.uint32(word & 0xFFFFFFFF) for word in key]
    keys.append(np.bitwise_xor.reduce([*keys, np.uint32(PARITY)]))
    with np.errstate(over="ignore"):
        _inject(x, keys, 0)
        for number in range(ROUNDS):
            _mix(x, *((0, 1, 2, 3) if number % 2 == 0 else (0, 3, 2, 1)), ROTATIONS[number % 8])
            if number % 4 == 3:
                _inject(x, keys, number // 4 + 1)
    return tuple(x)


def _inject(x: list[np.ndarray], keys: list[np.uint32], number: int) -> None:
    for k in range(4):
        x[k] = x[k] + keys[(number + k) % 5]
    x[3] = x[3] + np.uint32(number)


def _mix(x: list[np.ndarray], a: int, b: int, c: int, d: int, rotations: tuple[int, int]) -> None:
    for left, right, by in ((a, b, rotations[0]), (c, d, rotations[1])):
        x[left] = x[left] + x[right]
        turned = x[right] << np.uint32(by) | x[right] >> np.uint32(32 - by)
        x[right] = turned ^ x[left]
