"""Windows in a core, T33 to T50: where their tensors lie, and poolings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from chip_errors import ChipError
from chip_memory import DataMemory
from chip_numbers import fitted, shifted
from convolution_case import ConvCase
from stepper_storage import ceil_div

from spusim.arch import Arch
from spusim.numerics import Numerics
from spusim.program import Window

ROUNDING = ("arch", "floor", "half_up", "half_even")
Place = tuple[int, int]  # of an element: the word at which its plane starts, its number there


@dataclass(frozen=True)
class Tensor:
    """Elements of `channels` x `pixels` in data memory."""

    memory: DataMemory
    address: int
    channels: int
    pixels: int
    bits: int
    planar: bool

    def place(self, channel: int, pixel: int) -> Place:
        """Return where an element lies."""
        if not self.planar:
            return self.address, pixel * self.channels + channel
        words = ceil_div(self.pixels * self.bits, self.memory.word_bits)
        return self.address + channel * words, pixel

    def word(self, channel: int, pixel: int) -> int:
        """Return the word in which an element lies."""
        start, index = self.place(channel, pixel)
        return start + index * self.bits // self.memory.word_bits

    def words(self) -> set[int]:
        """Return all its words."""
        return {self.word(c, n) for c in range(self.channels) for n in range(self.pixels)}

    def check(self) -> None:
        """Raise ChipError where it does not fit."""
        if max(self.words()) >= self.memory.words:
            raise ChipError(f"word {max(self.words())} lies beyond the last one")

    def get(self, channel: int, pixel: int) -> int:
        """Read an element."""
        start, index = self.place(channel, pixel)
        return self.memory.elements(start, self.bits, index + 1)[-1]

    def planes(self) -> list[list[int]]:
        """Read all, [channel][pixel]."""
        if self.planar:
            starts = [self.place(channel, 0)[0] for channel in range(self.channels)]
            return [self.memory.elements(start, self.bits, self.pixels) for start in starts]
        flat = self.memory.elements(self.address, self.bits, self.channels * self.pixels)
        return [flat[channel :: self.channels] for channel in range(self.channels)]

    def put(self, channel: int, pixel: int, value: int) -> None:
        """Write an element."""
        start, index = self.place(channel, pixel)
        self.memory.put_element(start, self.bits, index, value)


def geometry(w: Window, filters: int) -> ConvCase:
    """Return a window's sizes; raises ChipError for a window that cannot be."""
    case = ConvCase(
        channels=w.channels, height=w.height, width=w.width, filters=filters, weight=[], x=[],
        kernel=(w.kernel_height, w.kernel_width), stride=(w.stride_y, w.stride_x),
        padding=(w.top, w.left, w.bottom, w.right), dilation=(w.dilation_y, w.dilation_x),
        groups=w.groups, dataflow="pixel" if w.layout else "row",
    )  # fmt: skip
    rows, columns = case.out
    if rows < 1 or columns < 1 or w.channels % w.groups or filters % w.groups:
        raise ChipError(f"window {w.name} is no convolution")
    if w.rows < 1 or w.first_row + w.rows > rows:
        raise ChipError(f"window {w.name} has no such rows of output")
    return replace(case, first=w.first_row * columns, count=w.rows * columns)


def tensors(w: Window, case: ConvCase, channels: int, memory: DataMemory, d: int, a: int):
    """Return what a window reads and writes; raises ChipError where they meet."""
    source = Tensor(memory, a, w.channels, w.height * w.width, w.activation_bits, bool(w.layout))
    target = Tensor(memory, d, channels, case.count or 0, w.output_bits, bool(w.layout))
    source.check()
    target.check()
    if source.words() & target.words():
        raise ChipError("operand and result have words in common")
    return source, target


def window_of(windows: tuple[Window, ...], number: int) -> Window:
    """Return the operand `w`."""
    if number >= len(windows):
        raise ChipError(f"window {number} does not exist")
    return windows[number]


def rounding_of(w: Window, numerics: Numerics) -> str:
    """Return how results round."""
    return numerics.rounding if w.rounding == 0 else ROUNDING[w.rounding]


class Pooling:
    """One `pool`, T50: its results, and the words that each beat accesses."""

    def __init__(
        self, w: Window, arch: Arch, numerics: Numerics, memory: DataMemory, o: dict[str, int]
    ) -> None:
        self.w, self.numerics, self.memory, self.lanes = w, numerics, memory, arch.core.vector.lanes
        self.case = geometry(w, w.groups)
        self.source, self.target = tensors(w, self.case, w.channels, memory, o["d"], o["a"])
        outputs = [(c, p) for p in self.case.positions for c in range(w.channels)]
        self.results = {(c, p - self.case.first): self.result(c, p) for c, p in outputs}

    def result(self, channel: int, position: int) -> int:
        """Return an output."""
        w = self.w
        at = [self.case.pixel(position, place) for place in self.case.places()]
        there = [self.source.get(channel, y * w.width + x) for y, x in filter(None, at)]
        multiplier = w.multiplier
        if w.pooling == 0:
            value = max(there, default=0)
        else:
            value = sum(there)
            if not w.counted:
                n = max(1, len(there))
                multiplier = (multiplier * len(at) + n // 2) // n
        rounding = rounding_of(w, self.numerics)
        scaled = shifted(value * multiplier, w.shift, rounding)
        return fitted(scaled, w.output_bits, self.numerics.requantize_overflow)

    def rows(self) -> list[list[tuple[int, int]]]:
        """Return the outputs (channel, position) in the order of d, planes apart."""
        positions, channels = self.case.positions, range(self.w.channels)
        if self.w.layout:
            return [[(c, p) for p in positions] for c in channels]
        return [[(c, p) for p in positions for c in channels]]

    def beats(self) -> Iterator[tuple[set[int], set[int]]]:
        """Return the words read and written in each beat."""
        for row in self.rows():
            for at in range(0, len(row), self.lanes):
                group = row[at : at + self.lanes]
                for place in self.case.places():
                    read = {
                        self.source.word(c, pixel[0] * self.w.width + pixel[1])
                        for c, p in group
                        if (pixel := self.case.pixel(p, place))
                    }
                    last = place == self.case.places()[-1]
                    written = {self.target.word(c, p - self.case.first) for c, p in group}
                    yield read, written if last else set()

    def elements(self) -> int:
        """Return places of outputs."""
        return len(self.results) * len(self.case.places())
