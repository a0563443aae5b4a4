"""Files, frames and ports: what the host sends, takes and refuses (T31)."""

import numpy as np
import pytest

from spusim.golden import CodeError, FrameError, OutputError, RaceError, UnknownError
from spusim.program import InputPort, OutputPort


def counting(hand, reset):
    """Return a program whose output is input + the frames seen since the state was reset."""
    op = hand.op
    step = [
        op.recv(dst=0),
        op.vset(len=4),
        op.vadd(d=10, a=10, b=11),
        op.vadd(d=1, a=0, b=10),
        op.send(src=1),
        op.post(core=0, thread=0),
    ]
    zero = [op.vset(len=4), op.vfill(d=10, value=0)] if reset else []
    start = hand.thread("start", [*zero, op.post(core=0, thread=0)])
    memory = {10: np.zeros(4, np.int16), 11: np.ones(4, np.int16)}
    image = hand.core(hand.thread("step", step, tokens=2), start, memory=memory)
    return hand.program(image, init=((0, 1),))


def test_state_persists_within_a_file_and_starts_anew_with_an_init_thread(hand):
    frames = np.arange(20).reshape(5, 4)
    result = hand.run(counting(hand, reset=True), frames, [0, 3])
    # each file leaves a token of `step` behind, which the next one must not find
    assert (result.outputs - frames)[:, 0].tolist() == [1, 2, 3, 1, 2]


def test_state_persists_over_files_where_nothing_resets_it(hand):
    result = hand.run(counting(hand, reset=False), np.zeros((5, 4), int), [0, 3])
    assert result.outputs[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_an_init_thread_that_no_token_orders_before_the_first_frame_is_a_race(hand):
    op = hand.op
    step = [op.recv(dst=0), op.vset(len=4), op.vadd(d=1, a=0, b=10), op.send(src=1)]
    start = [op.vset(len=4), op.vfill(d=10, value=0)]
    image = hand.core(hand.thread("step", step), hand.thread("start", start))
    whole = hand.program(image, init=((0, 1),))
    with pytest.raises(RaceError, match=r"thread 0 \(step\) .*`vadd .*thread 1 \(start\) .*`vfill"):
        hand.run(whole, np.zeros((1, 4), int), [0])


def test_messages_left_by_a_file_are_gone_in_the_next(hand):
    op = hand.op
    note = op.send(dest=1, channel=1, src=0, words=1, thread=1)
    body = [op.recv(dst=0), note, note, op.recv(channel=1, dst=1), op.send(src=1)]
    image = hand.core(hand.thread("t", body), hand.thread("sink", [], tokens=3))
    frames = np.arange(12).reshape(3, 4)
    apart = hand.run(hand.program(image), frames, [0, 1, 2])
    assert apart.outputs.tolist() == frames.tolist()
    together = hand.run(hand.program(image), frames, [0])
    assert together.outputs.tolist() == frames[[0, 0, 1]].tolist()


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_elements_are_packed_at_the_ports_widths(hand, bits):
    op = hand.op
    words = -(-5 * bits // 64)
    body = [op.recv(dst=0, words=words), op.send(src=0, words=words)]
    half = 2 ** (bits - 1)
    frames = np.array([[-half, half - 1, 0, -1, 1], [1, 2, 3, 4, 5]])
    whole = hand.program(
        hand.core(hand.thread("t", body)),
        input=InputPort((0,), 0, 0, 5, bits),
        outputs=(OutputPort(0, 0, 0, 5, bits),),
    )
    result = hand.run(whole, frames, [0])
    assert result.outputs.dtype == np.int64
    assert result.outputs.tolist() == frames.tolist()
    assert hand.elements(result, 0, 5, bits) == [1, 2, 3, 4, 5]
    assert (result.data_memory[0].reshape(-1)[5 * bits // 8 :] == 0).all()  # padding is zero


def test_a_frame_goes_to_all_its_cores_and_ports_fill_their_part(hand):
    op = hand.op
    images = []
    for number in (0, 1):
        body = [
            op.recv(dst=0),
            op.vset(len=2, wd=8),
            op.vmov(d=1, a=0),
            op.send(channel=number, src=1),
        ]
        images.append(hand.core(hand.thread("t", body)))
    whole = hand.program(
        *images,
        input=InputPort((0, 1), 0, 0, 4, 16),
        outputs=(OutputPort(0, 0, 3, 2, 8), OutputPort(1, 1, 0, 2, 8)),
    )
    result = hand.run(whole, np.array([[5, 6, 7, 8]]), [0])
    assert result.outputs.tolist() == [[5, 6, 0, 5, 6]]


def test_no_frames_make_no_outputs(hand):
    result = hand.run(counting(hand, reset=True), np.zeros((0, 4), int), [])
    assert result.outputs.shape == (0, 4)
    assert result.counts == {}


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((1, 3), int), r"shape \(1, 3\).*\(frames, 4\)"),
        (np.zeros(4, int), r"shape \(4,\)"),
        (np.zeros((1, 4)), "float64 must be integers"),
        (np.array([[0, 0, 0, 0], [0, 32768, 0, 0]]), r"frame 1 element 1 \(=32768\).*16 bits"),
        (np.array([[0, 0, 0, -32769]]), r"frame 0 element 3 \(=-32769\)"),
    ],
)
def test_frames_that_do_not_fit_the_port_are_refused(hand, frames, message):
    with pytest.raises(FrameError, match=message):
        hand.run(counting(hand, reset=True), frames, [0])


@pytest.mark.parametrize("starts", [[1], [], [0, 0], [0, 2], [0, 3], [0, 1, 1]])
def test_files_that_do_not_cover_the_frames_are_refused(hand, starts):
    with pytest.raises(FrameError, match="must begin with 0, ascend"):
        hand.run(counting(hand, reset=True), np.zeros((2, 4), int), starts)


def test_an_output_sent_twice_in_a_frame_is_refused(hand):
    op = hand.op
    body = [op.recv(dst=0), op.send(channel=1, src=0), op.send(channel=1, src=0)]
    ports = (OutputPort(0, 0, 0, 4, 16), OutputPort(0, 1, 4, 4, 16))
    whole = hand.program(hand.core(hand.thread("t", body)), outputs=ports)
    with pytest.raises(OutputError, match=r"instruction 2 .*channel 1\) twice in frame 0"):
        hand.run(whole, np.zeros((1, 4), int), [0])


def test_an_output_after_the_last_frame_is_refused(hand):
    body = [hand.op.recv(dst=0), hand.op.send(src=0), hand.op.send(src=0)]
    with pytest.raises(OutputError, match="twice in frame 0"):
        hand.run(hand.program(hand.core(hand.thread("t", body))), np.zeros((1, 4), int), [0])


def test_an_output_of_another_length_is_refused(hand):
    body = [hand.op.recv(dst=0), hand.op.send(src=0, words=2)]
    with pytest.raises(OutputError, match=r"sends 2 words .*4 elements of 16 bits take 1"):
        hand.run(hand.program(hand.core(hand.thread("t", body))), np.zeros((1, 4), int), [0])


def test_a_send_to_no_output_port_is_refused(hand):
    with pytest.raises(UnknownError, match=r"channel 2, which is no output port"):
        hand.execute([hand.op.send(channel=2, src=0)])


def test_a_program_without_outputs_or_with_a_port_twice_is_refused(hand):
    image = hand.core(hand.thread("t", []))
    port = OutputPort(0, 0, 0, 4, 16)
    for outputs, message in (((), "no output port"), ((port, port), "same core and channel")):
        with pytest.raises(CodeError, match=message):
            hand.run(hand.program(image, outputs=outputs), np.zeros((1, 4), int), [0])


def test_a_port_of_a_width_that_memory_does_not_have_is_refused(hand):
    whole = hand.program(hand.core(hand.thread("t", [])), input=InputPort((0,), 0, 0, 4, 12))
    with pytest.raises(CodeError, match="elements of 12 bits"):
        hand.run(whole, np.zeros((1, 4), int), [0])


def test_an_input_for_a_thread_that_does_not_exist_names_the_host(hand):
    whole = hand.program(hand.core(hand.thread("t", [])), input=InputPort((0,), 0, 7, 4, 16))
    with pytest.raises(UnknownError, match="the host with frame 0: core 0 thread 7"):
        hand.run(whole, np.zeros((1, 4), int), [0])
