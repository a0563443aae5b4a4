"""Rules T28, T31 and T32: frames and files from the host, the end of a run; worked out by hand.

Machine: `HAND` in programs.py: hop 2, the host's link a word a cycle unless a test says otherwise.
"""

import re

import numpy as np
import pytest
from chip_agreement import checked_run as run
from programs import (
    ECHO,
    IN,
    SINK,
    complaints,
    core,
    frames,
    hand_arch,
    lone,
    nops,
    program,
    segment,
    vset,
)

from spusim.machine import DeadlockError
from spusim.program import InputPort, OutputPort


def test_T31_a_frame_is_requested_when_the_last_ones_output_arrives() -> None:
    # 11 cycles from request to arrival; the frame's first word moves in the cycle after the grant
    result = lone("nop", hand_arch(), 3)
    assert result.cycles == 33
    assert result.frame_cycles.tolist() == [10, 10, 10]


def test_T31_an_input_period_counts_from_the_start_of_the_file() -> None:
    arch = hand_arch()
    result = run(program(core(ECHO), arch=arch), arch, frames(3), (0,), 30)
    assert result.cycles == 60 + 10
    assert result.frame_cycles.tolist() == [9, 9, 9]


def test_T31_frames_overlap_with_a_short_period() -> None:
    text = ECHO.replace("send", nops(20) + "    send")
    arch = hand_arch()
    result = run(program(core(text), arch=arch), arch, frames(2), (0,), 5)
    # frame 0: recv 5, loop 6, nops 7-26, send 27, there at 31; end 29, ended at 30. Frame 1 is
    # requested at 5; T28: granted at 6, when frame 0's recv has emptied the channel; there at 10.
    # Its arming waits until 30: recv 31, send 53, there at 57
    assert result.cycles == 57
    assert result.stalls["host.out"]["blocked"] == 1
    assert result.frame_cycles.tolist() == [30, 57 - 7]


def test_T31_a_file_starts_after_output_and_threads_of_the_last() -> None:
    arch = hand_arch()
    # output at 11, thread ended at 10: the next file starts at 12
    assert lone("nop", arch, 2, (0, 1)).cycles == 12 + 11
    # send at 7 is complete at 9; loop and nops take 9 to 19, end 20: ended at 21
    assert lone("nop", arch, 1, (0,), nops(10)).cycles == 21
    assert lone("nop", arch, 2, (0, 1), nops(10)).cycles == 22 + 21


def test_T31_a_file_starts_after_the_last_message_has_arrived() -> None:
    text = ECHO.replace(
        "    end", "    send dest={1}, channel=1, src=0, words=32, thread=0\n    end"
    )
    arch = hand_arch("cores=2")
    whole = program(core(text), core(SINK), arch=arch)
    one, two = (run(whole, arch, frames(n), range(n)).cycles for n in (1, 2))
    # the second send at 8: 32 words, complete at 41, there at 8 + 1 + 32 + 2 = 43; ended at 42
    assert two - one == 44


def counting_core() -> str:
    """Return a core that adds the frames seen in its file to each frame."""
    return f"""
    .thread step tokens=2
        recv channel=0, dst=0, words=1
        {vset(4)} vadd d=10, a=10, b=11
        vadd d=1, a=0, b=10
        send dest={{host}}, channel=0, src=1, words=1, thread=0
        post core=0, thread=0
        end
    .thread start tokens=1
        {vset(4)} vfill d=10, value=0
        post core=0, thread=0
        end
    """


def test_T31_counts_go_back_at_the_start_of_a_file() -> None:
    arch = hand_arch()
    image = core(counting_core(), segments=(segment(11, [1] * 4),))
    whole = program(image, arch=arch, init=((0, 1),))
    stream = frames(5)
    result = run(whole, arch, stream, (0, 3))
    assert (result.outputs - stream)[:, 0].tolist() == [1, 2, 3, 1, 2]


def test_T31_channels_are_emptied_at_the_start_of_a_file() -> None:
    # core 0 sends each frame on twice, core 1 takes one of the two messages
    first = """
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        send dest={1}, channel=1, src=0, words=1, thread=1
        send dest={1}, channel=1, src=0, words=1, thread=0
        end
    """
    second = """
    .thread main tokens=1
        recv channel=1, dst=0, words=1
        send dest={host}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("cores=2", "link.channel_words=4")
    whole = program(
        core(first), core(second + SINK), arch=arch, outputs=(OutputPort(1, 0, 0, 4, 16),)
    )
    stream = frames(3)
    assert run(whole, arch, stream, (0,)).outputs.tolist() == stream[[0, 0, 1]].tolist()
    assert run(whole, arch, stream, (0, 1, 2)).outputs.tolist() == stream.tolist()


def test_T31_a_period_does_not_reach_into_the_next_file() -> None:
    # Files of two frames, 1000 apart. File 0: 0 and 1000, output at 1010, so file 1 starts at 1011:
    # frames at 1011 and 2011, the last output 10 later
    arch = hand_arch()
    result = run(program(core(ECHO), arch=arch), arch, frames(4), (0, 2), 1000)
    assert result.cycles == 2011 + 10


def test_T31_outputs_of_overlapping_frames_may_arrive_port_by_port() -> None:
    # core 1 takes 60 cycles longer than core 0, whose second output is there before core 1's first;
    # T28: the host's channels always have room
    def echo(delay: str) -> str:
        return ECHO.replace("send", delay + "    send")

    arch = hand_arch("cores=2")
    whole = program(
        core(echo("")), core(echo(nops(60))), arch=arch, input=InputPort((0, 1), 0, 0, 4, 16),
        outputs=(OutputPort(0, 0, 0, 4, 16), OutputPort(1, 0, 4, 4, 16)),
    )  # fmt: skip
    stream = frames(2)
    result = run(whole, arch, stream, (0,), 20)
    assert result.outputs.tolist() == np.tile(stream, 2).tolist()


# --- T32


def stuck():  # type: ignore[no-untyped-def]
    """Return what a run raises in which one thread waits for words and another for its router."""
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=0, thread=1
        recv channel=1, dst=0, words=1
        end
    .thread side tokens=1
        nop
        nop
        recv channel=2, dst=4, words=1
        end
    .thread never tokens=3
        end
    """
    arch = hand_arch()
    with pytest.raises(DeadlockError) as caught:
        run(program(core(text), arch=arch), arch, frames(), (0,))
    return str(caught.value)


def test_T32_a_deadlock_names_every_threads_wait() -> None:
    report = stuck()
    # main's recv is instruction 2; side stands before its own, 6, for the router unit
    assert re.search(r"thread main, instruction 2 [^;]*waits[^;]*(message|channel 1)", report)
    assert re.search(r"thread side, instruction 6 [^;]*waits[^;]*(unit|router)", report)


def test_T32_a_deadlock_names_the_missing_outputs() -> None:
    assert "(0, 0)" in stuck()


def test_T32_a_deadlock_names_half_armed_threads() -> None:
    text = (
        ECHO.replace("    send", "    post core=0, thread=1\n    end\n    send")
        + """
    .thread other tokens=2
        end
    """
    )
    arch = hand_arch()
    with pytest.raises(DeadlockError, match="thread other has 1 of 2 tokens"):
        run(program(core(text), arch=arch), arch, frames(), (0,))


@pytest.mark.parametrize("period", [1, 40])
def test_T28_a_host_that_still_sends_is_busy_and_not_blocked(period: int) -> None:
    # a frame takes 16 cycles on the link, and the next is requested before it is over
    arch = hand_arch("link.host_cycles_per_word=4")
    words = 4
    text = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words={words}
        send dest={{host}}, channel=0, src=0, words=1, thread=0
        end
    """
    whole = program(core(text), arch=arch, input=InputPort((0,), 0, 0, 4 * words, 16))
    result = run(whole, arch, frames(6, 4 * words), (0,), period)
    assert complaints(result) == []
    assert result.stalls["host.out"]["busy"] == 6 * words * 4
