"""Where a window's tensors lie in data memory, and how often what is read (T41, T45, T49)."""

from dataclasses import dataclass
from itertools import product

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
        return _by_bank(self.address, times, banks)

    def plane_accesses(self, planes: np.ndarray, times: np.ndarray, banks: int) -> np.ndarray:
        """Return them, (banks,), of `times` (plane words,) accesses of words of each of planes."""
        of_plane = _by_bank(0, times, banks)
        firsts = (self.address + planes * self.plane_words) % banks
        # a plane's accesses are turned by its first word's bank
        whole = np.convolve(of_plane, np.bincount(firsts, minlength=banks))
        whole[: banks - 1] += whole[banks:]
        return whole[:banks]


def _by_bank(first: int, times: np.ndarray, banks: int) -> np.ndarray:
    words = first + np.arange(times.size)
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


def places_inside(window: Window, shape: Convolution) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the input rows that each ky meets inside the image, and the columns that each kx."""
    y = (np.arange(window.rows) + window.first_row) * window.stride_y - window.top
    x = np.arange(shape.out_width) * window.stride_x - window.left
    return (
        [_inside(y + ky * window.dilation_y, window.height) for ky in range(window.kernel_height)],
        [_inside(x + kx * window.dilation_x, window.width) for kx in range(window.kernel_width)],
    )


def _inside(places: np.ndarray, size: int) -> np.ndarray:
    return places[(places >= 0) & (places < size)]


def activations_met(window: Window, shape: Convolution, x: np.ndarray) -> np.ndarray:
    """Return how many nonzero activations each column of T36 meets, (columns,) int64.

    x (channels, height, width).
    """
    active = np.zeros((shape.places, window.channels), np.int64)
    first, count = tile_of(window, shape)
    count_met(np.ascontiguousarray(x), sizes_of(shape), first, first + count, active)
    return active.T.ravel() if window.planar else active.ravel()


def activations_inside(window: Window, shape: Convolution) -> np.ndarray:
    """Return how many activations each column meets, (columns,) int64: nothing that is outside."""
    rows, columns = places_inside(window, shape)
    inside = np.outer([part.size for part in rows], [part.size for part in columns]).ravel()
    spread = np.tile if window.planar else np.repeat
    return spread(inside, window.channels)


def met_pixels(window: Window, shape: Convolution) -> np.ndarray:
    """Return which pixels of the input some place of the kernel meets, (height, width) bool."""
    met = np.zeros((window.height, window.width), bool)
    rows, columns = (np.concatenate(parts) for parts in places_inside(window, shape))
    met[np.ix_(rows, columns)] = True
    return met


def window_reads(window: Window, shape: Convolution, tensor: Tensor, width: int) -> np.ndarray:
    """Return how often the scanner reads each word of an interleaved tensor (T41), (words,)."""
    visits = np.zeros((window.height, window.width), np.int64)
    for rows, columns in product(*places_inside(window, shape)):
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
