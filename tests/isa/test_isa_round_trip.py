"""Any encodable word disassembles and assembles back; any other word is refused, by all doors."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spusim.isa import (
    InstructionSpec,
    IsaError,
    assemble,
    decode,
    decode_table,
    disassemble,
    encode,
    load_isa,
)

ISA = load_isa()
EVERY = settings(max_examples=400, deadline=None, derandomize=True)


def corners(smallest: int, largest: int) -> st.SearchStrategy[int]:
    """Values of a field, its limits often."""
    return st.sampled_from([smallest, largest]) | st.integers(smallest, largest)


def encoded(spec: InstructionSpec) -> st.SearchStrategy[int]:
    values = {f.name: corners(f.smallest, f.largest) for f in spec.operands}
    return st.fixed_dictionaries(values).map(lambda o: encode(ISA, spec.mnemonic, o))


ENCODED = st.sampled_from([*ISA.instructions.values()]).flatmap(encoded)
# an encoded word with a few bits flipped is close to the border between the two kinds
FLIPPED = st.tuples(ENCODED, st.sets(st.integers(0, 63), max_size=3)).map(
    lambda pair: pair[0] ^ sum(1 << bit for bit in pair[1])
)
ANY = FLIPPED | st.integers(0, 2**64 - 1) | st.integers(0, 255).map(lambda opcode: opcode << 56)


def is_encodable(word: int) -> bool:
    """Tell by the table alone whether some instruction with operands in range has this word."""
    spec = ISA.opcodes.get(word >> 56)
    if spec is None or word & ~spec.operand_mask & ((1 << 56) - 1):
        return False
    values = [(f, word >> f.low & ((1 << f.bits) - 1)) for f in spec.operands]
    return all(not f.kind.names or value < len(f.kind.names) for f, value in values)


def back(word: int) -> int:
    """Disassemble and assemble."""
    text = disassemble(ISA, np.array([word], np.uint64))
    return int(assemble(text, "t").words[0])


def refused(call: object, *arguments: object) -> bool:
    try:
        call(*arguments)  # type: ignore[operator]
    except IsaError:
        return True
    return False


@EVERY
@given(ENCODED)
def test_an_encodable_word_comes_back(word: int) -> None:
    assert is_encodable(word)
    assert back(word) == word
    instruction = decode(ISA, word)
    assert encode(ISA, instruction.mnemonic, instruction.operands) == word


@EVERY
@given(ANY)
@example(0x04 << 56 | 3 << 16)
@example(0x02 << 56 | 1 << 10)
def test_any_word_comes_back_or_every_door_refuses_it(word: int) -> None:
    words = np.array([word], np.uint64)
    if is_encodable(word):
        assert back(word) == word
        assert decode_table(ISA, words)[0].tolist() == [word >> 56]
        return
    assert refused(decode, ISA, word)
    assert refused(decode_table, ISA, words)
    assert refused(disassemble, ISA, words)


def test_every_opcode_is_an_instruction_or_refused() -> None:
    known = [opcode for opcode in range(256) if not refused(decode, ISA, opcode << 56)]
    assert known == sorted(ISA.opcodes)


def test_every_single_bit_of_every_instruction_comes_back_or_is_refused() -> None:
    for spec in ISA.instructions.values():
        for bit in range(56):
            word = spec.opcode << 56 | 1 << bit
            assert refused(decode, ISA, word) != is_encodable(word), (spec.mnemonic, bit)
            if is_encodable(word):
                assert back(word) == word
