"""Instruction words to assembly that assembles to the same words."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from spusim.isa.codec import Instruction, decode_all
from spusim.isa.names import CORES_KIND, HOST, HOST_BIT, IDENTIFIER, value_names
from spusim.isa.spec import Field, Isa, IsaError

INDENT = "  "
MAX_INDENTS = 4


def disassemble(
    isa: Isa,
    words: np.ndarray | Sequence[int],
    comments: Mapping[int, str] | None = None,
    threads: Iterable[tuple[str, int, int]] = (),
) -> str:
    """Return assembly of words (n,) uint64: named operands, and addresses in comments.

    comments: instruction index -> text; threads: (name, entry, tokens), thread 0 first. Raises
    IsaError for a word that is no instruction, or a comment or thread outside the code.
    """
    instructions = decode_all(isa, words)
    marks = _thread_marks(list(threads), len(instructions))
    notes = dict(comments or {})
    stray = [index for index in notes if not 0 <= index < len(instructions)]
    if stray:
        raise IsaError(
            f"comments are at {stray}, outside the {len(instructions)} instructions; remove them"
        )
    indents = _indents(instructions)
    texts = [
        INDENT * (1 + indent) + operand_text(isa, instruction)
        for indent, instruction in zip(indents, instructions, strict=True)
    ]
    width = max(map(len, texts), default=0)
    lines = []
    for index, text in enumerate(texts):
        lines += marks[index]
        note = " ".join(notes.get(index, "").split())
        lines.append(f"{text:<{width}}  ; {index:>4} {note}".rstrip())
    return "".join(f"{line}\n" for line in lines)


def operand_text(isa: Isa, instruction: Instruction) -> str:
    """Return one instruction as assembly, operands by name; those at their default are left out."""
    spec = isa.instructions[instruction.mnemonic]
    operands = ", ".join(
        f"{field.name}={_value_text(field, instruction.operands[field.name])}"
        for field in spec.operands
        if instruction.operands[field.name] != field.default
    )
    width = max(map(len, isa.instructions))
    return f"{instruction.mnemonic:<{width}} {operands}".rstrip()


def _value_text(field: Field, value: int) -> str:
    if field.kind.name == CORES_KIND:
        bits = (bit for bit in range(field.bits) if value >> bit & 1)
        return "{" + ",".join(HOST if bit == HOST_BIT else str(bit) for bit in bits) + "}"
    names = {number: name for name, number in value_names(field).items()}
    return names.get(value, str(value))


def _thread_marks(threads: list[tuple[str, int, int]], size: int) -> dict[int, list[str]]:
    """Return entry -> `.thread` lines; numbers are written where order alone would lose them."""
    entries = [entry for _, entry, _ in threads]
    numbered = entries != sorted(entries)
    marks: dict[int, list[str]] = defaultdict(list)
    for number, (name, entry, tokens) in enumerate(threads):
        if not 0 <= entry < size:
            raise IsaError(
                f"thread {name!r} starts at {entry}, outside the {size} instructions; recompile"
            )
        suffix = f" number={number}" if numbered else ""
        marks[entry].append(f".thread {_thread_name(name)} tokens={tokens}{suffix}")
    return marks


def _thread_name(name: str) -> str:
    if IDENTIFIER.fullmatch(name):
        return name
    if '"' in name or not name.isprintable():
        raise IsaError(f"thread name {name!r} holds quotes or control characters; rename it")
    return f'"{name}"'


def _indents(instructions: list[Instruction]) -> list[int]:
    """Return how many loops each instruction lies in, at most MAX_INDENTS."""
    ends: list[int] = []
    indents = []
    for index, instruction in enumerate(instructions):
        ends = [end for end in ends if end > index]
        indents.append(min(len(ends), MAX_INDENTS))
        if instruction.mnemonic == "loop":
            ends.append(index + 1 + instruction.operands["body"])
    return indents
