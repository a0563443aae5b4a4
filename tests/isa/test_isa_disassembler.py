"""Disassembly assembles to the same words, threads and all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.isa import IsaError, assemble, disassemble, encode, load_isa

ISA = load_isa()

WORDS = (
    st.sampled_from(list(ISA.instructions.values()))
    .flatmap(
        lambda spec: st.tuples(
            st.just(spec.mnemonic),
            st.fixed_dictionaries(
                {f.name: st.integers(f.smallest, f.largest) for f in spec.operands}
            ),
        )
    )
    .map(lambda case: encode(ISA, *case))
)
NAMES = st.text(st.characters(codec="ascii", exclude_characters='"'), max_size=8).filter(
    str.isprintable
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(WORDS, min_size=1, max_size=12), st.data())
def test_round_trip_with_comments_and_threads(words, data):
    index = st.integers(0, len(words) - 1)
    comments = data.draw(st.dictionaries(index, st.text(max_size=20), max_size=3))
    names = data.draw(st.lists(NAMES, unique=True, max_size=3))
    threads = tuple((name, data.draw(index), data.draw(st.integers(1, 99))) for name in names)
    text = disassemble(ISA, np.array(words, dtype=np.uint64), comments, threads)
    assembly = assemble(text, "t")
    assert assembly.words.tolist() == words
    assert assembly.threads == threads
    assert disassemble(ISA, assembly.words, comments, assembly.threads) == text


def test_text_has_columns_names_and_decimal_addresses():
    words = assemble("loop 2, 1, 8\nvqs 1, 2, relu\nsend {0,host}, 1, 2, 3, 4\nend", "t").words
    assert disassemble(ISA, words, {1: "first\n layer"}, [("step", 0, 2)]).splitlines() == [
        ".thread step tokens=2",
        "  loop  count=2, body=1, bump=8                             ;    0",
        "    vqs   d=1, acc=2, table=relu                            ;    1 first layer",
        "  send  dest={0,host}, channel=1, src=2, words=3, thread=4  ;    2",
        "  end                                                       ;    3",
    ]


def test_threads_out_of_entry_order_keep_their_numbers():
    words = assemble("nop\nend", "t").words
    threads = (("late", 1, 1), ("early", 0, 1))
    assert assemble(disassemble(ISA, words, threads=threads), "t").threads == threads


def test_no_words_are_no_text():
    assert disassemble(ISA, np.zeros(0, dtype=np.uint64)) == ""


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (([1],), "instruction 0: word 0x0000000000000001: nop does not use"),
        (([0], {1: "x"}), "comments are at"),
        (([0], {}, [("t", 1, 1)]), "thread 't' starts at 1"),
        (([0], {}, [('a"b', 0, 1)]), "holds quotes"),
        (([0], {}, [("a\nb", 0, 1)]), "control characters"),
    ],
)
def test_what_would_not_assemble_back_is_refused(arguments, reason):
    with pytest.raises(IsaError, match=reason):
        disassemble(ISA, *arguments)
