"""What a core remembers: data memory, accumulators, and a thread's vector state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spusim.formats import read_image, unpack_words
from spusim.golden.errors import AccessError, CodeError, UnknownError
from spusim.numerics import Rounding
from spusim.placement import (
    absence,
    bank_places,
    external_complaint,
    images_at_home,
    index_place,
    overlapping,
    weight_place,
)
from spusim.program import CoreImage, Matrix, Program, Segment, Table

POISON = 0xA5
ADDRESSABLE_WORDS = 2**16  # of data memory
WIDTHS = (8, 16, 32, 4)  # as the kind `width` numbers them
ELEMENT_BITS = (1, *sorted(WIDTHS))
_SIGNED: dict[int, np.dtype[Any]] = {8: np.dtype("<i1"), 16: np.dtype("<i2"), 32: np.dtype("<i4")}


class Memory:
    """A data memory: bytes, filled with poison, that are accessed from word addresses on."""

    NAME = "data memory"
    REMEDY = "that an address reaches; lower the address, the length or the loop's bump"

    def __init__(self, word_bits: int, words: int = ADDRESSABLE_WORDS) -> None:
        self.word_bytes = word_bits // 8
        self.used_words = 0
        self.words = words
        self._bytes = np.full(words * self.word_bytes, POISON, np.uint8)

    def span(self, address: int, count: int, bits: int) -> tuple[int, int]:
        """Return [first, last + 1) of the words that hold `count` elements of `bits` bits.

        Raises AccessError beyond the addressable words.
        """
        end = address + -(-count * bits // (8 * self.word_bytes))
        if end > self.words:
            raise AccessError(
                f"{self.NAME} words {address} to {end - 1} lie beyond the {self.words} "
                f"{self.REMEDY}"
            )
        self.used_words = max(self.used_words, end if count else 0)
        return address, end

    def read_bytes(self, address: int, count: int) -> np.ndarray:
        """Return a copy of `count` bytes from word `address` on, (count,) uint8."""
        self.span(address, count, 8)
        start = address * self.word_bytes
        return self._bytes[start : start + count].copy()

    def write_bytes(self, address: int, data: np.ndarray) -> None:
        """Put (n,) uint8 from word `address` on; bytes beyond them in the last word stay."""
        self.span(address, len(data), 8)
        start = address * self.word_bytes
        self._bytes[start : start + len(data)] = data

    def load(self, segment: Segment) -> None:
        """Put a segment in its place; raises CodeError for words of another width."""
        words = np.ascontiguousarray(segment.words, dtype=np.uint8)
        if words.ndim != 2 or words.shape[1] != self.word_bytes:
            raise CodeError(
                f"segment {segment.name} has words of shape {words.shape}; a {self.NAME} word "
                f"has {self.word_bytes} bytes"
            )
        self.write_bytes(segment.address, words.reshape(-1))

    def image(self) -> np.ndarray:
        """Return the words touched so far, (words, word bytes) uint8."""
        end = self.used_words * self.word_bytes
        return self._bytes[:end].reshape(-1, self.word_bytes).copy()


class ExternalMemory(Memory):
    """The external memory, which all cores share: matrices at home, and segments (T51)."""

    NAME = "external memory"
    REMEDY = "words that the program has (external_words); lower the address, or enlarge the memory"

    def __init__(self, program: Program) -> None:
        if complaint := external_complaint(program):
            raise CodeError(complaint)
        super().__init__(program.word_bits, program.external_words)
        images = images_at_home(program)
        self.homes = [(name, first, first + len(words)) for name, first, words in images]
        for _, address, words in images:
            self.write_bytes(address, words.reshape(-1))
        for segment in program.external:
            self.load(segment)

    def all_words(self) -> np.ndarray:
        """Return every word, (words, word bytes) uint8."""
        return self._bytes.reshape(-1, self.word_bytes).copy()

    def check_writable(self, first: int, end: int) -> None:
        """Refuse a write to words [first, end) that are a matrix's; raises AccessError."""
        for name, home, last in self.homes:
            if first < last and home < end:
                raise AccessError(
                    f"writes external memory words {first} to {end - 1}, of which {home} to "
                    f"{last - 1} are the image of matrix {name}, which stays; move one of them"
                )


def elements(data: np.ndarray, bits: int) -> np.ndarray:
    """Read all little-endian elements of (m,) uint8: (8 * m / bits,) int64.

    Of one bit they are +1 where it is set, else -1; of more bits signed.
    """
    if bits >= 8:
        return data.view(_signed(bits)).astype(np.int64)
    flags = np.unpackbits(data, bitorder="little").astype(np.int64)
    if bits == 1:
        return 2 * flags - 1
    return np.asarray(flags.reshape(-1, bits) @ _place_values(bits))


def element_bytes(values: np.ndarray, bits: int) -> np.ndarray:
    """Lay elements out little-endian: (n,) int -> (ceil(n * bits / 8),) uint8.

    High bits are cut off; of one bit the sign is kept, set for zero and above.
    """
    if bits >= 8:
        return values.astype(_signed(bits)).view(np.uint8)
    if bits == 1:
        return np.packbits(values >= 0, bitorder="little")
    flags = values[:, None] >> np.arange(_narrow(bits)) & 1
    return np.packbits(flags.astype(np.uint8).reshape(-1), bitorder="little")


def _place_values(bits: int) -> np.ndarray:
    """Return what each bit of a two's complement is worth, lowest first."""
    values = 1 << np.arange(_narrow(bits), dtype=np.int64)
    values[-1] = -values[-1]
    return values


def _narrow(bits: int) -> int:
    if bits not in ELEMENT_BITS:
        raise _unknown_width(bits)
    return bits


def _unknown_width(bits: int) -> CodeError:
    return CodeError(
        f"elements of {bits} bits cannot be laid out in data memory; use one of {ELEMENT_BITS}"
    )


def _signed(bits: int) -> np.dtype[Any]:
    if bits not in _SIGNED:
        raise _unknown_width(bits)
    return _SIGNED[bits]


@dataclass
class VectorState:
    """What `vset` sets; a thread starts with these values."""

    length: int = 0
    wa: int = 16
    wb: int = 16
    wd: int = 16
    sa: int = 0
    sb: int = 0
    sd: int = 0
    rounding: Rounding | None = None  # None: the architecture's


@dataclass
class RandomState:
    """What `rset` sets, and the vector instructions of the thread since; starts as zeros."""

    stream: int = 0
    first: int = 0
    ordinal: int = 0


@dataclass(frozen=True)
class DecodedMatrix:
    """What a matrix's words say: weight (rows, columns) int64, bias (rows,) int64 or None."""

    name: str
    format: str
    activation_bits: int
    weight: np.ndarray
    bias: np.ndarray | None


def decoded(
    matrix: Matrix, tables: Sequence[Table], image: np.ndarray | None = None
) -> DecodedMatrix:
    """Decode a matrix from the bits of its words, never from the weights it was made of.

    image: its bytes as external memory holds them (T51); None: the words in its place. Raises
    UnknownError for a codebook that there is not.
    """
    p = matrix.packed
    if matrix.codebook > len(tables):
        raise UnknownError(
            f"matrix {matrix.name} has its codebook in table {matrix.codebook - 1}; the core has "
            f"{len(tables)}"
        )
    entries = tables[matrix.codebook - 1].entries.tolist() if matrix.codebook else ()
    layout = replace(p.layout, codebook=tuple(entries))
    slices, indices = (p.slices, p.indices) if image is None else read_image(image, p)
    weight, bias = unpack_words(layout, p.rows, p.columns, slices, indices)
    weight = weight.astype(np.int64)
    return DecodedMatrix(matrix.name, layout.format, matrix.activation_bits, weight, bias)


class Residence:
    """Which of a core's matrices are in their places (T53), and which overwrote the others."""

    def __init__(self, program: Program, matrices: Sequence[Matrix]) -> None:
        self.matrices = matrices
        self.tracked = any(matrix.home is not None for matrix in matrices)
        self._there = [matrix.home is None for matrix in matrices]
        self._overwriter: list[Matrix | None] = [None] * len(matrices)
        self.rows = [weight_place(program, matrix) for matrix in matrices]
        self.index_words = [index_place(matrix) for matrix in matrices]
        self.bank_words = [bank_places(program, matrix) for matrix in matrices]
        self._overlaps = [
            overlapping(program, matrices, m) if matrices[m].home is not None else ()
            for m in range(len(matrices))
        ]

    def bring(self, number: int) -> None:
        """Make a matrix resident, and those that it overlaps not."""
        self._there[number] = True
        for other in self._overlaps[number]:
            self._there[other], self._overwriter[other] = False, self.matrices[number]

    def check(self, number: int) -> None:
        """Raise CodeError unless a matrix is resident."""
        if not self._there[number]:
            raise CodeError(absence(self.matrices[number], self._overwriter[number]))


class CoreState:
    """A core's memories, loaded with its image."""

    def __init__(self, program: Program, image: CoreImage) -> None:
        self.image = image
        self.memory = Memory(program.word_bits)
        # what the place of each holds; of one with a home None until it was fetched
        self.matrices: list[DecodedMatrix | None] = [
            decoded(matrix, image.tables) if matrix.home is None else None
            for matrix in image.matrices
        ]
        self.residence = Residence(program, image.matrices)
        self.accumulators = np.zeros(program.accumulators, np.int64)
        for segment in image.segments:
            self.memory.load(segment)

    def rows(self, first: int, count: int) -> slice:
        """Return the slice of `count` accumulator rows; raises AccessError beyond the file."""
        if first + count > len(self.accumulators):
            raise AccessError(
                f"accumulator rows {first} to {first + count - 1} lie beyond the file's "
                f"{len(self.accumulators)}; lower acc or split the matrix"
            )
        return slice(first, first + count)
