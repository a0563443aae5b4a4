"""Where matrices lie in weight and index memory, and what external memory holds (T51)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spusim.formats.stored import stored_image
from spusim.program import Matrix, Program


def weight_place(program: Program, matrix: Matrix) -> tuple[int, int]:
    """Return [first, end) of the rows of weight memory that a matrix takes (T3, T53)."""
    packed = matrix.packed
    words = [len(part) for part in packed.slices]
    if matrix.preload:
        words = [own + len(index) for own, index in zip(words, packed.indices, strict=True)]
    return matrix.base, matrix.base - -max(words, default=0) // max(program.row_words, 1)


def bank_places(program: Program, matrix: Matrix) -> np.ndarray:
    """Return where data banks hold the words of a matrix's image (T3): (words,) word addresses.

    With a private weight memory, and without words, there are none.
    """
    per_pe, pes = program.row_words, program.pes
    if not per_pe:
        return np.zeros(0, np.int64)
    parts = zip(matrix.packed.indices, matrix.packed.slices, strict=True)
    places = []
    for p, (index, entries) in enumerate(parts):
        k = np.arange(len(index) * matrix.preload + len(entries))
        places.append((matrix.base + k // per_pe) * per_pe * pes + p + pes * (k % per_pe))
    return np.concatenate(places)


def index_place(matrix: Matrix) -> tuple[int, int]:
    """Return [first, end) of the index memory words that a matrix takes."""
    words = 0 if matrix.preload else max(map(len, matrix.packed.indices), default=0)
    return matrix.index_base, matrix.index_base + words


def overlapping(program: Program, matrices: Sequence[Matrix], number: int) -> tuple[int, ...]:
    """Return the numbers of the other matrices of a core that matrix `number` overlaps (T53)."""
    places = [(weight_place(program, m), index_place(m)) for m in matrices]
    return tuple(
        other
        for other, theirs in enumerate(places)
        if other != number
        and any(a < d and c < b for (a, b), (c, d) in zip(places[number], theirs, strict=True))
    )


def absence(matrix: Matrix, overwriter: Matrix | None) -> str:
    """Return why a matrix is not resident: it was never fetched, or `overwriter` was since."""
    why = f"the fetch of {overwriter.name} overwrote it" if overwriter else "it was never fetched"
    remedy = "keep it apart from that one" if matrix.home is None else "fetch it first"
    return f"matrix {matrix.name} is not in weight memory: {why}; {remedy}"


class Area(NamedTuple):
    """Words (words, word_bits / 8) uint8 in external memory."""

    name: str
    first: int
    words: np.ndarray

    @property
    def end(self) -> int:
        """The word behind its last."""
        return self.first + len(self.words)

    def __str__(self) -> str:
        """Say where it lies."""
        return f"{self.name} takes words {self.first} to {self.end - 1} of external memory"


def images_at_home(program: Program) -> list[Area]:
    """Return the image of every matrix with a home (T51)."""
    return [
        Area(matrix.name, matrix.home, stored_image(matrix.packed, program.word_bits))
        for core in program.cores
        for matrix in core.matrices
        if matrix.home is not None
    ]


def external_areas(program: Program) -> list[Area]:
    """Return all that has a place in external memory: images, segments, the input port's frame."""
    areas = images_at_home(program) + [Area(s.name, s.address, s.words) for s in program.external]
    port = program.input
    if port.external is not None:
        words = -(-port.elements * port.bits // program.word_bits)
        areas.append(Area("the input port", port.external, np.zeros((words, 0), np.uint8)))
    return areas


def external_complaint(program: Program) -> str:
    """Return what is wrong with the contents of external memory (T51), "" if nothing is."""
    areas = external_areas(program)
    for area in areas:
        if area.first < 0 or area.end > program.external_words:
            return (
                f"{area}, and the program has {program.external_words} (external_words); move it, "
                "or enlarge the memory"
            )
    return _overlap(sorted((area for area in areas if len(area.words)), key=lambda a: a.first))


def _overlap(areas: list[Area]) -> str:
    """Return which of some areas, by first word, lie on each other and differ, "" if none do."""
    last = areas[0] if areas else None
    for area in areas[1:]:
        assert last is not None
        same = area.first == last.first and np.array_equal(area.words, last.words)
        if area.first < last.end and not same:
            return f"{area}, and {last.name} words {last.first} to {last.end - 1}; move one of them"
        last = max(area, last, key=lambda a: a.end)
    return ""
