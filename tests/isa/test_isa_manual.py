"""The manual and the facts come from the table and change with it."""

import importlib
import re
from itertools import pairwise

import pytest

from spusim.isa import IsaError, check, load_isa, manual, read_isa

ISA = load_isa()
SMALL = read_isa(
    "version 0.3 frozen\nword 64\nkind int unsigned\n"
    'a 0x02 vector x:int@0+1 y:int@4+8 "Do a | b."\nreserve 0x40-0x4f "later"\n'
    'record r words=2 f:int@64+64 "An r."',
    "small.isa",
)


def test_manual_has_every_instruction_record_and_reserve():
    text = manual(ISA)
    for spec in ISA.instructions.values():
        assert f"### {spec.mnemonic}\n\n{spec.meaning}" in text
        assert f"| `{spec.opcode:#04x}` |" in text
    for reserve in ISA.reserved:
        assert reserve.purpose in text
    assert (
        "### Record matrix" in text
        and f"Version {ISA.version}, {ISA.state}" in text
        and ISA.hash in text
    )


def test_diagram_draws_fields_and_gaps_from_the_highest_bit():
    assert manual(SMALL).split("### a\n")[1].split("```")[1] == (
        "text\n"
        "  63 56   55 12   11 4   3 1   0\n"
        "+-------+-------+------+-----+---+\n"
        "| 0x02  |   0   |  y   |  0  | x |\n"
        "+-------+-------+------+-----+---+\n"
    )


def test_boxes_of_every_diagram_fill_the_word():
    diagrams = re.findall(r"```text\n(.*)\n(.*)\n", manual(ISA))
    assert len(diagrams) == 1 + len(ISA.instructions) + 11  # layout, and the records' words
    for scale, rule in diagrams:
        edges = [match.start() for match in re.finditer(r"\+", rule)]
        top = 63
        for left, right in pairwise(edges):
            ends = [int(bit) for bit in scale[left:right].split()]
            assert ends[0] == top
            top = ends[-1] - 1
        assert top == -1


def test_bars_do_not_break_tables():
    assert "Do a \\| b." in manual(SMALL)


def test_units_without_instructions_are_left_out():
    assert "## Unit: vector" in manual(SMALL) and "## Unit: engine" not in manual(SMALL)


def test_check_counts():
    facts = check(SMALL)
    assert facts[0] == f"ISA 0.3 (frozen), sha256 {SMALL.hash}"
    assert "1 instructions: sequencer 0, engine 0, vector 1, router 0, dma 0" in facts
    assert "opcodes: 1 used, 16 reserved in 1 ranges, 239 free of 256" in facts
    assert "a: 47 of 56 bits unset (55..12, 3..1)" in facts
    assert "record r: 64 of 128 bits unset (63..0)" in facts
    assert facts[-1] == "all encodings round-trip at their operands' extremes (6 words)"


def test_check_of_the_shipped_table_passes():
    facts = check(ISA)
    assert len(facts) == 5 + len(ISA.instructions) + len(ISA.records)


def test_check_finds_a_codec_that_loses_bits(monkeypatch):
    # the package gives its name to the function
    module = importlib.import_module("spusim.isa.manual")
    monkeypatch.setattr(module, "encode", lambda isa, mnemonic, operands: 2 << 56)
    with pytest.raises(IsaError, match="decodes to a"):
        check(SMALL)
