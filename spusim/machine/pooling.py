"""The instruction `pool` on the machine: values, beats and events (T50)."""

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.layout import C, Op, P
from spusim.kernels.vector import requantise
from spusim.machine.conv_window import NO_DRAW, Tensor, check_apart, operand, result
from spusim.machine.errors import MachineError
from spusim.machine.load import LoadedCore
from spusim.numerics.convolution import Convolution
from spusim.program import Window

MAXIMUM = 0  # of `Window.pooling`
NOTHING = -1  # in the place of a word


class PoolUnit:
    """Poolings on one core's vector unit."""

    def __init__(self, core: LoadedCore, arch: Arch):
        self.core, self.arch = core, arch
        self._timed: dict[tuple[Window, int, int], tuple[int, np.ndarray, int, int]] = {}

    def run(self, window: Window, d: int, a: int) -> tuple[int, np.ndarray]:
        """Execute one; return its duration and the accesses of every bank. Raises MachineError."""
        if complaint := window.complaint(window.groups):
            raise MachineError(f"window {window.name}: {complaint}")
        arrays, word_bits = self.core.arrays, self.arch.core.data_memory.word_bits
        source = operand(window, a, word_bits)
        target = result(window, window.channels, d, word_bits)
        source.check(arrays.memory, "activations")
        target.check(arrays.memory, "outputs")
        check_apart(source, target)
        shape = window.shape(window.groups)
        pixels = place_pixels(window, shape)
        if not self.core.images.replays:
            y = self._values(window, source.read(arrays.memory), pixels)
            target.write(arrays.memory, y, int(arrays.params[P.RESULT_OVERFLOW]))
        outputs = target.channels * target.pixels
        key = window, d, a
        if key not in self._timed:
            self._timed[key] = pool_time(window, pixels, source, target, self.arch)
        cycles, accesses, read, written = self._timed[key]
        counters = arrays.counters
        counters[C.DATA_READ] += read
        counters[C.DATA_WRITE] += written
        counters[C.VECTOR_ELEMENT] += outputs * window.places
        counters[C.VECTOR_MULTIPLY] += outputs if window.multiplier != 1 else 0
        return cycles, accesses

    def _values(self, window: Window, x: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Return (channels, positions); x (channels, pixels), pixels (places, positions)."""
        params = self.core.arrays.params
        inside = pixels >= 0
        multipliers = np.full(pixels.shape[1], window.multiplier, np.int64)
        if window.pooling == MAXIMUM:
            lowest = np.iinfo(np.int64).min
            made = np.full((len(x), pixels.shape[1]), lowest)
            for at, there in zip(pixels, inside, strict=True):
                made = np.maximum(made, np.where(there, x[:, at], lowest))
            made = np.where(inside.any(axis=0), made, 0)
        else:
            made = np.zeros((len(x), pixels.shape[1]), np.int64)
            for at, there in zip(pixels, inside, strict=True):
                made += np.where(there, x[:, at], 0)
            if not window.counted:
                there = np.maximum(inside.sum(axis=0), 1)
                multipliers = (window.multiplier * window.places + there // 2) // there
        return self._requantised(window, made, multipliers, params)

    def _requantised(
        self, window: Window, made: np.ndarray, multipliers: np.ndarray, params: np.ndarray
    ) -> np.ndarray:
        """Scale each position's results (channels, positions) by its multiplier."""
        rounding = window.rounding - 1 if window.rounding else int(params[P.ROUNDING])
        overflow = int(params[P.RESULT_OVERFLOW])
        products = np.ascontiguousarray(made * multipliers)  # of at most 16 + 31 + 16 bits
        out = np.empty_like(products)
        requantise(
            int(Op.QUANTISE_SHIFT), products.reshape(-1), products.size, self.core.arrays.memory, 0,
            window.shift, 0, window.output_bits, 0, rounding, overflow, NO_DRAW, out.reshape(-1),
        )  # fmt: skip
        return out


def place_pixels(window: Window, shape: Convolution) -> np.ndarray:
    """Return the pixel that each place of each position meets, NOTHING outside (places, n)."""
    y, x = np.divmod(np.arange(window.rows * shape.out_width), shape.out_width)
    taps = np.array([*shape.offsets()])
    rows = (y + window.first_row) * window.stride_y - window.top + taps[:, :1]
    columns = x * window.stride_x - window.left + taps[:, 1:]
    inside = (rows >= 0) & (rows < window.height) & (columns >= 0) & (columns < window.width)
    return np.where(inside, rows * window.width + columns, NOTHING)


def pool_time(
    window: Window, pixels: np.ndarray, source: Tensor, target: Tensor, arch: Arch
) -> tuple[int, np.ndarray, int, int]:
    """Return duration, accesses of every bank, and words read and written (T50).

    pixels as `place_pixels` gives them.
    """
    lanes, banks = arch.core.vector.lanes, arch.core.data_memory.banks
    outputs = element_words(target, np.arange(target.pixels))
    wanted = [element_words(source, at) for at in pixels]
    by_beat = [_distinct(words, lanes) for words in wanted]
    by_beat[-1] = np.concatenate([by_beat[-1], _distinct(outputs, lanes)], axis=1)
    cycles, accesses = arch.core.pipeline.vector_stages, np.zeros(banks, np.int64)
    for words in by_beat:
        beats, columns = np.nonzero(words != NOTHING)
        bank = words[beats, columns] % banks
        counts = np.bincount(beats * banks + bank, minlength=len(words) * banks)
        counts = counts.reshape(len(words), banks)
        cycles += int(np.maximum(counts.max(axis=1), 1).sum())
        accesses += counts.sum(axis=0)
    written = int((_distinct(outputs, lanes) != NOTHING).sum())
    return cycles, accesses, int(accesses.sum()) - written, written


def element_words(tensor: Tensor, pixels: np.ndarray) -> np.ndarray:
    """Return the word of each element at `pixels`, NOTHING where there is none.

    (planes, elements): a row of all channels at each pixel, or, planar, a row a channel.
    """
    channels = np.arange(tensor.channels)
    if tensor.planar:
        words = tensor.address + pixels * tensor.bits // tensor.word_bits
        table = words + channels[:, None] * tensor.plane_words
        return np.where(pixels >= 0, table, NOTHING)
    at = (pixels[:, None] * tensor.channels + channels) * tensor.bits // tensor.word_bits
    table = np.where(pixels[:, None] >= 0, tensor.address + at, NOTHING)
    return table.reshape(1, -1)


def _distinct(words: np.ndarray, lanes: int) -> np.ndarray:
    """Return the words of each beat (beats, lanes), NOTHING for repeats; rows begin new beats."""
    rows, elements = words.shape
    padded = np.full((rows, -(-elements // lanes) * lanes), NOTHING, np.int64)
    padded[:, :elements] = words
    beats = padded.reshape(-1, lanes)
    ordered = np.sort(beats, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = NOTHING
    return ordered
