"""Rules T25 and T27 to T30: messages, tokens and the host link; worked out by hand.

Machine: `HAND` in programs.py: hop 2, the host's link a word a cycle unless a test says otherwise.
A frame requested at t is granted at t, and with c cycles of words is there at t + 1 + c + 2.
"""

import pytest
from chip_agreement import checked_run as run
from programs import (
    ECHO,
    SINK,
    causes,
    core,
    frames,
    hand_arch,
    nops,
    program,
)

from spusim.machine import MachineError
from spusim.program import InputPort, OutputPort


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
