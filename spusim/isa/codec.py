"""Instructions and records to words and back; both refuse what the table does not say."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spusim.isa.spec import Field, InstructionSpec, Isa, IsaError, RecordSpec


@dataclass(frozen=True)
class Instruction:
    """A decoded instruction; operands by name in table order, enumerations as their index."""

    mnemonic: str
    opcode: int
    unit: str
    operands: dict[str, int]


def encode(isa: Isa, mnemonic: str, operands: Mapping[str, int]) -> int:
    """Return the word of an instruction; operands left out have their defaults.

    Raises IsaError unless every operand without one is given, and all fit.
    """
    spec = isa.instructions.get(mnemonic)
    if spec is None:
        raise IsaError(
            f"instruction {mnemonic!r} is not in ISA {isa.version}; "
            f"it has {', '.join(isa.instructions)}"
        )
    return spec.opcode << isa.opcode_low | _pack(mnemonic, spec.operands, operands)


def decode(isa: Isa, word: int) -> Instruction:
    """Return the instruction of a word; raises IsaError with the reason where there is none."""
    word = int(word)
    spec = _spec_of(isa, word)
    unset = word & ~spec.operand_mask & ((1 << isa.opcode_low) - 1)
    if unset:
        raise IsaError(
            f"word {word:#018x}: {spec.mnemonic} does not use bits {unset:#x}, they must be zero; "
            f"recompile, or assemble it again"
        )
    try:
        operands = _unpack(spec.mnemonic, spec.operands, word)
    except IsaError as error:
        raise IsaError(f"word {word:#018x}: {error}") from error
    return Instruction(spec.mnemonic, spec.opcode, spec.unit, operands)


def decode_all(isa: Isa, words: np.ndarray | Sequence[int]) -> list[Instruction]:
    """Return the instructions of words (n,) uint64; IsaError names the first bad one's index."""
    instructions = []
    for index, word in enumerate(_as_words(words).tolist()):
        try:
            instructions.append(decode(isa, word))
        except IsaError as error:
            raise IsaError(f"instruction {index}: {error}") from error
    return instructions


def decode_table(isa: Isa, words: np.ndarray | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return opcodes (n,) int64 and operands (n, isa.max_operands) int64 of words (n,) uint64.

    Operands stand in table order, zero-filled. Refuses exactly what `decode_all` refuses.
    """
    words = _as_words(words)
    opcodes = (words >> np.uint64(isa.opcode_low)).astype(np.int64)
    fields = np.zeros((len(words), isa.max_operands), dtype=np.int64)
    low_bits = (1 << isa.opcode_low) - 1
    good = True
    for opcode in np.unique(opcodes).tolist():
        rows = np.flatnonzero(opcodes == opcode)
        spec = isa.opcodes.get(opcode)
        if spec is None:
            good = False
            break
        good &= not np.any(words[rows] & np.uint64(low_bits & ~spec.operand_mask))
        for column, operand in enumerate(spec.operands):
            values = _column(words[rows], operand)
            good &= bool(np.all(values <= operand.largest))
            fields[rows, column] = values
    if not good:
        decode_all(isa, words)  # raises, with the first bad word's reason
    return opcodes, fields


def encode_record(isa: Isa, record: str, fields: Mapping[str, int]) -> tuple[int, ...]:
    """Return the words of a descriptor record; raises IsaError unless every field fits."""
    spec = _record(isa, record)
    whole = _pack(f"record {record}", spec.fields, fields)
    mask = (1 << isa.word_bits) - 1
    return tuple(whole >> (isa.word_bits * i) & mask for i in range(spec.words))


def decode_record(isa: Isa, record: str, words: Iterable[int]) -> dict[str, int]:
    """Return the fields of a descriptor record; raises IsaError on words it cannot have."""
    spec, values = _record(isa, record), [int(w) for w in words]
    if len(values) != spec.words or any(w < 0 or w >> isa.word_bits for w in values):
        raise IsaError(
            f"record {record} has {spec.words} words of {isa.word_bits} bits, not {len(values)}: "
            f"{values}"
        )
    whole = sum(w << (isa.word_bits * i) for i, w in enumerate(values))
    if whole & ~spec.field_mask:
        raise IsaError(
            f"record {record}: bits {whole & ~spec.field_mask:#x} belong to no field and must be "
            f"zero; recompile"
        )
    return _unpack(f"record {record}", spec.fields, whole)


def check_value(what: str, field: Field, value: int) -> int:
    """Return value as an int; raises IsaError if it is none or does not fit the field."""
    try:
        number = operator.index(value)
    except TypeError as error:
        raise IsaError(f"{what}: {field.name} (={value!r}) must be an integer") from error
    if field.smallest <= number <= field.largest:
        return number
    if field.kind.names:
        choices = ", ".join(f"{i} ({n})" for i, n in enumerate(field.kind.names))
        raise IsaError(f"{what}: {field.name} (={number}) must be one of {choices}")
    raise IsaError(
        f"{what}: {field.name} (={number}) must be {field.smallest} to {field.largest}, "
        f"which its {field.bits} bits hold"
    )


def _as_words(words: np.ndarray | Sequence[int]) -> np.ndarray:
    if not isinstance(words, np.ndarray):
        if any(not 0 <= word < 1 << 64 for word in words):
            raise IsaError(f"instruction words must fit in 64 bits, unsigned: {[*words]}")
        words = np.array(words, dtype=np.uint64)
    if words.dtype != np.uint64 or words.ndim != 1:
        raise IsaError(
            f"instruction words must be a (n,) uint64 array, not {words.shape} {words.dtype}"
        )
    return words


def _spec_of(isa: Isa, word: int) -> InstructionSpec:
    opcode = word >> isa.opcode_low
    spec = isa.opcodes.get(opcode)
    if spec is not None:
        return spec
    if not 0 <= word < 1 << isa.word_bits:
        raise IsaError(f"word {word:#x} has more than the {isa.word_bits} bits of an instruction")
    reserve = isa.reserve_of(opcode)
    why = f"reserved for {reserve.purpose}" if reserve else "unknown"
    raise IsaError(
        f"word {word:#018x}: opcode {opcode:#04x} is {why} in ISA {isa.version}; "
        f"this is not code, or code of another ISA version: recompile"
    )


def _record(isa: Isa, name: str) -> RecordSpec:
    if name not in isa.records:
        raise IsaError(f"record {name!r} is not in ISA {isa.version}; it has {[*isa.records]}")
    return isa.records[name]


def _pack(what: str, fields: Sequence[Field], values: Mapping[str, int]) -> int:
    names = [f.name for f in fields]
    values = {f.name: f.default for f in fields if f.default is not None} | dict(values)
    missing = [n for n in names if n not in values]
    unknown = [n for n in values if n not in names]
    if missing or unknown:
        wrong = [f"has no {n}" for n in unknown] + [f"lacks {n}" for n in missing]
        raise IsaError(
            f"{what}: {', '.join(map(str, wrong))}; it takes {', '.join(names) or 'nothing'}"
        )
    whole = 0
    for f in fields:
        value = check_value(what, f, values[f.name])
        whole |= (value & ((1 << f.bits) - 1)) << f.low
    return whole


def _unpack(what: str, fields: Sequence[Field], whole: int) -> dict[str, int]:
    values = {}
    for f in fields:
        value = (whole & f.mask) >> f.low
        if f.kind.signed and value >> (f.bits - 1):
            value -= 1 << f.bits
        values[f.name] = check_value(what, f, value)
    return values


def _column(words: np.ndarray, operand: Field) -> np.ndarray:
    """Return an operand of words (n,) uint64 as (n,) int64."""
    # shifting the field to the top and back down again extends its sign
    up, down = 63 - operand.high, 64 - operand.bits
    top = words << np.uint64(up)
    if operand.kind.signed:
        return top.view(np.int64) >> np.int64(down)
    return (top >> np.uint64(down)).astype(np.int64)
