"""The diff of two tables: each kind of change, and verdicts that equal trying every word."""

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spusim.isa import (
    AssemblyError,
    Instruction,
    Isa,
    IsaError,
    assemble,
    decode,
    diff_tables,
    encode,
    load_isa,
    read_isa,
)
from spusim.isa.disassembler import operand_text
from spusim.isa.operands import value_names
from spusim.resources import shipped

HEAD = (
    "version 0.1 draft\nword 64\nkind int unsigned\nkind shift signed\nkind size 8,16,32\n"
    "kind table unsigned\nkind cores unsigned\n"
)
BASE = (
    'a 0x01 vector x:int@0+4 y:shift@8+3 s:size@12+2 "Do a."\n'
    'b 0x02 vector "Do it."\nreserve 0x10-0x1f "later"\nrecord r words=1 f:int@0+8 "An r."'
)


def table(lines: str, head: str = HEAD) -> Isa:
    return read_isa(f"{head}{lines}\n", "t.isa")


def diff(old: str, new: str, base: str = BASE):
    """Return the diff of the base table with one text replaced."""
    assert old in HEAD + base
    text = HEAD + base
    return diff_tables(table(base), read_isa(text.replace(old, new, 1), "new.isa"))


# what is done -> (text, its replacement), changes' (subject, kind), broken: binaries, assembly,
# words
CHANGES = {
    "nothing": ("Do a.", "Do  a.", [], ""),
    "meaning": ("Do a.", "Do more.", [("instruction a", "meaning")], ""),
    "added": ("b 0x02", 'c 0x03 vector "C."\nb 0x02', [("instruction c", "added")], ""),
    "removed": ('b 0x02 vector "Do it."', "", [("instruction b", "removed")], "ba"),
    "renamed": ("b 0x02", "bee 0x02", [("instruction b", "renamed")], "a"),
    "replaced": (
        'b 0x02 vector "Do it."',
        'c 0x02 vector "Do others."',
        [("instruction b", "removed"), ("instruction c", "added")],
        "ba",
    ),
    "opcode": ("b 0x02", "b 0x03", [("instruction b", "opcode moved")], "bw"),
    "unit": ("b 0x02 vector", "b 0x02 router", [("instruction b", "unit")], "t"),
    "moved": ("x:int@0+4", "x:int@4+4", [("instruction a", "operand moved")], "bw"),
    "widened into zeros": ("x:int@0+4", "x:int@0+8", [("instruction a", "operand widened")], ""),
    "widened sign": ("y:shift@8+3", "y:shift@8+4", [("instruction a", "operand widened")], "bw"),
    "narrowed": ("x:int@0+4", "x:int@0+3", [("instruction a", "operand narrowed")], "ba"),
    "unused bits dropped": (
        "y:shift@8+3 s:size@12+2",
        "y:shift@8+3 s:size@12+3",
        [("instruction a", "operand widened")],
        "",
    ),
    "became signed": (
        "x:int@0+4",
        "x:shift@0+4",
        [("instruction a", "operand of another kind")],
        "ba",
    ),
    "became signed, wider": (
        "x:int@0+4",
        "x:shift@0+5",
        [("instruction a", "operand widened, of another kind")],
        "",
    ),
    "operand renamed": ("x:int@0+4", "z:int@0+4", [("instruction a", "operand renamed")], "a"),
    "operand added": (
        "s:size@12+2",
        "s:size@12+2 z:int@20+4",
        [("instruction a", "operand added")],
        "a",
    ),
    "operand removed": ("x:int@0+4 ", "", [("instruction a", "operand removed")], "ba"),
    "operands reordered": (
        "x:int@0+4 y:shift@8+3",
        "y:shift@8+3 x:int@0+4",
        [("instruction a", "operands reordered")],
        "aw",
    ),
    "names swapped": (
        "x:int@0+4 y:shift@8+3",
        "y:int@0+4 x:shift@8+3",
        [("instruction a", "operand moved, narrowed, of another kind")] ,
        "baw",
    ),
    "enumerator added": ("8,16,32", "8,16,32,4", [("kind size", "changed")], ""),
    "enumerators reordered": (
        "8,16,32",
        "8,32,16",
        [("instruction a", "operand of another kind"), ("kind size", "changed")],
        "bw",
    ),
    "enumerator removed": (
        "8,16,32",
        "8,16",
        [("instruction a", "operand of another kind"), ("kind size", "changed")],
        "ba",
    ),
    "name taken": (
        "8,16,32",
        "8,16,32,wide",
        [("kind size", "changed"), ("name wide", "taken")],
        "a",
    ),
    "record widened": ("f:int@0+8", "f:int@0+9", [("record r", "field widened")], ""),
    "record narrowed": ("f:int@0+8", "f:int@0+7", [("record r", "field narrowed")], "b"),
    "record moved": ("f:int@0+8", "f:int@8+8", [("record r", "field moved")], "b"),
    "record field added": ("f:int@0+8", "f:int@0+8 g:int@9+1", [("record r", "field added")], ""),
    "record field renamed": ("f:int@0+8", "g:int@0+8", [("record r", "field renamed")], ""),
    "record longer": ("words=1", "words=2", [("record r", "words")], "b"),
    "record removed": (
        'record r words=1 f:int@0+8 "An r."',
        "",
        [("record r", "removed")],
        "b",
    ),
    "record added": (
        "record r words=1",
        'record q words=1 "A q."\nrecord r words=1',
        [("record q", "added")],
        "",
    ),
    "reservation taken": (
        'reserve 0x10-0x1f "later"',
        'c 0x10 vector "C."\nreserve 0x11-0x1f "later"',
        [("instruction c", "added, reservation taken"), ("reserve 0x10-0x1f", "changed")],
        "",
    ),
    "reserved": (
        'reserve 0x10-0x1f "later"',
        'reserve 0x10-0x1f "later"\nreserve 0x20-0x20 "x"',
        [("reserve 0x20-0x20", "added")],
        "",
    ),
    "no longer reserved": (
        'reserve 0x10-0x1f "later"',
        "",
        [("reserve 0x10-0x1f", "changed")],
        "",
    ),
}  # fmt: skip


def broken(found) -> str:
    reasons = {
        "b": found.breaks_binaries,
        "a": found.breaks_assembly,
        "w": found.rewords_assembly,
        "t": found.retimes,
    }
    return "".join(letter for letter, why in reasons.items() if why)


@pytest.mark.parametrize("old, new, changes, breaks", CHANGES.values(), ids=CHANGES.keys())
def test_each_change_is_told_with_what_it_breaks(old, new, changes, breaks):
    found = diff(old, new)
    told = [(c.subject, c.kind) for c in found.changes]
    assert told[: len(changes)] == changes
    assert broken(found) == breaks
    assert found.compatible == (not set(breaks) - {"t"})


def test_word_width_breaks_everything():
    old = table('a 0x01 vector "A."')
    new = table('a 0x01 vector "A."', HEAD.replace("word 64", "word 32"))
    assert broken(diff_tables(old, new)) == "bw"


def test_an_instruction_is_found_under_another_name_and_opcode():
    found = diff("b 0x02", "bee 0x05")
    assert [c.kind for c in found.changes] == ["renamed", "opcode moved"]
    assert broken(found) == "baw"


def test_a_mnemonic_in_its_own_meaning_does_not_hide_a_new_name():
    old, new = table('go 0x01 vector "As go."'), table('run 0x01 vector "As run."')
    assert [c.kind for c in diff_tables(old, new).changes] == ["renamed", "meaning"]


def test_reasons_name_the_operand_and_the_place():
    (reason,) = diff("x:int@0+4", "x:int@4+4").breaks_binaries
    assert reason == "instruction a: x was at bit 0, x is read from bit 4"


def test_taken_opcode_names_its_new_owner():
    found = diff('b 0x02 vector "Do it."', 'c 0x02 vector "Do others."')
    assert found.breaks_binaries == ("instruction b: opcode 0x02 is c now",)


def test_operand_that_takes_bits_of_another_breaks_binaries():
    old = table('a 0x01 vector x:int@0+4 y:int@4+4 "A."')
    new = table('a 0x01 vector x:int@0+8 "A."')
    found = diff_tables(old, new)
    assert "x reads bits that belonged to other operands" in found.breaks_binaries[0]


def test_names_of_tables_and_sets_of_cores_are_part_of_assembly():
    old = table('a 0x01 vector t:table@0+6 c:cores@16+16 "A."')
    new = table('a 0x01 vector t:int@0+6 c:int@16+16 "A."')
    found = diff_tables(old, new)
    assert found.breaks_assembly == (
        "instruction a: t no longer takes none, relu",
        "instruction a: c no longer takes sets of cores",
    )
    assert not found.breaks_binaries
    narrow = table('a 0x01 vector t:table@0+5 c:cores@16+16 "A."')
    assert "t no longer takes none, relu" in diff_tables(old, narrow).breaks_assembly[0]


def test_a_table_equals_itself():
    assert diff_tables(load_isa(), load_isa()).changes == ()


def test_every_line_of_the_shipped_table_matters():
    text = (shipped("isa") / "spu.isa").read_text()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        words = line.split()
        if not words or words[0][0] == "#" or words[0] in ("version", "word", "kind"):
            continue
        without = "\n".join(lines[:number] + lines[number + 1 :])
        found = diff_tables(load_isa(), read_isa(without, "t"))
        assert [c.subject.split()[-1].split("-")[0] for c in found.changes] == [
            words[1].split("-")[0] if words[0] in ("record", "reserve") else words[0]
        ]
        assert bool(found.breaks_binaries) == (words[0] != "reserve")


# verdicts against all words of small instructions

KINDS = (
    "kind int unsigned\nkind shift signed\nkind two 0,1\nkind size 0,2,1\nkind size2 0,1,2,3\n"
    "kind word one,two,three\n"
)


@st.composite
def operands(draw) -> str:
    """Return up to three operands in the lowest seven bits, as the table writes them."""
    names = draw(st.permutations(["x", "y", "z"]))[: draw(st.integers(1, 3))]
    places = draw(st.sampled_from([(0, 2, 4), (0, 3, 4), (0, 2, 5), (1, 3, 5), (4, 2, 0)]))
    texts = []
    for name, low in zip(names, places, strict=False):
        room = min([other for other in places if other > low], default=7) - low
        kind = draw(st.sampled_from(["int", "shift", "two", "size", "size2", "word"]))
        least = {"int": 1, "shift": 1, "two": 1}.get(kind, 2)
        if room < least:
            kind, least = "int", 1
        texts.append(f"{name}:{kind}@{low}+{draw(st.integers(least, room))}")
    return " ".join(texts)


def small(text: str, opcode: int = 1) -> Isa:
    head = f"version 0.1 draft\nword 64\n{KINDS}"
    return read_isa(f'{head}a {opcode:#04x} vector {text} "A."\n', "t")


def words_of(isa: Isa) -> list[Instruction]:
    """Return every instruction that the one line can say."""
    fields = isa.instructions["a"].operands
    values = product(*(range(f.smallest, f.largest + 1) for f in fields))
    return [
        decode(isa, encode(isa, "a", {f.name: v for f, v in zip(fields, each, strict=True)}))
        for each in values
    ]


def meaning(isa: Isa, operands: dict[str, int]) -> dict[str, str]:
    """Return operands as what they mean: the enumerator, or the number."""
    fields = {f.name: f for f in isa.instructions["a"].operands}
    return {
        name: fields[name].kind.names[v] if fields[name].kind.names else str(v)
        for name, v in operands.items()
    }


def renames(old: Isa, new: Isa) -> dict[str, str]:
    changes = diff_tables(old, new).changes
    return {c.before: c.after for c in changes if c.kind == "operand renamed"}


def decodes_alike(old: Isa, new: Isa, one: Instruction) -> bool:
    """Whether the new table reads the old word as it was meant, and zero in what is new."""
    try:
        back = decode(new, encode(old, "a", one.operands))
    except IsaError:
        return False
    other = dict(back.operands)
    renamed = renames(old, new)
    kept = {name: renamed.get(name, name) for name in one.operands}
    if not set(kept.values()) <= set(other):
        return False
    texts = meaning(new, other)
    same = all(texts[kept[k]] == v for k, v in meaning(old, one.operands).items())
    return same and not any(v for k, v in other.items() if k not in kept.values())


def spellings(isa: Isa, one: Instruction) -> list[str]:
    """Return the instruction with operands by name, and by place."""
    named = operand_text(isa, one)
    fields = isa.instructions["a"].operands
    texts = []
    for f in fields:
        names = {v: k for k, v in value_names(f).items()}
        texts.append(names.get(one.operands[f.name], str(one.operands[f.name])))
    return [named, "a " + ", ".join(texts)]


def assembled(isa: Isa, text: str) -> int | None:
    try:
        return int(assemble(text, "t", isa).words[0])
    except AssemblyError:
        return None


@settings(deadline=None, derandomize=True, max_examples=400)
@given(operands(), operands())
@example("x:int@0+4", "x:int@0+7")
@example("x:shift@0+2", "x:shift@0+3")
@example("x:size@0+3", "x:size@0+2")
@example("x:int@0+2", "x:size2@0+2")
@example("x:size2@0+2", "x:int@0+2")
@example("x:int@0+1", "x:two@0+1")
@example("x:int@0+2 y:int@2+2", "y:int@2+2 x:int@0+2")
def test_verdicts_equal_trying_every_word(one: str, other: str):
    old, new = small(one), small(other)
    found = diff_tables(old, new)
    instructions = words_of(old)
    assert all(decodes_alike(old, new, i) for i in instructions) == (not found.breaks_binaries)
    tried = [
        (assembled(new, text), encode(old, "a", i.operands))
        for i in instructions
        for text in spellings(old, i)
    ]
    # a new name is told as a broken label, which no instruction here has
    breaks = [c for c in found.changes if c.assembly and not c.subject.startswith("name ")]
    assert all(word is not None for word, _ in tried) == (not breaks)
    if not breaks:
        assert all(word == before for word, before in tried) == (not found.rewords_assembly)


def test_a_record_that_keeps_its_images_decodes_them():
    from spusim.isa import decode_record, encode_record

    old, new = table(BASE), table(BASE.replace("f:int@0+8", "f:int@0+9 g:int@20+4"))
    for value in np.arange(256).tolist():
        words = encode_record(old, "r", {"f": value})
        assert decode_record(new, "r", words) == {"f": value, "g": 0}
    assert not diff_tables(old, new).breaks_binaries
