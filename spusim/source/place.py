"""Where things lie in a core's memories, for the memory map and the checks of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from spusim.arch import Arch
from spusim.program import Matrix, Segment
from spusim.source.directives import Given
from spusim.source.images import Part


@dataclass(frozen=True)
class Area:
    """Words of a memory that something named takes."""

    given: Given
    name: str
    address: int
    words: int
    overlay: bool = False  # of a matrix that is fetched, and may share it with another such

    @property
    def last(self) -> int:
        """Last word; the one before the first where there are none."""
        return self.address + self.words - 1


@dataclass(frozen=True)
class Placed:
    """A packed matrix and its rows of weight memory; the area, where that is data memory."""

    given: Given
    matrix: Matrix
    depth_rows: int
    area: Area | None

    @property
    def overlay(self) -> bool:
        """Whether it is fetched to its place."""
        return self.matrix.home is not None


def areas_of(places: Sequence[Part], segments: Sequence[tuple[Part, Segment]]) -> list[Area]:
    """Return the areas of spaces and segments, in file order."""
    words = {id(part): len(made.words) for part, made in segments}
    areas = []
    for part in places:
        values = part.head.values
        size = values.get("words", words.get(id(part), 0))
        areas.append(Area(part.head, part.name, values["address"], size))
    return areas


def depth_rows(arch: Arch, matrix: Matrix) -> int:
    """Return the rows of weight memory that a matrix's longest slice takes (T3)."""
    core = arch.core
    per_row = 1 if core.weight_memory else core.data_memory.banks // core.pes
    words = max(
        len(entries) + (len(index) if matrix.preload else 0)
        for entries, index in zip(matrix.packed.slices, matrix.packed.indices, strict=True)
    )
    return -(-words // per_row)


def index_words(matrix: Matrix) -> int:
    """Return the words of index memory that a PE's part of a matrix takes at most."""
    return max(map(len, matrix.packed.indices), default=0)
