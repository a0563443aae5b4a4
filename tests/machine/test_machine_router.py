"""Rules T27 to T32: messages, the host link, files, the end of a run; worked out by hand.

Machine: `HAND` in programs.py: hop 2, the host's link a word a cycle unless a test says otherwise.
A frame requested at t is granted at t, and with c cycles of words is there at t + 1 + c + 2.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
from chip_agreement import checked_run as run
from programs import (
    IN,
    causes,
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

from spusim.machine import DeadlockError, MachineError
from spusim.program import InputPort, OutputPort

ECHO = f"""
.thread main tokens=1
    recv channel=0, dst={IN}, words=1
    send dest={{host}}, channel=0, src={IN}, words=1, thread=0
    end
"""
SINK = """
.thread sink tokens=99
    end
"""


def test_T27_the_host_link_slows_messages_down() -> None:
    # frame of one word: c = 3, there at 0 + 1 + 3 + 2 = 6; recv 7, send 8: granted at 8, words
    # move in 9 to 11, complete at 12; arrives at 8 + 1 + 3 + 2
    arch = hand_arch("link.host_cycles_per_word=3")
    result = run(program(core(ECHO), arch=arch), arch, frames(), (0,))
    assert result.cycles == 14
    assert causes(result, "core0.router") == {"busy": 1 + 4, "idle": 9}
    assert causes(result, "host.out") == {"busy": 3, "idle": 11}
    assert causes(result, "host.in") == {"busy": 3, "idle": 11}


def two_cores(words: int, *settings: str):  # type: ignore[no-untyped-def]
    """Run a frame of `words` through core 0, then core 1, then back."""
    first = f"""
    .thread main tokens=1
        recv channel=0, dst=0, words={words}
        send dest={{1}}, channel=1, src=0, words={words}, thread=0
        end
    """
    second = f"""
    .thread main tokens=1
        recv channel=1, dst=0, words={words}
        send dest={{host}}, channel=0, src=0, words={words}, thread=0
        end
    """
    arch = hand_arch("cores=2", *settings)
    whole = program(
        core(first), core(second), arch=arch,
        input=InputPort((0,), 0, 0, 4 * words, 16),
        outputs=(OutputPort(1, 0, 0, 4 * words, 16),),
    )  # fmt: skip
    return run(whole, arch, frames(1, 4 * words), (0,))


def test_T28_T29_T30_a_message_on_its_way() -> None:
    # frame of 2 words there at 0 + 1 + 2 + 2 = 5; recv 6-7; send 8: granted at 8, words in 9 and
    # 10, complete at 11; there at 8 + 1 + 2 + 2 = 13; recv 14-15, send 16; there at 21
    result = two_cores(2)
    assert result.cycles == 21
    assert result.outputs.tolist() == frames(1, 8).tolist()
    assert causes(result, "core0.router") == {"busy": 2 + 3, "idle": 16}
    assert causes(result, "core1.router") == {"busy": 2 + 3, "idle": 16}
    # core 0's sequencer: recv 6, router 7, send 8, router 9 10, end 11; ended at 12
    assert causes(result, "core0.sequencer") == {"busy": 3, "router": 3, "idle": 15}


def test_T27_only_the_hosts_messages_are_slow() -> None:
    # host: c = 6: frame there at 9; recv 10-11, send 12 with c = 2: there at 17; recv 18-19,
    # send 20 with c = 6: there at 20 + 1 + 6 + 2
    assert two_cores(2, "link.host_cycles_per_word=3").cycles == 29


def test_T28_simultaneous_requests_are_granted_in_ascending_sender_number() -> None:
    def sender(channel: int) -> str:
        return f"""
        .thread main tokens=1
            recv channel=0, dst=0, words=1
            send dest={{2}}, channel={channel}, src=0, words=1, thread=0
            end
        """

    last = """
    .thread join tokens=2
        recv channel=1, dst=0, words=1
        recv channel=2, dst=1, words=1
        send dest={host}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("cores=3")
    whole = program(
        core(sender(1)), core(sender(2)), core(last), arch=arch,
        input=InputPort((0, 1), 0, 0, 4, 16), outputs=(OutputPort(2, 0, 0, 4, 16),),
    )  # fmt: skip
    # both recv 5, send 6. Core 0's is granted at 6 and holds core 2's in port until 8; core 1's
    # is granted at 8, complete at 10, there at 12. join: recv 13, recv 14, send 15, there at 19
    for order in (None, (2, 1, 0), (1, 2, 0)):
        result = run(whole, arch, frames(), (0,), order=order)
        assert result.cycles == 19
        assert causes(result, "core0.router") == {"busy": 3, "idle": 16}
        assert causes(result, "core1.router") == {"busy": 3, "blocked": 2, "idle": 14}


def test_T28_cores_come_before_the_host() -> None:
    # core 1's init thread: loop 1, nops 2 to 19, send 20; the host requests frame 1 at 20 too,
    # for the same in port, which is free again at 22: granted there, there at 26. recv 27, send 28
    other = f"""
    .thread main tokens=1
        {nops(18)} send dest={{0}}, channel=1, src=0, words=1, thread=1
        end
    """
    arch = hand_arch("cores=2")
    whole = program(core(ECHO + SINK), core(other), arch=arch, init=((1, 0),))
    result = run(whole, arch, frames(2), (0,), 20)
    assert result.cycles == 32
    assert result.stalls["host.out"]["blocked"] == 2
    assert result.frame_cycles.tolist() == [9, 32 - 23]


def test_T28_T29_a_message_waits_for_room_which_recv_gives_back() -> None:
    first = """
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        send dest={1}, channel=1, src=0, words=1, thread=1
        send dest={1}, channel=1, src=0, words=1, thread=1
        end
    """
    second = f"""
    .thread reader tokens=1
        {nops(18)} recv channel=1, dst=0, words=1
        recv channel=1, dst=0, words=1
        send dest={{host}}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("cores=2", "link.channel_words=1")
    whole = program(
        core(first), core(second + SINK), arch=arch, init=((1, 0),),
        outputs=(OutputPort(1, 0, 0, 4, 16),),
    )  # fmt: skip
    # core 0: recv 5, send 6 (complete at 8), send 8. reader: recv 20, complete at 21: room, so the
    # grant is at 21, complete at 23, there at 25. recv 21 waits until 25, then takes a cycle;
    # send 26, there at 30.
    result = run(whole, arch, frames(), (0,))
    assert result.cycles == 30
    assert causes(result, "core0.router") == {"busy": 1 + 2 + 2, "blocked": 13, "idle": 12}
    assert causes(result, "core1.router") == {"busy": 1 + 1 + 2, "message": 4, "idle": 22}


def test_T27_a_message_to_many_needs_all_their_ports_and_rooms() -> None:
    first = """
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        send dest={1,2}, channel=1, src=0, words=1, thread=0
        end
    """
    echo = """
    .thread main tokens=1
        recv channel=1, dst=0, words=1
        send dest={host}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("cores=3")
    whole = program(
        core(first), core(echo), core(echo), arch=arch,
        outputs=(OutputPort(1, 0, 0, 4, 16), OutputPort(2, 0, 4, 4, 16)),
    )  # fmt: skip
    # there at 10 on both; recv 11, send 12: core 1's is granted at 12, core 2's when the host's in
    # port is free again, at 14; there at 18
    result = run(whole, arch, frames(), (0,))
    assert result.cycles == 18
    assert result.outputs.tolist() == [[1, 2, 3, 4, 1, 2, 3, 4]]
    assert result.stalls["core2.router"]["blocked"] == 2
    assert result.counts["router.word"] == 4  # frame, one message to two cores, two outputs


def test_T30_a_recv_of_another_length_ends_the_run() -> None:
    arch = hand_arch()
    text = ECHO.replace("words=1\n    send", "words=2\n    send")
    with pytest.raises(MachineError, match=r"core 0, thread main, instruction 0 .*T30"):
        run(program(core(text), arch=arch), arch, frames(), (0,))


def test_T28_any_number_of_messages_may_stand_in_channels() -> None:
    # 70 messages of a word fit a channel of 256 words
    first = """
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        loop count=70, body=1, bump=0
        send dest={1}, channel=1, src=0, words=1, thread=0
        end
    """
    second = """
    .thread reader tokens=70
        loop count=70, body=1, bump=0
        recv channel=1, dst=0, words=1
        send dest={host}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("cores=2", "link.channel_words=256")
    whole = program(core(first), core(second), arch=arch, outputs=(OutputPort(1, 0, 0, 4, 16),))
    # recv 5, loop 6, sends at 7, 9, ..., 145: the last word is there at 145 + 4 = 149; loop 150,
    # recvs 151 to 220, send 221, there at 225
    assert run(whole, arch, frames(), (0,)).cycles == 225


def test_T29_threads_of_the_same_code_access_each_its_own_banks() -> None:
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=0, thread=1
        post core=0, thread=2
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    .thread one tokens=1
        loop count=3, body=1, bump=1
        send dest={{0}}, channel=1, src=8, words=1, thread=3
        end
    .thread two tokens=1
        end
    .thread sink tokens=6
        loop count=6, body=1, bump=0
        recv channel=1, dst=40, words=1
        end
    """
    arch = hand_arch()
    image = core(text, segments=(segment(8, range(12)),))
    one = image.threads[1]
    threads = tuple(replace(t, entry=one.entry) if t.name == "two" else t for t in image.threads)
    whole = program(replace(image, threads=threads), arch=arch)
    result = run(whole, arch, frames(), (0,))
    # sends of words 8, 9 and 10 twice, in banks 0, 1 and 2; six recvs to word 40, in bank 0; the
    # frame comes to and leaves word 63, in bank 3
    busy = [result.stalls[f"core0.data_memory.bank{bank}"]["busy"] for bank in range(4)]
    assert busy == [2 + 6, 2, 2, 2]


def test_T25_any_number_of_tokens_may_be_on_their_way() -> None:
    first = """
    .thread main tokens=1
        recv channel=0, dst=0, words=1
        loop count=70, body=1, bump=0
        post core=1, thread=0
        end
    """
    second = """
    .thread reader tokens=70
        send dest={host}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("cores=2", "link.hop_cycles=100")
    whole = program(core(first), core(second), arch=arch, outputs=(OutputPort(1, 0, 0, 4, 16),))
    # frame there at 102; recv 103, loop 104, posts 105 to 174: the last is there at 174 + 101;
    # send 276, there at 276 + 102
    assert run(whole, arch, frames(), (0,)).cycles == 378


# --- T31: frames and files


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
