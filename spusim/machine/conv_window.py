"""Where a window's tensors lie in data memory, and how often what is read (T41, T45, T49)."""

from dataclasses import dataclass

import numpy as np

from spusim.kernels.conv_places import count_met
from spusim.kernels.vector import read_elements, write_elements
from spusim.machine.conv_values import sizes_of
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import Convolution
from spusim.program import Window

SCALE_BITS = 64


NO_DRAW = np.zeros(5, np.int64)  # where rounding is not stochastic


@dataclass(frozen=True)
class Tensor:
    """A tensor of `channels` x `pixels` elements from word `address` on."""

    address: int
    channels: int
    pixels: int
    bits: int
    planar: bool
    word_bits: int

    @property
    def plane_words(self) -> int:
        """Words of a plane; of all that is there where it is interleaved."""
        elements = self.pixels if self.planar else self.pixels * self.channels
        return -(-elements * self.bits // self.word_bits)

    @property
    def words(self) -> int:
        """Words of the whole."""
        return self.plane_words * (self.channels if self.planar else 1)

    def check(self, memory: np.ndarray, what: str) -> None:
        """Raise MachineError where it lies beyond the memory (bytes,)."""
        there = memory.size * 8 // self.word_bits
        if self.address + self.words > there:
            raise MachineError(
                f"its {what} of {self.words} words from {self.address} on lie beyond the "
                f"{there} words of data memory; enlarge core.data_memory, or compute fewer rows "
                "of output at a time: nothing streams from outside"
            )

    def read(self, memory: np.ndarray) -> np.ndarray:
        """Return its elements, (channels, pixels) int64."""
        flat = np.empty(self.channels * self.pixels, np.int64)
        byte = self.address * self.word_bits // 8
        if not self.planar:
            read_elements(memory, byte, self.bits, flat.size, flat)
            return flat.reshape(self.pixels, self.channels).T
        for plane in flat.reshape(self.channels, self.pixels):
            read_elements(memory, byte, self.bits, self.pixels, plane)
            byte += self.plane_words * self.word_bits // 8
        return flat.reshape(self.channels, self.pixels)

    def write(self, memory: np.ndarray, values: np.ndarray, overflow: int) -> None:
        """Store (channels, pixels) int64, folded to its bits."""
        byte = self.address * self.word_bits // 8
        planes = values if self.planar else values.T.reshape(1, -1)
        for plane in np.ascontiguousarray(planes):
            write_elements(memory, byte, self.bits, plane.size, plane, overflow)
            byte += self.plane_words * self.word_bits // 8

    def accesses(self, times: np.ndarray, banks: int) -> np.ndarray:
        """Return accesses by bank, (banks,), of `times` accesses of each word in order."""
        words = self.address + np.arange(times.size)
        return np.bincount(words % banks, times.ravel(), banks).astype(np.int64)


def operand(window: Window, address: int, word_bits: int) -> Tensor:
    """Return what a window reads."""
    pixels = window.height * window.width
    return Tensor(
        address, window.channels, pixels, window.activation_bits, window.planar, word_bits
    )


def result(window: Window, channels: int, address: int, word_bits: int) -> Tensor:
    """Return what a window writes."""
    pixels = window.rows * window.shape(window.groups).out_width
    return Tensor(address, channels, pixels, window.output_bits, window.planar, word_bits)


def check_apart(source: Tensor, target: Tensor) -> None:
    """Raise MachineError where a window's result lies on its operand (T49)."""
    a, d = source.address, target.address
    if a < d + target.words and d < a + source.words:
        raise MachineError(
            f"it writes words {d} to {d + target.words - 1}, and reads {a} to "
            f"{a + source.words - 1}; a window's result must lie elsewhere than its operand"
        )


def scale_accesses(window: Window, filters: int, word_bits: int, banks: int) -> np.ndarray:
    """Return accesses by bank of a convolution's scale entries, each word once (T49)."""
    entries = (0, 1, filters)[window.scaling]
    words = -(-entries * SCALE_BITS // word_bits)
    return np.bincount((4 * window.scale + np.arange(words)) % banks, minlength=banks)


def laid_out(window: Window, x: np.ndarray, word_bits: int) -> np.ndarray:
    """Return activations (frames, channels, height, width) as data memory has them (T49).

    (frames, elements), with zeros where planes do not fill their last word.
    """
    flat = x.reshape(*x.shape[:2], -1)
    if not window.planar:
        return flat.swapaxes(1, 2).reshape(len(x), -1)
    missing = -flat.shape[2] % (word_bits // window.activation_bits)
    return np.pad(flat, ((0, 0), (0, 0), (0, missing))).reshape(len(x), -1)


def tile_of(window: Window, shape: Convolution) -> tuple[int, int]:
    """Return the first output position and how many there are (T34)."""
    return window.first_row * shape.out_width, window.rows * shape.out_width


def places_inside(window: Window, shape: Convolution) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the input rows and columns that each place of the kernel meets inside the image."""
    y = (np.arange(window.rows) + window.first_row) * window.stride_y - window.top
    x = np.arange(shape.out_width) * window.stride_x - window.left
    found = []
    for ky, kx in shape.offsets():
        rows, columns = y + ky, x + kx
        found.append(
            (
                rows[(rows >= 0) & (rows < window.height)],
                columns[(columns >= 0) & (columns < window.width)],
            )
        )
    return found


def activations_met(
    window: Window, shape: Convolution, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many nonzero activations, and how many at all, each column of T36 meets.

    x (channels, height, width); both (columns,) int64. What is outside counts for neither.
    """
    active = np.zeros((shape.places, window.channels), np.int64)
    first, count = tile_of(window, shape)
    count_met(np.ascontiguousarray(x), sizes_of(shape), first, first + count, active)
    inside = np.zeros_like(active)
    for place, (rows, columns) in enumerate(places_inside(window, shape)):
        inside[place] = rows.size * columns.size
    if window.planar:
        return active.T.ravel(), inside.T.ravel()
    return active.ravel(), inside.ravel()


def met_pixels(window: Window, shape: Convolution) -> np.ndarray:
    """Return which pixels of the input some place of the kernel meets, (height, width) bool."""
    met = np.zeros((window.height, window.width), bool)
    for rows, columns in places_inside(window, shape):
        met[np.ix_(rows, columns)] = True
    return met


def window_reads(window: Window, shape: Convolution, tensor: Tensor, width: int) -> np.ndarray:
    """Return how often the scanner reads each word of an interleaved tensor (T41), (words,)."""
    visits = np.zeros((window.height, window.width), np.int64)
    for rows, columns in places_inside(window, shape):
        visits[np.ix_(rows, columns)] += 1
    first = np.arange(0, window.channels, width)
    last = np.minimum(first + width, window.channels) - 1
    at = np.arange(tensor.pixels)[:, None] * window.channels
    begins = (at + first) * tensor.bits // tensor.word_bits
    ends = (at + last) * tensor.bits // tensor.word_bits + 1
    steps = np.zeros(tensor.words + 1, np.int64)
    times = np.broadcast_to(visits.reshape(-1, 1), begins.shape)
    np.add.at(steps, begins, times)
    np.subtract.at(steps, ends, times)
    return np.cumsum(steps[:-1])


def widest_window(window: Window, tensor: Tensor, width: int) -> int:
    """Return the most words that a window of the scanner lies in (T8)."""
    first = np.arange(0, window.channels, width)
    last = np.minimum(first + width, window.channels) - 1
    at = np.arange(tensor.pixels)[:, None] * window.channels
    begins = (at + first) * tensor.bits // tensor.word_bits
    ends = (at + last) * tensor.bits // tensor.word_bits
    return int((ends - begins).max()) + 1
