"""Encoding and decoding agree with the table and refuse everything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.isa import (
    IsaError,
    decode,
    decode_all,
    decode_record,
    decode_table,
    encode,
    encode_record,
    load_isa,
    read_isa,
)

ISA = load_isa()
RULES = settings(max_examples=100, deadline=None, derandomize=True)


def values_of(fields):
    """Strategy of operand dicts within the fields' ranges."""
    return st.fixed_dictionaries({f.name: st.integers(f.smallest, f.largest) for f in fields})


INSTRUCTIONS = st.sampled_from(list(ISA.instructions.values())).flatmap(
    lambda spec: st.tuples(st.just(spec.mnemonic), values_of(spec.operands))
)


def test_encoding_is_the_documented_bits():
    word = encode(ISA, "spmv", {"m": 0xAB, "src": 0x1234, "acc": 0x56789})
    assert word == 0x10 << 56 | 0x56789 << 24 | 0x1234 << 8 | 0xAB


def test_signed_operands_are_twos_complement():
    operands = {"len": 1, "wa": 0, "wb": 1, "wd": 2, "sa": -1, "sb": -64, "sd": 63, "rounding": 2,
                "stochastic": 1, "binary": 5}  # fmt: skip
    word = encode(ISA, "vset", operands)
    assert word >> 22 & 0x7F == 0x7F
    assert word >> 29 & 0x7F == 0x40
    assert decode(ISA, word).operands == operands


def test_decoded_instruction_names_opcode_and_unit():
    instruction = decode(ISA, 0x30 << 56 | 1 << 15)
    assert (instruction.mnemonic, instruction.opcode, instruction.unit) == ("send", 0x30, "router")
    assert list(instruction.operands) == ["dest", "channel", "src", "words", "thread"]
    assert instruction.operands["dest"] == 1 << 15


@RULES
@given(INSTRUCTIONS)
def test_round_trip(case):
    mnemonic, operands = case
    instruction = decode(ISA, encode(ISA, mnemonic, operands))
    assert (instruction.mnemonic, instruction.operands) == (mnemonic, operands)


@RULES
@given(st.integers(0, 2**64 - 1), st.sampled_from([*ISA.opcodes, 0x0F, 0x14, 0xFF]))
def test_a_word_is_an_encoding_or_refused(low, opcode):
    word = low & (2**56 - 1) | opcode << 56
    spec = ISA.opcodes.get(opcode)
    try:
        instruction = decode(ISA, word)
    except IsaError:
        bad_name = spec is not None and any(
            word >> f.low & (2**f.bits - 1) >= len(f.kind.names)
            for f in spec.operands
            if f.kind.names
        )
        assert spec is None or bad_name or word & ~spec.operand_mask & (2**56 - 1)
    else:
        assert encode(ISA, instruction.mnemonic, instruction.operands) == word


@RULES
@given(INSTRUCTIONS, st.data())
def test_every_unused_bit_is_refused(case, data):
    spec = ISA.instructions[case[0]]
    unused = [bit for bit in range(56) if not spec.operand_mask >> bit & 1]
    if unused:
        bit = data.draw(st.sampled_from(unused))
        with pytest.raises(IsaError, match="must be zero"):
            decode(ISA, encode(ISA, *case) | 1 << bit)


@pytest.mark.parametrize(
    "mnemonic, operands, reason",
    [
        ("vmov", {"d": 1}, "lacks a"),
        ("vmov", {"d": 1, "a": 2, "b": 3}, "has no b"),
        ("vmov", {"d": 65536, "a": 2}, r"d \(=65536\) must be 0 to 65535"),
        ("vmov", {"d": -1, "a": 2}, r"d \(=-1\) must be 0 to 65535"),
        ("vmov", {"d": 1.0, "a": 2}, "must be an integer"),
        ("vfill", {"d": 1, "value": 2**31}, "must be -2147483648 to 2147483647"),
        ("vmove", {}, "'vmove' is not in ISA"),
    ],
)
def test_bad_operands_are_refused(mnemonic, operands, reason):
    with pytest.raises(IsaError, match=reason):
        encode(ISA, mnemonic, operands)


def test_enumerations_are_refused_beyond_their_names():
    isa = read_isa(
        "version 1.0 draft\nword 64\nkind width 8,16,32\n"
        'set 0x04 vector wa:width@16+2 wb:width@18+2 "Set."\n',
        "t",
    )
    operands = {"wa": 0, "wb": 0}
    with pytest.raises(IsaError, match=r"wb \(=3\) must be one of 0 \(8\), 1 \(16\), 2 \(32\)"):
        encode(isa, "set", operands | {"wb": 3})
    with pytest.raises(IsaError, match=r"word 0x04\S+: set: wa \(=3\)"):
        decode(isa, encode(isa, "set", operands) | 3 << 16)


@pytest.mark.parametrize(
    "word, reason",
    [
        (0x45 << 56, "reserved for convolutions"),
        (0xFF << 56, "opcode 0xff is unknown in ISA"),
        (1 << 64, "more than the 64 bits"),
        (-1, "more than the 64 bits"),
        (1, "nop does not use bits 0x1"),
    ],
)
def test_words_that_are_no_instruction_say_why(word, reason):
    with pytest.raises(IsaError, match=reason):
        decode(ISA, word)


@RULES
@given(st.lists(INSTRUCTIONS, max_size=20))
def test_table_of_fields_equals_decoding_one_by_one(cases):
    words = np.array([encode(ISA, *case) for case in cases], dtype=np.uint64)
    opcodes, fields = decode_table(ISA, words)
    most = max(len(spec.operands) for spec in ISA.instructions.values())
    assert fields.shape == (len(cases), most) and fields.dtype == np.int64
    for row, instruction in enumerate(decode_all(ISA, words)):
        values = list(instruction.operands.values())
        assert opcodes[row] == instruction.opcode
        assert fields[row].tolist() == values + [0] * (most - len(values))


@pytest.mark.parametrize("bad", [0x45 << 56, 1, 0x04 << 56 | 1 << 50, 0xFF << 56])
@pytest.mark.parametrize("after", [[], [0xFE << 56]])
@pytest.mark.parametrize("decoder", [decode_all, decode_table])
def test_first_bad_word_of_many_is_named(decoder, bad, after):
    # good words of the same opcodes around it, so that it is the only reason
    words = np.array([0x04 << 56, bad, 0, 0x04 << 56, *after], dtype=np.uint64)
    with pytest.raises(IsaError, match="instruction 1: word"):
        decoder(ISA, words)


def test_words_must_be_unsigned_and_flat():
    with pytest.raises(IsaError, match="uint64"):
        decode_table(ISA, np.zeros(3, dtype=np.int64))
    with pytest.raises(IsaError, match="uint64"):
        decode_all(ISA, np.zeros((3, 1), dtype=np.uint64))
    with pytest.raises(IsaError, match="64 bits"):
        decode_all(ISA, [-1])


def test_short_words_of_a_narrow_isa():
    text = 'version 1.0 draft\nword 32\nkind imm signed\na 0x7f vector x:imm@0+24 "A."'
    isa = read_isa(text, "t")
    words = np.array([encode(isa, "a", {"x": -5}), 0x7F000003], dtype=np.uint64)
    assert decode_table(isa, words)[1].tolist() == [[-5], [3]]
    with pytest.raises(IsaError, match="more than the 32 bits"):
        decode_table(isa, words + np.uint64(2**32))


@RULES
@given(values_of(ISA.records["matrix"].fields))
def test_records_round_trip(fields):
    words = encode_record(ISA, "matrix", fields)
    assert len(words) == 4 and all(0 <= word < 2**64 for word in words)
    assert decode_record(ISA, "matrix", words) == fields


def test_record_bits_are_the_documented_ones():
    fields = dict.fromkeys((f.name for f in ISA.records["matrix"].fields), 0)
    words = encode_record(ISA, "matrix", fields | {"format": 3, "rows": 5, "index_words": 7})
    assert words == (3, 5, 0, 7 << 32)


@pytest.mark.parametrize(
    "words, reason",
    [
        ((1 << 63,), "belong to no field"),
        ((0, 0), "has 1 words of 64 bits, not 2"),
        ((1 << 64,), "has 1 words of 64 bits"),
    ],
)
def test_bad_record_words_are_refused(words, reason):
    with pytest.raises(IsaError, match=reason):
        decode_record(ISA, "table", words)


def test_bad_record_fields_are_refused():
    with pytest.raises(IsaError, match="record table: lacks address_bits"):
        encode_record(ISA, "table", {"base": 0})
    with pytest.raises(IsaError, match="'tensor' is not in ISA"):
        encode_record(ISA, "tensor", {})
    with pytest.raises(IsaError, match=r"format \(=15\) must be one of 0 \(dense\)"):
        encode_record(ISA, "matrix", dict.fromkeys(
            (f.name for f in ISA.records["matrix"].fields), 0) | {"format": 15})  # fmt: skip
