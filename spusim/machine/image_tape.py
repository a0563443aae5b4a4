"""The tape of a core's convolutions: which of the activations that each one reads are not zero."""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spusim.kernels.layout import Tape
from spusim.machine.errors import RecordingError
from spusim.machine.recording import Pattern, pattern
from spusim.numerics.contents import KeptByContent
from spusim.program import Operand, Window

# what windows meet of recorded images, which is asked for at every point of a sweep
MET: KeptByContent[np.ndarray] = KeptByContent(64 << 20)
Met = Callable[[np.ndarray], np.ndarray]  # of x (channels, height, width): `activations_met`


@dataclass(frozen=True)
class Computed:
    """Activations that are there, (channels, height, width) integers."""

    values: np.ndarray

    def flags(self) -> np.ndarray:
        """Return what is not zero where they are not, (channels, height, width)."""
        return self.values

    def met(self, window: Window, count: Met) -> np.ndarray:
        """Return what `count` finds of them for a window."""
        return count(self.values)


@dataclass(frozen=True)
class Replayed:
    """Activations of which a recording tells which are not zero; pattern None: none."""

    pattern: Pattern | None
    frame: int
    first: int  # element of the frame
    shape: tuple[int, int, int]  # channels, height, width
    stored: int  # channels of the frame's image

    def flags(self) -> np.ndarray:
        """Return which are not zero, (channels, height, width) uint8."""
        channels, height, width = self.shape
        if self.pattern is None:
            return np.zeros(self.shape, np.uint8)
        bits = np.unpackbits(self.pattern.bits[self.frame], bitorder="little")
        part = part_of(bits, self.first, (height * width, channels), self.stored)
        return np.moveaxis(part.reshape(height, width, channels), 2, 0)

    def met(self, window: Window, count: Met) -> np.ndarray:
        """Return what `count` finds of them for a window, found before or now."""
        if self.pattern is None:
            return count(self.flags())
        bits = self.pattern.bits[self.frame]
        return MET.of_owner(
            self.pattern, lambda: (bits,), lambda: count(self.flags()),
            (self.frame, self.first, self.stored, window),
        )  # fmt: skip


Activations = Computed | Replayed


class ImageTape:
    """Patterns use after use, from all matrices, or to replay (`patterns`, by matrix).

    Bits are in the order of `Operand`, whatever the layout in data memory. inexact: whether a sum
    that was recorded may have overflowed, so that its order mattered (T35).
    """

    def __init__(self, mode: Tape, patterns: tuple[Pattern | None, ...] = ()):
        self.mode, self.inexact = mode, False
        self._patterns = patterns
        self._uses: dict[int, int] = defaultdict(int)
        self._recorded: dict[int, list[tuple[int, np.ndarray, np.ndarray]]] = defaultdict(list)

    @property
    def replays(self) -> bool:
        """Whether no values are computed."""
        return self.mode == Tape.REPLAY

    def record(self, m: int, x: np.ndarray, met: np.ndarray) -> None:
        """Keep the pattern of a matrix's next operand x (channels, height, width).

        met: the pixels (height, width) bool that the instruction reads. Of the others a core may
        hold what it likes, such as the rows of an image that are other cores' work.
        """
        if self.mode == Tape.RECORD:
            flags = np.moveaxis((x != 0) & met, 0, 2).reshape(-1)
            self._recorded[m].append((len(x), np.packbits(flags, bitorder="little"), met))

    def replay(
        self, m: int, operand: Operand, shape: tuple[int, int, int], met: np.ndarray
    ) -> Replayed:
        """Return a matrix's next operand of `shape` (channels, height, width).

        No activation where nothing was recorded. Raises RecordingError for pixels that are `met`,
        as in `record`, and that the recording lacks.
        """
        kept, use = self._patterns[m], self._uses[m]
        if kept is None:
            return Replayed(None, 0, 0, shape, shape[0])
        self._uses[m] += 1
        frame, window = divmod(use, len(operand.windows))
        first, channels = operand.windows[window], shape[0]
        stored = check_image(operand, first, (met.size, channels))
        if len(kept.known) != operand.size or frame >= len(kept.bits):
            raise RecordingError(
                f"the recording has {len(kept.bits)} frames of {len(kept.known)} activations "
                f"of product {operand.product}, and the program reads {operand.size} in frame "
                f"{frame}; record the network again"
            )
        known = part_of(kept.known, first, (met.size, channels), stored)
        if not known[met.reshape(-1)].all():
            raise RecordingError(
                f"product {operand.product} reads activations that the recording lacks; record the "
                "network again"
            )
        return Replayed(kept, frame, first, shape, stored)

    def recorded(self, m: int, operand: Operand, frames: int) -> Pattern:
        """Return what was recorded of a matrix's operand; raises RecordingError."""
        parts, uses = self._recorded[m], len(operand.windows)
        if len(parts) != frames * uses:
            raise RecordingError(
                f"product {operand.product} was computed {len(parts)} times in {frames} frames of "
                f"{uses} windows; only what is used as often in every frame can be recorded"
            )
        known = np.zeros(operand.size, bool)
        flags = np.zeros((frames, operand.size), np.uint8)
        for use, (channels, bits, met) in enumerate(parts):
            frame, window = divmod(use, uses)
            first, shape = operand.windows[window], (met.size, channels)
            stored = check_image(operand, first, shape)
            new = np.unpackbits(bits, count=math.prod(shape), bitorder="little").reshape(shape)
            # tiles before it may have met what they share with it in other rows
            part_of(flags[frame], first, shape, stored)[...] |= new
            part_of(known, first, shape, stored)[...] |= met.reshape(-1, 1)
        return pattern(flags, known)


def part_of(elements: np.ndarray, first: int, shape: tuple[int, int], stored: int) -> np.ndarray:
    """Return a view (pixels, channels), of that shape, on an image's elements (size,).

    first: the element of its first pixel and channel; stored: the image's channels.
    """
    channel = first % stored
    rows = elements[first - channel :][: shape[0] * stored].reshape(shape[0], stored)
    return rows[:, channel : channel + shape[1]]


def check_image(operand: Operand, first: int, shape: tuple[int, int]) -> int:
    """Return the channels of the image of which an instruction reads a part.

    shape: (pixels, channels) of the part. Raises RecordingError for no part of the product's
    operand.
    """
    pixels, channels = shape
    stored = operand.channels or channels
    size, channel = pixels * stored, first % stored
    whole = len(operand.windows) == 1 and size != operand.size
    if whole or first - channel + size > operand.size or channel + channels > stored:
        raise RecordingError(
            f"product {operand.product} reads {operand.size} activations, an instruction "
            f"{pixels} x {channels} from {first} on, and the program does not tell where they "
            "lie; simulate it"
        )
    return stored
