"""Records of an instruction set: what `isa/spu.isa` says, frozen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from spusim.errors import SpusimError

UNITS = ("sequencer", "engine", "vector", "router", "dma")
OPCODE_BITS = 8


class IsaError(SpusimError):
    """An instruction table that contradicts itself, or a word or operand that it does not allow."""


@dataclass(frozen=True)
class Kind:
    """What an operand is: an integer, signed or not, or one of `names` (its index is encoded)."""

    name: str
    signed: bool = False
    names: tuple[str, ...] = ()
    bits: int | None = None  # where the kind fixes the width of its operands


@dataclass(frozen=True)
class Field:
    """An operand or record field: bits low + bits - 1 down to low.

    default: what an operand is that assembly leaves out; None: it must be given.
    """

    name: str
    kind: Kind
    low: int
    bits: int
    default: int | None = None

    @property
    def high(self) -> int:
        """Highest bit."""
        return self.low + self.bits - 1

    @property
    def mask(self) -> int:
        """Its bits set."""
        return ((1 << self.bits) - 1) << self.low

    @property
    def smallest(self) -> int:
        """Smallest value."""
        return -(1 << (self.bits - 1)) if self.kind.signed else 0

    @property
    def largest(self) -> int:
        """Largest value."""
        if self.kind.names:
            return len(self.kind.names) - 1
        return (1 << (self.bits - self.kind.signed)) - 1


@dataclass(frozen=True)
class InstructionSpec:
    """One line of the table: an instruction with its operands in assembly order."""

    mnemonic: str
    opcode: int
    unit: str
    operands: tuple[Field, ...]
    meaning: str

    @cached_property
    def operand_mask(self) -> int:
        """Bits that some operand uses."""
        return _mask(self.operands)


@dataclass(frozen=True)
class RecordSpec:
    """A descriptor record: fields over `words` instruction-sized words, word 0 the lowest."""

    name: str
    words: int
    fields: tuple[Field, ...]
    meaning: str

    @property
    def field_mask(self) -> int:
        """Bits that some field uses."""
        return _mask(self.fields)


@dataclass(frozen=True)
class Reserve:
    """Opcodes first to last that no instruction may take yet."""

    first: int
    last: int
    purpose: str


@dataclass(frozen=True)
class Isa:
    """An instruction set. Two are equal when their canonical content (`hash`) is.

    `hash` is the sha256 of everything the table says, meanings included and layout of the file
    excluded; `encoding_hash` leaves meanings out, so that a frozen version may mend its prose.
    """

    version: str
    state: str
    word_bits: int
    hash: str
    encoding_hash: str
    kinds: Mapping[str, Kind] = field(compare=False, repr=False)
    instructions: Mapping[str, InstructionSpec] = field(compare=False, repr=False)
    opcodes: Mapping[int, InstructionSpec] = field(compare=False, repr=False)
    records: Mapping[str, RecordSpec] = field(compare=False, repr=False)
    reserved: tuple[Reserve, ...] = field(compare=False, repr=False)
    source: str = field(default="", compare=False)

    @property
    def release(self) -> tuple[int, ...]:
        """Its version as numbers, which compare: 0.10 comes after 0.9."""
        return tuple(map(int, self.version.split(".")))

    @property
    def opcode_low(self) -> int:
        """Lowest bit of the opcode."""
        return self.word_bits - OPCODE_BITS

    @property
    def max_operands(self) -> int:
        """Most operands that an instruction has."""
        return max((len(spec.operands) for spec in self.instructions.values()), default=0)

    def reserve_of(self, opcode: int) -> Reserve | None:
        """Return the reserved range that holds an opcode, or None."""
        return next((r for r in self.reserved if r.first <= opcode <= r.last), None)


def _mask(fields: Iterable[Field]) -> int:
    return sum(f.mask for f in fields)
