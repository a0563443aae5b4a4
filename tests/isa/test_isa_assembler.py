"""Assembly: its syntax, its values, and the reports of its mistakes."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.isa import AssemblyError, IsaError, assemble, decode_all, load_isa

ISA = load_isa()


def operands(text: str) -> list[dict[str, int]]:
    """Assemble and decode."""
    return [i.operands for i in decode_all(ISA, assemble(text, "t.spuasm").words)]


def mistakes(text: str) -> list[str]:
    """Return the mistakes of a text without the file's name."""
    with pytest.raises(AssemblyError) as error:
        assemble(text, "t.spuasm")
    assert all(e.startswith("t.spuasm:") for e in error.value.errors)
    return [e.removeprefix("t.spuasm:") for e in error.value.errors]


def test_named_positional_and_mixed_operands_are_the_same_word():
    words = assemble("vadd d=1, a=2, b=3\nvadd 1, 2, 3\nvadd 1, b=3, a=2", "t").words
    assert words.dtype == np.uint64
    assert len(set(words.tolist())) == 1


def test_comments_labels_and_empty_lines():
    assembly = assemble("; head\n\n# more\na: b: nop ; c\n\tend # d\nlast:\n", "t")
    assert assembly.labels == {"a": 0, "b": 0, "last": 2}
    assert assembly.lines == (4, 5)


@pytest.mark.parametrize(
    "value, number",
    [
        ("10", 10),
        ("0x1F", 31),
        ("0b101", 5),
        ("-7", -7),
        ("N", 4),
        ("N+4", 8),
        ("N*2-(1+N)", 3),
        ("--N", 4),
        ("-(N - 2*3)", 2),
        ("last - start", 1),
        ("M", 9),
        ("007", 7),
    ],
)
def test_expressions(value, number):
    text = f".equ N 4\n.equ M N*2 + 1\nstart: vfill d=0, value={value}\nlast: end"
    assert operands(text)[0]["value"] == number


def test_enumerations_are_written_by_name():
    text = ".equ W 16\nvset len=1, wa=8, wb=W, wd=W*2, sa=0, sb=0, sd=0"
    fields = operands(text)[0]
    assert (fields["wa"], fields["wb"], fields["wd"]) == (0, 1, 2)


@pytest.mark.parametrize(
    "dest, mask",
    [
        ("{0,1}", 3),
        ("{host}", 1 << 15),
        ("{ 2 , host }", 1 << 15 | 4),
        ("{N+1}", 32),
        ("{}", 0),
        ("5", 5),
        ("0x8000", 1 << 15),
    ],
)
def test_sets_of_cores(dest, mask):
    text = f".equ N 4\nsend {dest}, channel=0, src=0, words=1, thread=0"
    assert operands(text)[0]["dest"] == mask


def test_tables_have_names():
    text = "vqs 0, 0, none\nvqs 0, 0, table=relu\nvqs 0, 0, 5"
    assert [o["table"] for o in operands(text)] == [63, 62, 5]


def test_loop_body_may_be_a_label():
    text = (
        "loop count=4, body=done, bump=2\nnop\nnop\ndone: loop 2, 1, 0\nnop\nloop 1, out, 0\nout:"
    )
    assert [o["body"] for o in operands(text) if o] == [2, 1, 0]


def test_loop_body_may_be_a_difference_or_a_shifted_label():
    assert operands("a: nop\nb: loop 2, b-a, 0\nnop\nc: end")[1]["body"] == 1
    assert operands("loop 2, c-1, 0\nnop\nnop\nc: end")[0]["body"] == 1


def test_threads_mark_entries_in_order():
    text = '.thread init tokens=1\nend\n.equ N 2\n.thread "step 1" tokens=N+1\nnop\nend'
    assert assemble(text, "t").threads == (("init", 0, 1), ("step 1", 1, 3))


def test_threads_may_be_numbered():
    text = ".thread a tokens=1, number=1\nend\n.thread b tokens=2 number=0\nend"
    assert assemble(text, "t").threads == (("b", 1, 2), ("a", 0, 1))


def test_empty_text_is_no_words():
    assembly = assemble("", "t")
    assert assembly.words.shape == (0,) and assembly.words.dtype == np.uint64


MISTAKES = {
    "mnemonic": (
        "  vmvo 1, 2",
        f"1:3: `vmvo`: is no instruction of ISA {ISA.version}; did you mean vmov?",
    ),
    "missing": ("vmov 1", "1:1: `vmov`: lacks a; vmov takes d, a"),
    "extra": ("end 1", "1:5: `1`: is one operand too many; end takes nothing"),
    "unknown operand": ("vmov 1, 2, q=3", "1:12: `q`: is no operand of vmov"),
    "twice": ("vmov 1, 2, d=3", "1:14: `3`: d is given twice"),
    "order": ("vmov d=1, 2", "1:11: `2`: stands after a named operand"),
    "too wide": ("vmov 1, 70000", "1:9: `70000`: vmov: a (=70000) must be 0 to 65535"),
    "negative": ("vmov 1, -2", "1:9: `-`: vmov: a (=-2) must be 0 to 65535"),
    "unknown name": ("vmov 1, nowhere", "1:9: `nowhere`: unknown name"),
    "no comma": ("vmov 1 2", "1:8: `2`: expected an operator"),
    "no comma named": ("vmov d=1 a=2", "1:10: `a`: expected `,` between operands"),
    "no value": ("vmov 1,", "1:8: `end of line`: expected a value"),
    "no value named": ("vmov d=, a=1", "1:8: `,`: expected a value"),
    "bad token": ("vmov 1, 0xZZ", "1:9: `0xZZ`: expected an integer"),
    "float": ("vmov 1, 1.5", "1:9: `1.5`: expected an integer"),
    "open set": ("send {0, 0, 0, 0, 0", "1:6: `{`: is not closed on this line"),
    "core 15": ("send {15}, 0, 0, 0, 0", "1:7: `15`: core (=15) must be 0 to 14, or host"),
    "core twice": ("send {1,1}, 0, 0, 0, 0", "1:9: `1`: is in the set twice"),
    "width": ("vset 1, 12, 8, 8, 0, 0, 0", "1:9: `12`: wa (=12) must be one of 8, 16, 32"),
    "label as data": ("a: vmov a, 1", "1:9: `a`: is a label's address"),
    "label behind": ("a: nop\nloop 1, a, 0", "2:9: `a`: lies 2 instructions before the body"),
    "label product": (
        "loop 1, 2*a, 0\na: end",
        "1:10: `*`: a label's address cannot be multiplied",
    ),
    "label twice": ("a: nop\na: nop", "2:1: `a`: is already defined in line 1"),
    "label on one line": ("a: a: nop", "1:4: `a`: is already defined in line 1"),
    "label and equ": ("a: nop\n.equ a 1", "2:6: `a`: is already defined in line 1"),
    "reserved name": ("relu: nop", "1:1: `relu`: is the name of an operand's value"),
    "directive": (".org 4", "1:1: `.org`: unknown directive"),
    "equ name": (".equ 4 4", "1:6: `4`: expected the constant's name"),
    "equ value": (".equ A", "1:7: `end of line`: expected a value"),
    "equ rest": (".equ A 1, 2", "1:9: `,`: expected the end of the line"),
    "equ below": (".equ A B\n.equ B 1\nvmov A, 1", "1:8: `B`: has no value: its `.equ` in line 2"),
    "parenthesis": ("vmov (1, 2", "1:6: `(`: is not closed on this line"),
    "thread end": ("nop\n.thread t tokens=1", "2:9: `t`: no instruction follows"),
    "thread tokens": (".thread t\nend", "1:10: `end of line`: expected `tokens=N`"),
    "thread none": (".thread t tokens=0\nend", "1:18: `0`: a thread needs 1 token or more"),
    "thread twice": (".thread t tokens=1\n.thread t tokens=1\nend", "2:9: `t`: is already defined"),
    "thread setting": (".thread t speed=1\nend", "1:17: `1`: expected `tokens=N`"),
    "numbers": (".thread a tokens=1 number=1\nend", "threads' numbers (=[1]) must be 0 to 0"),
    "stray mark": ("= 4", "1:1: `=`: expected a label, an instruction"),
    "huge integer": (f"vmov 1, {'9' * 500}", "has more than 128 digits"),
    "wrong bracket": ("vmov (1}, 2", "1:8: `}`: expected `)` to close the parenthesis"),
    "wrong brace": ("send {1), 0, 0, 0, 0", "1:8: `)`: expected `}` to close the set"),
    "deep": (f"vmov 1, {'(' * 99}1{')' * 99}", "nested more than 50 deep"),
}


@pytest.mark.parametrize("text, expected", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_reported_at_their_token(text, expected):
    assert any(expected in mistake for mistake in mistakes(text))


def test_all_mistakes_of_a_file_are_reported_in_order():
    found = mistakes("foo\nvmov 70000, 70001\nnop\nvmov 1, $\nbar: baz")
    assert [f.split(" ")[0] for f in found] == ["1:1:", "2:6:", "2:13:", "4:9:", "5:6:"]


def test_a_wrong_line_does_not_move_what_follows():
    # were the wrong line no instruction, the label would lie before the body
    assert len(mistakes("loop 1, out, 0\nnope\nout: end")) == 1
    assert len(mistakes(".thread t tokens=1\nnope")) == 1


def test_twenty_mistakes_are_shown_and_the_rest_counted():
    with pytest.raises(AssemblyError) as error:
        assemble("foo\n" * 25, "t")
    assert len(error.value.errors) == 20
    assert str(error.value).splitlines()[-1] == "t: and 5 more mistakes"


def test_error_survives_pickling():
    with pytest.raises(AssemblyError) as error:
        assemble("foo\nbar", "t")
    copy = pickle.loads(pickle.dumps(error.value))
    assert (str(copy), copy.errors) == (str(error.value), error.value.errors)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(alphabet='vmovnd loop=,:{}()+-*."#;0x19\n\té$', max_size=60))
def test_any_text_is_assembled_or_refused(text):
    try:
        assembly = assemble(text, "t")
    except AssemblyError as error:
        assert error.errors
    else:
        decode_all(ISA, assembly.words)


def test_assembly_error_is_not_an_isa_error():
    with pytest.raises(AssemblyError) as error:
        assemble("foo", "t")
    assert not isinstance(error.value, IsaError)
