"""Where vectors lie in a core's data memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from spusim.arch import Arch
from spusim.compiler.errors import CompileError

ADDRESS_WORDS = 2**16
FAR_WORDS = 2**20  # from here on: what has no words of its own, but comes and goes by tiles
SCALE_ALIGN_WORDS = 4  # the operand `scale` counts in these
SCALE_ENTRY_BYTES = 8


def words_of(elements: int, bits: int, word_bits: int) -> int:
    """Return the words that `elements` of `bits` fill."""
    return -(-elements * bits // word_bits)


@dataclass(frozen=True)
class Vector:
    """Elements of `bits` from a word address on."""

    address: int
    elements: int
    bits: int
    word_bits: int

    @property
    def words(self) -> int:
        """Words that it touches."""
        return words_of(self.elements, self.bits, self.word_bits)

    @property
    def full(self) -> "Vector":
        """The same words with the last one's unused elements."""
        elements = self.words * self.word_bits // self.bits
        if elements == self.elements:
            return self
        return Vector(self.address, elements, self.bits, self.word_bits)

    def part(self, first: int, elements: int) -> "Vector":
        """Return `elements` of it from element `first`, the first of a word, on."""
        words, rest = divmod(first * self.bits, self.word_bits)
        if rest:
            raise CompileError(
                f"element {first} of {self.bits} bits does not start a {self.word_bits}-bit word; "
                "parts of vectors must be cut at words"
            )
        return Vector(self.address + words, elements, self.bits, self.word_bits)


class DataMap:
    """A core's data memory as it is given away, from word 0 on.

    planned: first words of the vectors, in the order in which they are asked for, None for those
    that get addresses beyond FAR_WORDS and no words; without it each gets words of its own.
    """

    def __init__(self, arch: Arch, core: int, planned: Sequence[int | None] = ()) -> None:
        self.word_bits = arch.core.data_memory.word_bits
        self.core = core
        self.symbols: list[tuple[str, int, int]] = []
        self.used_words = 0
        self._planned = iter(planned)
        self._far = FAR_WORDS

    def vector(self, name: str, elements: int, bits: int) -> Vector:
        """Give a vector whole words."""
        words = words_of(elements, bits, self.word_bits)
        planned = next(self._planned, self.used_words)
        if planned is None:
            address, self._far = self._far, self._far + words
        else:
            address = self._take(name, words, planned)
        return Vector(address, elements, bits, self.word_bits)

    def buffers(self, symbols: Sequence[tuple[str, int, int]], end: int) -> None:
        """Note (name, address, words) of what comes and goes, all of it before word `end`."""
        self.symbols += symbols
        self.used_words = max(self.used_words, end)

    def scale(self, name: str, entries: int) -> int:
        """Give room to scale entries; returns the first word's address, a multiple of 4."""
        self.used_words += -self.used_words % SCALE_ALIGN_WORDS
        words = words_of(entries, 8 * SCALE_ENTRY_BYTES, self.word_bits)
        return self._take(name, words, self.used_words)

    def _take(self, name: str, words: int, address: int) -> int:
        self.used_words = max(self.used_words, address + words)
        self.symbols.append((name, address, words))
        return address
