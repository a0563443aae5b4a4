"""Loops, the vector state, and code that cannot be executed."""

from dataclasses import replace

import numpy as np
import pytest

from spusim.golden import AccessError, CodeError
from spusim.isa import IsaError

D = 100


def filled(hand, body, count):
    """Return `count` words' first byte; the body fills words with one byte each."""
    result = hand.execute([hand.op.vset(len=1, wd=8), *body])
    return result.data_memory[0][D : D + count, 0].tolist()


def test_a_loop_adds_its_bump_once_an_iteration(hand):
    op = hand.op
    body = [op.loop(count=3, body=1, bump=2), op.vfill(d=D, value=1), op.vfill(d=D + 7, value=2)]
    assert filled(hand, body, 8) == [1, 0xA5, 1, 0xA5, 1, 0xA5, 0xA5, 2]


def test_nested_loops_add_their_offsets(hand):
    op = hand.op
    body = [
        op.loop(count=2, body=3, bump=10),
        op.loop(count=3, body=1, bump=1),
        op.vfill(d=D, value=1),
        op.vfill(d=D + 5, value=2),
    ]
    assert filled(hand, body, 16) == [1] * 3 + [0xA5] * 2 + [2] + [0xA5] * 4 + [1] * 3 + [
        0xA5, 0xA5, 2,
    ]  # fmt: skip


def test_loops_nest_four_deep_and_may_end_together(hand):
    op = hand.op
    body = [op.loop(count=2, body=4 - level, bump=2**level) for level in range(4)]
    body.append(op.vfill(d=D, value=1))
    assert filled(hand, body, 17) == [1] * 16 + [0xA5]


def test_a_fifth_loop_is_refused(hand):
    body = [hand.op.loop(count=1, body=5 - level, bump=0) for level in range(5)]
    with pytest.raises(CodeError, match=r"instruction 5 `loop .*loops nest 4 deep"):
        hand.execute([*body, hand.op.nop()])


def test_a_loop_after_another_does_not_count_as_nested(hand):
    body = [hand.op.loop(count=2, body=1, bump=0), hand.op.nop()] * 6
    assert hand.execute(body).counts["nop"] == 12


def test_count_zero_skips_the_body_even_as_the_last_of_a_loop(hand):
    op = hand.op
    body = [
        op.loop(count=3, body=3, bump=1),
        op.vfill(d=D, value=1),
        op.loop(count=0, body=1, bump=0),
        op.vfill(d=D + 10, value=9),
    ]
    assert filled(hand, body, 12) == [1] * 3 + [0xA5] * 9


def test_an_empty_body_is_no_loop(hand):
    body = [hand.op.loop(count=5, body=0, bump=9), hand.op.vfill(d=D, value=1)]
    assert filled(hand, body, 2) == [1, 0xA5]


def test_a_body_beyond_the_enclosing_one_is_refused(hand):
    op = hand.op
    body = [op.loop(count=1, body=2, bump=0), op.loop(count=1, body=2, bump=0), op.nop(), op.nop()]
    with pytest.raises(
        CodeError, match="beyond the enclosing loop's, which ends with instruction 3"
    ):
        hand.execute(body)


def test_bumps_move_every_data_address_but_scales(hand):
    op = hand.op
    ones = hand.matrix([[1]])
    memory = {
        0: np.array([[3, 0, 0, 0], [5, 0, 0, 0]], np.int16),
        8: np.array([(2, 0), (100, 0)], [("multiplier", "<u4"), ("shift", "<u4")]),
    }
    body = [
        op.vset(len=1),
        op.loop(count=2, body=4, bump=1),
        op.spmv(m=0, src=0, acc=4),
        op.vqm(d=20, acc=4, scale=2, table=63),
        op.vadd(d=30, a=0, b=20),
        op.vmov(d=40, a=30),
    ]
    result = hand.execute(body, memory=memory, matrices=(ones,))
    word = result.data_memory[0]
    firsts = {at: word[at, :2].view("<i2")[0] for at in (20, 21, 30, 31, 40, 41)}
    assert firsts == {20: 6, 21: 10, 30: 9, 31: 15, 40: 9, 41: 15}
    assert result.accumulators[0][4:6].tolist() == [5, 0]  # rows are not moved


def test_bumps_move_transfers(hand):
    op = hand.op
    two_words = hand.program(
        hand.core(
            hand.thread(
                "echo",
                [
                    op.recv(dst=50, words=2),
                    op.loop(count=2, body=2, bump=1),
                    op.send(dest=1, channel=1, src=50, words=1, thread=1),
                    op.recv(channel=1, dst=60, words=1),
                    op.send(src=61),
                ],
            ),
            hand.thread("sink", [], tokens=2),
        ),
        input=replace(hand.program(hand.core()).input, elements=8),
    )
    result = hand.run(two_words, np.arange(8)[None], [0])
    assert hand.elements(result, 60, 8, 16) == [*range(8)]
    assert result.outputs.tolist() == [[4, 5, 6, 7]]


def test_a_bump_beyond_memory_is_refused_and_does_not_wrap(hand):
    op = hand.op
    body = [op.vset(len=1), op.loop(count=2, body=1, bump=65535), op.vfill(d=1, value=0)]
    with pytest.raises(AccessError, match="words 65536 to 65536"):
        hand.execute(body)


def test_a_threads_vector_state_is_its_own_and_new_in_each_activation(hand):
    op = hand.op
    first = hand.thread("first", [op.recv(dst=0), op.vset(len=4, wd=8), op.post(core=0, thread=1)])
    # without a vset the length is 0; the second file's activation starts afresh too
    fill = [op.vfill(d=20, value=7), op.vset(len=1), op.vfill(d=30, value=1), op.send(src=0)]
    result = hand.run(
        hand.program(hand.core(first, hand.thread("second", fill))),
        np.zeros((2, 4), np.int64),
        [0, 1],
    )
    assert (result.data_memory[0][20] == 0xA5).all()
    assert result.data_memory[0][30, :2].tolist() == [1, 0]  # 16 bits: the default width


def test_end_leaves_even_a_loop(hand):
    op = hand.op
    body = [op.recv(dst=0), op.send(src=0), op.loop(count=9, body=1, bump=0), op.end()]
    result = hand.run(hand.program(hand.core(hand.thread("t", body))), np.zeros((1, 4), int), [0])
    assert result.counts["end"] == 1


def test_code_without_an_end_is_refused(hand):
    only = hand.core(hand.thread("t", [hand.op.recv(dst=0), hand.op.send(src=0)]))
    open_ended = hand.program(replace(only, code=only.code[:-1]))
    with pytest.raises(CodeError, match=r"thread 0 \(t\) instruction 2: .*close threads by `end`"):
        hand.run(open_ended, np.zeros((1, 4), int), [0])


def test_words_that_are_no_instruction_are_refused(hand):
    image = replace(hand.core(hand.thread("t", [])), code=np.array([2**64 - 1], np.uint64))
    with pytest.raises(IsaError):
        hand.run(hand.program(image), np.zeros((1, 4), int), [0])


def test_a_program_for_another_isa_is_refused(hand):
    other = replace(hand.program(hand.core(hand.thread("t", []))), isa_version="9.9")
    with pytest.raises(CodeError, match=r"is for ISA 9\.9; this is"):
        hand.run(other, np.zeros((1, 4), int), [0])
