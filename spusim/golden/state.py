"""What a core remembers: data memory, accumulators, and a thread's vector state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spusim.formats import unpack_words
from spusim.golden.errors import AccessError, CodeError, UnknownError
from spusim.numerics import Rounding
from spusim.program import CoreImage, Matrix, Program, Table

POISON = 0xA5
ADDRESSABLE_WORDS = 2**16
WIDTHS = (8, 16, 32, 4)  # as the kind `width` numbers them
ELEMENT_BITS = (1, *sorted(WIDTHS))
_SIGNED: dict[int, np.dtype[Any]] = {8: np.dtype("<i1"), 16: np.dtype("<i2"), 32: np.dtype("<i4")}


class Memory:
    """A data memory: bytes, filled with poison, that are accessed from word addresses on."""

    def __init__(self, word_bits: int) -> None:
        self.word_bytes = word_bits // 8
        self.used_words = 0
        self._bytes = np.full(ADDRESSABLE_WORDS * self.word_bytes, POISON, np.uint8)

    def span(self, address: int, count: int, bits: int) -> tuple[int, int]:
        """Return [first, last + 1) of the words that hold `count` elements of `bits` bits.

        Raises AccessError beyond the addressable words.
        """
        end = address + -(-count * bits // (8 * self.word_bytes))
        if end > ADDRESSABLE_WORDS:
            raise AccessError(
                f"data memory words {address} to {end - 1} lie beyond the {ADDRESSABLE_WORDS} that "
                "an address reaches; lower the address, the length or the loop's bump"
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

    def image(self) -> np.ndarray:
        """Return the words touched so far, (words, word bytes) uint8."""
        end = self.used_words * self.word_bytes
        return self._bytes[:end].reshape(-1, self.word_bytes).copy()


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


def decoded(matrix: Matrix, tables: Sequence[Table]) -> DecodedMatrix:
    """Decode a matrix from the bits of its image, never from the weights it was made of.

    Raises UnknownError for a codebook that there is not.
    """
    p = matrix.packed
    if matrix.codebook > len(tables):
        raise UnknownError(
            f"matrix {matrix.name} has its codebook in table {matrix.codebook - 1}; the core has "
            f"{len(tables)}"
        )
    entries = tables[matrix.codebook - 1].entries.tolist() if matrix.codebook else ()
    layout = replace(p.layout, codebook=tuple(entries))
    weight, bias = unpack_words(layout, p.rows, p.columns, p.slices, p.indices)
    weight = weight.astype(np.int64)
    return DecodedMatrix(matrix.name, layout.format, matrix.activation_bits, weight, bias)


class CoreState:
    """A core's memories, loaded with its image."""

    def __init__(self, program: Program, image: CoreImage) -> None:
        self.image = image
        self.memory = Memory(program.word_bits)
        self.matrices = [decoded(matrix, image.tables) for matrix in image.matrices]
        self.accumulators = np.zeros(program.accumulators, np.int64)
        for segment in image.segments:
            words = np.ascontiguousarray(segment.words, dtype=np.uint8)
            if words.ndim != 2 or words.shape[1] != self.memory.word_bytes:
                raise CodeError(
                    f"segment {segment.name} has words of shape {words.shape}; a data memory word "
                    f"has {self.memory.word_bytes} bytes"
                )
            self.memory.write_bytes(segment.address, words.reshape(-1))

    def rows(self, first: int, count: int) -> slice:
        """Return the slice of `count` accumulator rows; raises AccessError beyond the file."""
        if first + count > len(self.accumulators):
            raise AccessError(
                f"accumulator rows {first} to {first + count - 1} lie beyond the file's "
                f"{len(self.accumulators)}; lower acc or split the matrix"
            )
        return slice(first, first + count)
