"""The tape of a core's convolutions: which of the activations that each one reads are not zero."""

from collections import defaultdict

import numpy as np

from spusim.kernels.layout import Tape
from spusim.machine.errors import RecordingError
from spusim.machine.recording import Pattern, pattern
from spusim.program import Operand


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
    ) -> np.ndarray:
        """Return a matrix's next pattern, uint8 of `shape` (channels, height, width).

        Zeros where nothing was recorded. Raises RecordingError for pixels that are `met`, as in
        `record`, and that the recording lacks.
        """
        channels, height, width = shape
        kept, use, size = self._patterns[m], self._uses[m], channels * height * width
        if kept is None:
            return np.zeros(shape, np.uint8)
        self._uses[m] += 1
        frame, window = divmod(use, len(operand.windows))
        first = operand.windows[window]
        check_image(operand, first, size)
        if len(kept.known) != operand.size or frame >= len(kept.bits):
            raise RecordingError(
                f"the recording has {len(kept.bits)} frames of {len(kept.known)} activations "
                f"of product {operand.product}, and the program reads {operand.size} in frame "
                f"{frame}; record the network again"
            )
        part = slice(first, first + size)
        if not kept.known[part].reshape(height, width, channels)[met].all():
            raise RecordingError(
                f"product {operand.product} reads activations that the recording lacks; record the "
                "network again"
            )
        flags = np.unpackbits(kept.bits[frame], count=first + size, bitorder="little")[part]
        return np.moveaxis(flags.reshape(height, width, channels), 2, 0)

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
            first, size = operand.windows[window], channels * met.size
            check_image(operand, first, size)
            part = slice(first, first + size)  # which tiles before it may have met in other rows
            flags[frame, part] |= np.unpackbits(bits, count=size, bitorder="little")
            known[part] |= np.repeat(met.reshape(-1), channels)
        return pattern(flags, known)


def check_image(operand: Operand, first: int, size: int) -> None:
    """Raise RecordingError for a window that is no part of a product's operand."""
    if (len(operand.windows) == 1 and size != operand.size) or first + size > operand.size:
        raise RecordingError(
            f"product {operand.product} reads {operand.size} activations, an instruction {size} "
            f"from {first} on, and the program does not tell where they lie; simulate it"
        )
