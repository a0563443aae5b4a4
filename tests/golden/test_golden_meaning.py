"""The table of meanings, and the state in which a program starts."""

import inspect

import numpy as np

from spusim.golden import MEANING
from spusim.isa import load_isa


def test_every_instruction_has_a_meaning_and_no_other_is_there():
    assert set(MEANING) == set(load_isa().instructions)


def test_meanings_are_short_and_named_like_their_mnemonic():
    for mnemonic, meaning in MEANING.items():
        assert meaning.__name__.rstrip("_") == mnemonic  # `yield` is a word of Python
        assert meaning.__doc__
        assert len(inspect.getsource(meaning).splitlines()) <= 20


def test_memory_starts_as_poison_and_segments_lie_over_it(hand):
    result = hand.execute([], memory={2: np.array([1, 2, 3], np.int16)})
    memory = result.data_memory[0]
    assert (memory[:2] == 0xA5).all()
    assert memory[2].tolist() == [1, 0, 2, 0, 3, 0, 0, 0]
    assert (memory[3:9000] == 0xA5).all()
    assert len(memory) == 9001  # up to the last word touched


def test_counts_tell_what_was_executed(hand):
    op = hand.op
    result = hand.execute([op.loop(count=3, body=2, bump=0), op.nop(), op.nop()])
    assert result.counts == {"recv": 1, "loop": 1, "nop": 6, "send": 1, "end": 1}
