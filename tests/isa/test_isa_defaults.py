"""Operands with a default: assembly may leave them out, and disassembly does."""

import numpy as np
import pytest

from spusim.isa import (
    AssemblyError,
    IsaError,
    assemble,
    decode,
    diff_tables,
    disassemble,
    encode,
    load_isa,
)

HEAD = """version 1.0 draft
word 64
kind int unsigned
kind way near,far,up
"""
PLAIN = HEAD + 'go 0x01 sequencer n:int@0+8 "Go."\n'
WITH = HEAD + 'go 0x01 sequencer n:int@0+8 by:way@8+2=near k:int@10+4=3 "Go."\n'


def table(tmp_path, text, name="t"):
    """Return the table of a text."""
    path = tmp_path / f"{name}.isa"
    path.write_text(text)
    return load_isa(path)


def test_what_is_left_out_is_encoded_as_the_default(tmp_path):
    isa = table(tmp_path, WITH)
    assert encode(isa, "go", {"n": 5}) == encode(isa, "go", {"n": 5, "by": 0, "k": 3})
    assert decode(isa, encode(isa, "go", {"n": 5})).operands == {"n": 5, "by": 0, "k": 3}
    with pytest.raises(IsaError, match="go: lacks n"):
        encode(isa, "go", {"by": 1})


def test_assembly_leaves_out_and_disassembly_too(tmp_path):
    isa = table(tmp_path, WITH)
    code = assemble("go 1\ngo n=2, k=4\ngo 3, far\ngo 4, by=up, k=0\n", "t", isa)
    operands = [decode(isa, int(word)).operands for word in code.words]
    assert [tuple(o.values()) for o in operands] == [(1, 0, 3), (2, 0, 4), (3, 1, 3), (4, 2, 0)]
    text = disassemble(isa, code.words)
    lines = [line.split(";")[0].strip() for line in text.splitlines()]
    assert lines == ["go n=1", "go n=2, k=4", "go n=3, by=far", "go n=4, by=up, k=0"]
    assert np.array_equal(assemble(text, "t", isa).words, code.words)
    with pytest.raises(AssemblyError, match=r"lacks n; go takes n, by \(or not\), k \(or not\)"):
        assemble("go by=far", "t", isa)


@pytest.mark.parametrize(
    ("operand", "reason"),
    [
        ("by:way@8+2=down", "default 'down' is no value of way; use near, far, up"),
        ("k:int@8+2=near", "default 'near' is no value of int; use a number"),
        ("k:int@8+2=4", "k's default 4 does not fit its 2 bits"),
    ],
)
def test_defaults_must_be_values(tmp_path, operand, reason):
    with pytest.raises(IsaError, match=reason):
        table(tmp_path, HEAD + f'go 0x01 sequencer n:int@0+8 {operand} "Go."\n')


def test_a_default_keeps_old_assembly_and_zero_keeps_its_words(tmp_path):
    old = table(tmp_path, PLAIN)
    zero = table(tmp_path, WITH.replace(" k:int@10+4=3", ""), "zero")
    added = diff_tables(old, zero)
    assert not added.breaks_binaries and not added.rewords_assembly
    assert all("name" in reason for reason in added.breaks_assembly)  # near, far and up are taken
    other = diff_tables(old, table(tmp_path, WITH, "other"))
    assert any("k is set where it is left out" in reason for reason in other.rewords_assembly)
    without = table(tmp_path, WITH.replace("=near", ""), "without")
    lost = diff_tables(table(tmp_path, WITH, "with"), without)
    assert any("by must be given now" in reason for reason in lost.breaks_assembly)
    moved = diff_tables(
        table(tmp_path, WITH, "with"), table(tmp_path, WITH.replace("=near", "=up"), "up")
    )
    assert any("by left out was 0, is 2" in reason for reason in moved.rewords_assembly)


def test_the_table_that_ships_rounds_as_the_architecture_by_default():
    isa = load_isa()
    (field,) = (f for f in isa.instructions["vset"].operands if f.name == "rounding")
    assert (field.low, field.bits, field.default) == (43, 2, 0)
    assert field.kind.names == ("arch", "floor", "half_up", "half_even")
