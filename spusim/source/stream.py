"""`.frame`, `.frames`, `.file` and `.period`: what the host streams."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spusim.isa import Faults
from spusim.program import Program
from spusim.source.build import collecting
from spusim.source.directives import Given, LineFaultError
from spusim.source.values import in_bits, sparse_values

MOST_FRAMES = 100_000


@dataclass(frozen=True)
class SourceStream:
    """frames (frames, elements) int64 of files that begin at `starts`; period in cycles."""

    frames: np.ndarray
    starts: tuple[int, ...]
    period: int | None


def build_stream(faults: Faults, program: Program, lines: Sequence[Given]) -> SourceStream:
    """Return what the source streams through its program; mistakes go to `faults`."""
    port = program.input
    rows: list[np.ndarray] = []
    starts: list[tuple[int, Given | None]] = []
    period = None
    for given in lines:
        with collecting(faults, given):
            if given.token.text == ".period":
                period = _period(given)
            elif given.token.text == ".file":
                starts.append((len(rows), given))
            elif given.token.text in (".frame", ".frames"):
                if not starts:
                    starts.append((0, None))
                rows += _frames(given, port.elements, port.bits, len(rows))
    for (first, begun), (end, _) in zip(starts, [*starts[1:], (len(rows), None)], strict=True):
        if first == end and begun:
            faults.add(begun.line, begun.token, "has no frames; a file has at least one")
    frames = np.array(rows, np.int64).reshape(-1, port.elements)
    return SourceStream(frames, tuple(first for first, _ in starts), period)


def _period(given: Given) -> int:
    cycles: int = given.values["cycles"]
    if cycles < 1:
        raise LineFaultError(given, f"period (={cycles}) must be at least 1 cycle", "cycles")
    return cycles


def _frames(given: Given, elements: int, bits: int, before: int) -> list[np.ndarray]:
    """Return the frames that a line says, each (elements,)."""
    if given.token.text == ".frame":
        if len(given.items) != elements:
            raise LineFaultError(
                given, f"has {len(given.items)} elements; the program takes {elements}"
            )
        return [in_bits([given], bits)]
    count = given.values["count"]
    if not 1 <= count <= MOST_FRAMES - before:
        raise LineFaultError(
            given, f"count (={count}) must be 1 to {MOST_FRAMES - before} frames", "count"
        )
    return [*sparse_values(given, elements, given.values.get("bits", bits), count)]
