"""The reader of instruction tables accepts the shipped one and refuses each mistake by line."""

import pytest

from spusim.isa import Isa, IsaError, load_isa, read_isa
from spusim.resources import shipped

HEAD = "version 0.1 draft\nword 64\nkind int unsigned\nkind size 8,16,32\n"


def line(text: str) -> str:
    """Return a table whose line 5 is `text`."""
    return HEAD + text + "\n"


def test_shipped_table_has_the_documented_encoding():
    isa = load_isa()
    assert isa.word_bits == 64
    spmv = isa.instructions["spmv"]
    assert isa.opcodes[0x10] is spmv
    assert [(f.name, f.high, f.low) for f in spmv.operands] == [
        ("m", 7, 0),
        ("src", 23, 8),
        ("acc", 43, 24),
    ]
    assert isa.reserve_of(0x14).purpose.startswith("matrix-vector")
    assert isa.reserve_of(0x13) is None
    assert isa.records["matrix"].words == 4
    assert isa.kinds["format"].names == (
        "dense", "bitmap", "run_length", "pencil", "block", "n_of_m",
    )  # fmt: skip


def test_every_line_of_the_shipped_table_is_an_entry():
    text = (shipped("isa") / "spu.isa").read_text()
    lines = [words for words in map(str.split, text.splitlines()) if words and words[0][0] != "#"]
    isa = load_isa()
    entries = len(isa.kinds) + len(isa.instructions) + len(isa.records) + len(isa.reserved)
    assert entries == len(lines) - 2  # version, word


def test_shipped_table_is_read_once_and_equals_a_copy(tmp_path):
    copy = tmp_path / "copy.isa"
    copy.write_text((shipped("isa") / "spu.isa").read_text())
    assert load_isa() is load_isa()
    assert load_isa(copy) == load_isa()


def test_hash_ignores_layout_but_not_meaning():
    base = read_isa(line('a 0x00 vector x:int@0+4 "Do a."\nb 0x01 vector "Do b."'), "t")
    moved = read_isa(
        line('# why\nb   0x01 vector "Do b."\n\na 0x00 vector x:int@0+4 "Do  a."'), "t"
    )
    prose = read_isa(line('a 0x00 vector x:int@0+4 "Do it."\nb 0x01 vector "Do b."'), "t")
    width = read_isa(line('a 0x00 vector x:int@0+5 "Do a."\nb 0x01 vector "Do b."'), "t")
    assert moved.hash == base.hash and moved == base
    assert prose.hash != base.hash and prose.encoding_hash == base.encoding_hash
    assert width.encoding_hash != base.encoding_hash


def test_operand_order_is_part_of_the_encoding():
    one = read_isa(line('a 0x00 vector x:int@0+4 y:int@4+4 "Do a."'), "t")
    other = read_isa(line('a 0x00 vector y:int@4+4 x:int@0+4 "Do a."'), "t")
    assert one.encoding_hash != other.encoding_hash


def test_isa_is_frozen():
    with pytest.raises(AttributeError):
        load_isa().version = "9"


def test_fields_know_their_ranges():
    vset = {f.name: f for f in load_isa().instructions["vset"].operands}
    assert (vset["sa"].smallest, vset["sa"].largest) == (-64, 63)
    assert (vset["len"].smallest, vset["len"].largest) == (0, 65535)
    assert (vset["wa"].smallest, vset["wa"].largest) == (0, 3)  # four names in two bits


REFUSED = {
    "overlap": ('a 0x00 vector x:int@0+8 y:int@7+2 "A."', "y (bits 8..7) overlaps x (bits 7..0)"),
    "opcode byte": ('a 0x00 vector x:int@50+7 "A."', "does not fit in the bits below the opcode"),
    "beyond": ('a 0x00 vector x:int@64+1 "A."', "does not fit"),
    "mnemonic": ('a 0x00 vector "A."\na 0x01 vector "A."', "already defined in line 5"),
    "opcode": ('a 0x00 vector "A."\nb 0x00 vector "B."', "already that of a; take a free one"),
    "operand name": ('a 0x00 vector x:int@0+1 x:int@1+1 "A."', "operand x is named twice"),
    "kind": ('a 0x00 vector x:imm@0+1 "A."', "kind 'imm' is unknown; add a `kind` line above"),
    "unit": ('a 0x00 tensor "A."', "unit 'tensor' of a is unknown; it is one of sequencer"),
    "reserved": ('a 0x00 vector "A."\nreserve 0x00-0x0f "later"', "is reserved for later"),
    "meaning": ("a 0x00 vector", "has no meaning"),
    "empty meaning": ('a 0x00 vector " "', "has no meaning"),
    "enumeration": ('a 0x00 vector x:size@0+1 "A."', "too few for the 3 names of size; give it 2"),
    "no opcode": ('a vector "A."', "malformed line"),
    "wide opcode": ('a 0x100 vector "A."', "malformed line"),
    "operand": ('a 0x00 vector x:int@0 "A."', "malformed operand 'x:int@0'"),
    "no bits": ('a 0x00 vector x:int@0+0 "A."', "malformed operand"),
    "open quote": ('a 0x00 vector "A.', "malformed line"),
    "text after meaning": ('a 0x00 vector "A." x', "malformed line"),
    "meaning alone": ('"A."', "malformed line"),
    "upper case": ('A 0x00 vector "A."', "mnemonic 'A' must be"),
    "kind twice": ("kind int signed", "already defined in line 3"),
    "kind values": ("kind k dense", "must be signed, unsigned, or at least two"),
    "kind names twice": ("kind k one,one", "at least two different"),
    "kind width": ('kind k 3 unsigned\na 0x00 vector x:k@0+4 "A."', "its kind k 3"),
    "version twice": ("version 0.2 draft", "already defined in line 1"),
    "word twice": ("word 64", "already defined in line 2"),
    "reserve form": ('reserve 20-30 "x"', "must be written as 0x14-0x1f"),
    "reserve order": ('reserve 0x1f-0x14 "x"', "run backwards; write 0x14-0x1f"),
    "reserve purpose": ("reserve 0x14-0x1f", "has no meaning"),
    "reserve overlap": ('reserve 0x10-0x14 "x"\nreserve 0x14 "y"', "overlap 0x10-0x14"),
    "record form": ('record r f:int@0+1 "R."', "malformed line"),
    "record end": ('record r words=1 f:int@64+1 "R."', "does not fit in its 1 words"),
    "record straddle": ('record r words=2 f:int@60+8 "R."', "crosses a word boundary"),
    "operand as wide as the word": ('a 0x00 vector x:int@0+57 "A."', "x (bits 56..0) does not fit"),
    "operand in the opcode": ('a 0x00 vector x:int@56+1 "A."', "x (bits 56..56) does not fit"),
    "fields overlap": ('record r words=1 f:int@0+8 g:int@7+1 "R."', "g (bits 7..7) overlaps f"),
    "field names": ('record r words=1 f:int@0+8 f:int@8+1 "R."', "operand f is named twice"),
    "field kind": ('record r words=1 f:imm@0+8 "R."', "kind 'imm' is unknown"),
    "field enumeration": ('record r words=1 f:size@0+1 "R."', "too few for the 3 names of size"),
    "record of nothing": ('record r words=0 "R."', "malformed line"),
    "record meaning": ("record r words=1 f:int@0+8", "record r has no meaning"),
    "upper-case opcode": ('a 0xAB vector "A."', "malformed line"),
    "decimal opcode": ('a 12 vector "A."', "malformed line"),
    "no unit": ('a 0x00 "A."', "malformed line"),
    "kind without form": ("kind k", "expected `kind NAME BITS? signed|unsigned|one,two,...`"),
    "kind of no bits": ("kind k 0 unsigned", "bits (=0) must be a number of at least 1"),
    "kind of some bits": ("kind k few unsigned", "bits (=few) must be a number"),
    "kind name": ("kind K signed", "kind 'K' must be a lower-case letter"),
    "kind of one name": ("kind k one", "at least two different"),
    "kind names apart": ("kind k one, two", "kind k: bits (=one,) must be a number"),
    "enumerator": ("kind k one,Two", "at least two different"),
    "word after meaning line": ("word 64 64", "already defined in line 2"),
    "state twice": ("version 0.2 frozen draft", "already defined in line 1"),
    "record twice": ('record r words=1 "R."\nrecord r words=1 "R."', "already defined in line 5"),
}


@pytest.mark.parametrize("text, reason", REFUSED.values(), ids=REFUSED.keys())
def test_mistakes_are_refused_with_file_and_line(text, reason):
    with pytest.raises(IsaError) as error:
        read_isa(line(text), "some.isa")
    at = 6 if "\n" in text and "reserved for" not in reason else 5
    assert str(error.value).startswith(f"some.isa:{at}: ")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "no `version` or no `word`"),
        ("version 0.1 draft", "no `version` or no `word`"),
        ("version 0.1 final", "state 'final' must be one of draft, frozen"),
        ("version one draft", "version 'one' must be MAJOR.MINOR"),
        ("version 0.1", "expected `version NUMBER STATE`"),
        ("version 0.1 draft 2", "expected `version NUMBER STATE`"),
        ("version 0.1 Draft", "state 'Draft' must be one of draft, frozen"),
        ("version draft 0.1", "version 'draft' must be MAJOR.MINOR"),
        ("word 64\nword", "already defined in line 1"),
        ('record r words=1 "R."', "record r comes before the `word` line"),
        ("word 63", "must be one of 32, 64"),
        ('a 0x00 vector "A."', "a comes before the `word` line"),
    ],
)
def test_head_of_a_table_is_checked(text, reason):
    with pytest.raises(IsaError) as error:
        read_isa(text, "some.isa")
    assert reason in str(error.value)


def test_missing_file_is_an_isa_error(tmp_path):
    with pytest.raises(IsaError, match=r"none\.isa: cannot be read"):
        load_isa(tmp_path / "none.isa")


@pytest.mark.parametrize("data, reason", [(b"\xff\xfe", "cannot be read"), (b"", "no `version`")])
def test_a_file_that_is_no_table_is_named(tmp_path, data, reason):
    (tmp_path / "t.isa").write_bytes(data)
    with pytest.raises(IsaError, match=reason) as error:
        load_isa(tmp_path / "t.isa")
    assert str(error.value).startswith(f"{tmp_path / 't.isa'}:")


def test_marks_and_line_ends_of_other_editors_change_nothing(tmp_path):
    text = line('a 0x00 vector "A."')
    (tmp_path / "t.isa").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_isa(tmp_path / "t.isa") == read_isa(text, "t")


def test_narrow_words_put_the_opcode_on_top():
    isa = read_isa(
        'version 1.0 frozen\nword 32\nkind int unsigned\na 0x7f vector x:int@0+24 "A."', "t"
    )
    assert isinstance(isa, Isa)
    assert isa.opcode_low == 24
