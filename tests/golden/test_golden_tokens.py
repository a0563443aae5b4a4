"""Tokens arm threads (T21), messages find their recv (T29, T30), and what cannot end is told."""

import numpy as np
import pytest

from spusim.golden import (
    CodeError,
    DeadlockError,
    DoubleArmingError,
    MessageError,
    RunawayError,
    UnknownError,
    chip,
)
from spusim.program import InputPort, OutputPort

FRAME = np.array([[1, 2, 3, 4]])


def test_a_thread_runs_at_its_nth_token(hand):
    op = hand.op
    first = hand.thread("first", [op.recv(dst=0), op.post(core=0, thread=1)])
    second = hand.thread("second", [op.post(core=0, thread=2), op.post(core=0, thread=2)])
    third = hand.thread("third", [op.send(src=0)], tokens=2)
    result = hand.run(hand.program(hand.core(first, second, third)), FRAME, [0])
    assert result.outputs.tolist() == FRAME.tolist()


def test_tokens_that_arrive_early_count_toward_the_next_arming(hand):
    op = hand.op
    # frame n+1's first token comes while the collector has not had frame n's second one back
    front = hand.thread("front", [op.recv(dst=0), *[op.post(core=0, thread=1)] * 3])
    count = [op.vset(len=1), op.vadd(d=8, a=8, b=9), op.post(core=0, thread=2)]
    counter = hand.thread("counter", count)
    last = hand.thread("last", [op.send(src=8)], tokens=2)
    memory = {8: np.array([0, 0, 0, 0], np.int16), 9: np.array([1], np.int16)}
    with pytest.raises(DoubleArmingError, match=r"core 0 thread 1 \(counter\) is armed again"):
        hand.run(hand.program(hand.core(front, counter, last, memory=memory)), FRAME, [0])
    two = hand.thread("front", [op.recv(dst=0), *[op.post(core=0, thread=1)] * 2])
    result = hand.run(hand.program(hand.core(two, counter, last, memory=memory)), FRAME, [0])
    assert result.outputs.tolist() == [[2, 0, 0, 0]]


def test_one_arming_may_wait_while_the_thread_runs(hand):
    op = hand.op
    body = [op.recv(dst=0), op.post(core=0, thread=1), op.post(core=0, thread=1)]
    again = hand.thread("again", [op.nop(), op.post(core=0, thread=2)])
    out = hand.thread("out", [op.send(src=0)], tokens=2)
    result = hand.run(hand.program(hand.core(hand.thread("t", body), again, out)), FRAME, [0])
    assert result.counts["nop"] == 2


def test_a_thread_may_post_to_itself(hand):
    op = hand.op
    # two tokens a frame: the message's, and the one the thread left for the next frame
    body = [op.recv(dst=0), op.send(src=0), op.post(core=0, thread=0)]
    init = hand.thread("init", [op.post(core=0, thread=0)])
    whole = hand.program(hand.core(hand.thread("t", body, 2), init), init=((0, 1),))
    frames = np.arange(12).reshape(3, 4)
    assert hand.run(whole, frames, [0]).outputs.tolist() == frames.tolist()


def test_messages_wait_in_order_and_carry_whole_words(hand):
    op = hand.op
    sends = [op.send(dest=2, channel=3, src=1 - k, words=1, thread=0) for k in (0, 1)]
    zero = hand.core(hand.thread("a", [op.recv(dst=0, words=2), *sends]))
    take = [op.recv(channel=3, dst=4), op.recv(channel=3, dst=5)]
    one = hand.core(hand.thread("b", [*take, op.send(src=4, words=2)], tokens=2))
    whole = hand.program(
        zero, one, input=InputPort((0,), 0, 0, 8, 16), outputs=(OutputPort(1, 0, 0, 8, 16),)
    )
    result = hand.run(whole, np.arange(8)[None], [0])
    assert result.outputs.tolist() == [[4, 5, 6, 7, 0, 1, 2, 3]]


def test_a_broadcast_reaches_every_core_and_the_host(hand):
    op = hand.op
    send = op.send(dest=0b111 | hand.TO_HOST, channel=1, src=0, words=1, thread=1)
    sink = hand.thread("sink", [op.recv(channel=1, dst=7)])
    idle = hand.thread("idle", [])
    whole = hand.program(
        hand.core(hand.thread("t", [op.recv(dst=0), send]), sink),
        hand.core(idle, sink),
        hand.core(idle, sink),
        outputs=(OutputPort(0, 1, 0, 4, 16),),
    )
    result = hand.run(whole, FRAME, [0])
    assert [hand.elements(result, 7, 4, 16, core) for core in range(3)] == [[1, 2, 3, 4]] * 3
    assert result.outputs.tolist() == FRAME.tolist()


def test_a_recv_parks_until_its_message_comes(hand):
    op = hand.op
    # core 1 is armed by init and waits; core 0 sends long after
    zero = hand.core(
        hand.thread("t", [op.recv(dst=0), op.send(dest=2, channel=0, src=0, words=1, thread=1)])
    )
    wait = hand.thread("wait", [op.recv(dst=3), op.send(src=3)])
    one = hand.core(wait, hand.thread("sink", []))
    whole = hand.program(zero, one, outputs=(OutputPort(1, 0, 0, 4, 16),), init=((1, 0),))
    result = hand.run(whole, FRAME, [0])
    assert result.outputs.tolist() == FRAME.tolist()
    assert result.counts["recv"] == 2


@pytest.mark.parametrize("words", [0, 1, 3])
def test_a_recv_of_another_length_is_refused(hand, words):
    only = hand.thread("t", [hand.op.recv(dst=0, words=words)])
    whole = hand.program(hand.core(only), input=InputPort((0,), 0, 0, 5, 16))
    with pytest.raises(MessageError, match=rf"`recv .*takes {words} words, .*channel 0 has 2"):
        hand.run(whole, np.zeros((1, 5), int), [0])


@pytest.mark.parametrize("operands", [{"words": 0}, {"dest": 0}])
def test_sending_nothing_or_to_nobody_is_refused(hand, operands):
    with pytest.raises(MessageError, match="sends nothing, or to nobody"):
        hand.execute([hand.op.send(**operands)])


@pytest.mark.parametrize("check_races", [True, False])
def test_a_deadlock_tells_who_waits_for_what(hand, check_races):
    op = hand.op
    stuck = hand.thread("stuck", [op.recv(dst=0), op.post(core=0, thread=1), op.recv(channel=2)])
    short = hand.thread("short", [op.send(src=0)], tokens=3)
    with pytest.raises(DeadlockError) as caught:
        hand.run(hand.program(hand.core(stuck, short)), FRAME, [0], check_races)
    message = str(caught.value)
    assert "thread 0 (stuck) waits at instruction 2 for a message on channel 2" in message
    assert "thread 1 (short) waits for 2 more of 3 tokens" in message
    assert "host waits for output port (core 0, channel 0)" in message


def test_a_thread_that_still_waits_after_the_last_output_is_a_deadlock(hand):
    body = [hand.op.recv(dst=0), hand.op.send(src=0), hand.op.recv(channel=1)]
    with pytest.raises(DeadlockError, match="waits at instruction 2 for a message on channel 1"):
        hand.run(hand.program(hand.core(hand.thread("t", body))), FRAME, [0])


def test_threads_that_arm_each_other_for_ever_are_stopped(hand, monkeypatch):
    monkeypatch.setattr(chip, "ACTIVATIONS_PER_FRAME", 50)
    op = hand.op
    body = [op.recv(dst=0), op.send(src=0), op.post(core=0, thread=1)]
    ping = hand.thread("ping", [op.post(core=0, thread=1)])
    with pytest.raises(
        RunawayError, match=r"thread 1 \(ping\) was the last of 50 activations in frame 0"
    ):
        hand.run(hand.program(hand.core(hand.thread("t", body), ping)), FRAME, [0])


@pytest.mark.parametrize(
    "instruction",
    [
        ("post", {"core": 0, "thread": 1}),
        ("post", {"core": 3, "thread": 0}),
        ("send", {"dest": 1, "channel": 1, "src": 0, "words": 1, "thread": 9}),
        ("send", {"dest": 4, "channel": 1, "src": 0, "words": 1, "thread": 0}),
    ],
)
def test_a_thread_that_does_not_exist_is_refused(hand, instruction):
    with pytest.raises(UnknownError, match=r"instruction 1 .*does not exist"):
        hand.execute([instruction])


def test_a_thread_that_needs_no_token_is_refused(hand):
    with pytest.raises(CodeError, match=r"thread 0 \(t\) is armed by 0 tokens"):
        hand.run(hand.program(hand.core(hand.thread("t", [], 0))), FRAME, [0])
