"""Rules T21 to T26: tokens, dispatch, issue, attribution; runs worked out by hand.

Machine: `HAND` in programs.py: one PE, four banks, four vector lanes, three stages everywhere, two
contexts.
"""

import numpy as np
import pytest
from chip_agreement import checked_run as run
from programs import (
    AROUND,
    IN,
    PRIVATE,
    body_cycles,
    causes,
    complaints,
    core,
    frames,
    hand_arch,
    lone,
    matrix,
    nops,
    pair,
    program,
    segment,
    vset,
)

from spusim.machine import MachineError
from spusim.program import InputPort, OutputPort

ROW = np.ones((1, 4), np.int64)
ZEROS = segment(0, [0] * 64)
# A product of four zero activations: one window, nothing pushed, F = t + L + 1, D = L + 1 + 3.
QUIET = 1 + 3
VSET = 1  # cycles


# --- T21 to T23: tokens and dispatch


def posts(count: int, tokens: int = 1) -> str:
    """Return a core whose main thread posts `count` tokens to `side`, which does a nop."""
    lines = "\n".join(["post core=0, thread=1"] * count)
    return f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        {lines}
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    .thread side tokens={tokens}
        nop
        end
    """


def test_T21_an_arming_waits_while_its_thread_runs() -> None:
    arch = hand_arch()
    result = run(program(core(posts(2)), arch=arch), arch, frames(), (0,))
    # main: recv 5, posts 6 7, send 8, end at its completion 10. side: dispatched at the end of 6;
    # armed again at the end of 7, which waits; nop 9, end 11: ended at 12, ready and dispatched in
    # 12, nop 13, end 14, ended at 15. The output arrived at 12.
    assert result.cycles == 15
    assert causes(result, "core0.sequencer") == {"busy": 9, "idle": 6}


def test_T21_a_second_waiting_arming_ends_the_run() -> None:
    arch = hand_arch()
    with pytest.raises(MachineError, match=r"core 0\b.*\bside\b.*T21"):
        run(program(core(posts(3)), arch=arch), arch, frames(), (0,))


def test_T21_a_thread_is_armed_by_its_last_token() -> None:
    arch = hand_arch()
    result = run(program(core(posts(3, tokens=3)), arch=arch), arch, frames(), (0,))
    # main: recv 5, posts 6 7 8, send 9; side: nop 10, main's end 11, side's end 12: ended 13;
    # the output arrives at 13
    assert result.cycles == 13
    assert result.stalls["core0.sequencer"]["busy"] == 8
    two = run(program(core(posts(3, tokens=2)), arch=arch), arch, frames(), (0,))
    # the third token is the first of an arming that never comes: side runs once
    assert two.stalls["core0.sequencer"]["busy"] == 8


def test_T22_tokens_of_a_cycle_count_in_ascending_thread_number() -> None:
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        send dest={{host}}, channel=0, src=5, words=1, thread=0
        end
    .thread one tokens=1
        {vset(4)} vfill d=5, value=1
        end
    .thread two tokens=1
        {vset(4)} vfill d=5, value=2
        end
    """
    arch = hand_arch("core.sequencer.contexts=1")
    whole = program(core(text), arch=arch, init=((0, 2), (0, 1)))
    result = run(whole, arch, frames(), (0,))
    # one: dispatched at the end of 0; vset 1, vfill 2-5, end 6: ended at 7. two: vset 8,
    # vfill 9-12, end 13: ended at 14. main: recv 15, send 16, arrives at 20.
    assert result.cycles == 20
    assert result.outputs.tolist() == [[2, 2, 2, 2]]


def test_T23_dispatch_cycles_pass_before_the_first_issue() -> None:
    # dispatched at the end of 4, recv at 4 + 3
    result = lone("nop", hand_arch("core.pipeline.dispatch_cycles=3"))
    assert result.cycles == AROUND + 1 + 2
    assert result.stalls["core0.sequencer"]["dispatch"] == 2


def test_T23_one_thread_is_dispatched_a_cycle() -> None:
    text = f"""
    .thread a tokens=1
        recv channel=0, dst={IN}, words=1
        end
    .thread b tokens=1
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    .thread c tokens=1
        {nops(20)} end
    .thread sink tokens=9
        end
    """
    arch = hand_arch("core.sequencer.contexts=3")
    whole = program(
        core(text), arch=arch, init=((0, 0), (0, 1), (0, 2)), input=InputPort((0,), 0, 3, 4, 16)
    )
    # a: dispatched at the end of 0, recv at 1 until the word at 4 has been taken: 5; end 5.
    # b: at the end of 1; send at 6 (5 is a's), complete at 8; end 8.
    # c: at the end of 2; loop 3, nop 4, nop 7, nops 9 to 26, end 27: ended at 28.
    result = run(whole, arch, frames(), (0,))
    assert result.cycles == 28
    # the frame's message is there at 4: 3 cycles of `message`, then recv's 1, send's 2
    assert causes(result, "core0.router") == {"busy": 3, "message": 3, "idle": 22}


def test_T23_an_ended_thread_frees_its_context_for_the_same_cycles_end() -> None:
    arch = hand_arch("core.sequencer.contexts=1")
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=0, thread=1
        end
    .thread side tokens=1
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    """
    # main: recv 5, post 6, end 7: ended at 8; side is dispatched at the end of 8: send 9, there 13
    assert run(program(core(text), arch=arch), arch, frames(), (0,)).cycles == 13


# --- T24 to T26: the sequencer


def test_T24_a_lone_threads_instructions_follow_each_other() -> None:
    # nop, vset, vfill (1 + 3), dmv of zeros (L = W = 1), vmov (2 + 3), nop
    text = "nop\n" + vset(4) + "vfill d=1, value=1\ndmv m=0, src=0, acc=0\nvmov d=1, a=5\nnop"
    cycles = body_cycles(text, hand_arch(), matrices=(matrix(ROW),), segments=(ZEROS,))
    assert cycles == 1 + 1 + 4 + (1 + QUIET) + 5 + 1


def test_T24_two_threads_share_the_issue_and_the_vector_unit() -> None:
    # main: vset 7, vfill 8-11. side: vset 9; its vfill waits for the unit. At 12 both could
    # issue: main is older, post 12, end 13; side: vfill 14-17, post 18, end 19; out: dispatched at
    # the end of 18, send 20, complete at 22, end 22; its word arrives at 24.
    side = vset(4) + "vfill d=1, value=1"
    result = pair(vset(4) + "vfill d=0, value=1", side, hand_arch())
    assert result.cycles == 24
    # T26: idle 0-4 and 23; vector 10 11 and 15 16 17; router 21
    assert causes(result, "core0.sequencer") == {"busy": 12, "idle": 6, "vector": 5, "router": 1}
    assert causes(result, "core0.vector") == {"busy": 8, "idle": 16}


def test_T24_one_context_runs_threads_one_after_the_other() -> None:
    arch = hand_arch("core.sequencer.contexts=1")
    side = vset(4) + "vfill d=1, value=1"
    result = pair(vset(4) + "vfill d=0, value=1", side, arch)
    # main: recv 5, post 6, vset 7, vfill 8-11, post 12, end 13: ended at 14. side: vset 15,
    # vfill 16-19, post 20, end 21: ended at 22; out: send 23, end 25, its word at 27
    assert result.cycles == 27


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("nop", 1),
        (vset(4), 1),
        ("loop count=3, body=2, bump=0\nnop\nnop", 1 + 6),
        ("loop count=0, body=2, bump=0\nnop\nnop", 1),
        ("loop count=2, body=0, bump=0", 1),
        ("loop count=2, body=3, bump=0\nnop\nloop count=3, body=1, bump=0\nnop", 1 + 2 * (2 + 3)),
        ("loop count=2, body=2, bump=1\nloop count=0, body=1, bump=0\nnop\nnop", 1 + 2 + 1),
        ("loop count=1, body=2, bump=0\nloop count=2, body=1, bump=0\nnop", 1 + 1 + 2),
    ],
)
def test_T25_a_loop_is_executed_once_and_going_round_is_free(text: str, cycles: int) -> None:
    assert body_cycles(text, hand_arch()) == cycles


def test_T25_bump_moves_the_banks_that_a_body_accesses() -> None:
    # all addresses move by one: a at 5 and d at 0 never share a bank, a at 4 and d always do
    loop = "loop count=4, body=1, bump=1\n"
    assert body_cycles(vset(4) + loop + "vmov d=0, a=5", hand_arch()) == VSET + 1 + 4 * (1 + 3)
    assert body_cycles(vset(4) + loop + "vmov d=0, a=4", hand_arch()) == VSET + 1 + 4 * (2 + 3)


def test_T25_a_token_for_another_core_takes_the_hop() -> None:
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=1, thread=0
        end
    """
    other = """
    .thread far tokens=1
        send dest={host}, channel=0, src=0, words=1, thread=0
        end
    """
    arch = hand_arch("cores=2", "link.hop_cycles=5")
    far = core(other, segments=(segment(0, [4, 3, 2, 1]),))
    whole = program(core(text), far, arch=arch, outputs=(OutputPort(1, 0, 0, 4, 16),))
    # frame: there at 0 + 1 + 1 + 5 = 7; recv 8, post 9: there at 9 + 1 + 5 = 15; send 16, its word
    # arrives at 16 + 1 + 1 + 5
    result = run(whole, arch, frames(), (0,))
    assert result.cycles == 23
    assert result.outputs.tolist() == [[4, 3, 2, 1]]


def waiting(follow: str):  # type: ignore[no-untyped-def]
    """Run a product (8 to 11) then `follow`, beside a vfill (10 to 24) in banks 1 to 3."""
    # main: vset 7, dmv 8-11. side: vset 9, vfill 10: 12 beats of one lane and 3 stages.
    return pair(
        vset(4) + "dmv m=0, src=0, acc=0\n" + follow,
        vset(12) + "vfill d=5, value=1",  # other words than the products read
        hand_arch(*PRIVATE, "core.vector.lanes=1"),
        matrices=(matrix(ROW),),
        segments=(ZEROS,),
    )


def test_T26_the_oldest_waits_for_a_unit_once_its_own_instruction_is_complete() -> None:
    # 11 is main's product; from 12 to 24 main, the oldest, waits for the vector unit; its vfill
    # (in bank 0) runs 25 to 31 (4 beats + 3): side's post 26, its end 27; vector 28 to 31.
    result = waiting("vfill d=4, value=1")
    found = causes(result, "core0.sequencer")
    assert (found["engine"], found["unit"], found["vector"]) == (1, 13, 4)


def test_T26_the_oldest_waits_for_banks_once_its_own_instruction_is_complete() -> None:
    # from 12 to 24 main's second product waits for bank 1, which the vfill holds; 25 to 28 it
    # runs: 26 is side's post, 27 its end, 28 a wait for the engine
    result = waiting("dmv m=0, src=1, acc=4")
    found = causes(result, "core0.sequencer")
    assert (found["engine"], found["banks"]) == (2, 13)


def test_T26_every_cycle_has_a_cause() -> None:
    side = vset(4) + "vfill d=1, value=1"
    image = {"matrices": (matrix(ROW),), "segments": (ZEROS,)}
    for settings in ((), PRIVATE, ("core.ports=shared",), ("core.sequencer.contexts=1",)):
        result = pair("dmv m=0, src=0, acc=0", side, hand_arch(*settings), **image)
        assert complaints(result) == []
