"""One or more runs worked out by hand for each rule of docs/timing.md that concerns a core.

The kernel's own rules (T1 to T15) are checked in tests/stepper; T25 and T27 to T30 are in
test_machine_router.py, T31 and T32 in test_machine_files.py and T19 in test_machine_ports.py.
Machine: `HAND` in programs.py: one PE, E = 4, four banks of 64-bit words, four vector lanes, three
stages everywhere, two contexts.
"""

import numpy as np
import pytest
from programs import (
    AROUND,
    PRIVATE,
    body_cycles,
    causes,
    hand_arch,
    lone,
    matrix,
    pair,
    scales,
    segment,
    table,
    vset,
)

ROW = np.ones((1, 4), np.int64)
ZEROS = segment(0, [0] * 64)
# A product of four zero activations: one window, nothing pushed, F = t + L + 1, D = L + 1 + 3.
QUIET = 1 + 3
VSET = 1  # cycles


# --- T7: load phase, at two PEs and four banks (PE 0 has banks 0 and 2)


def load_cycles(weight_rows: int, columns: int, op: str, src: int, biased: bool) -> int:
    """Return L of a bitmap product of zeros: D = L + windows + 3."""
    arch = hand_arch("core.pes=2")
    weight = np.ones((weight_rows, columns), np.int64)
    bias = np.ones(weight_rows, np.int64) if biased else None
    m = matrix(weight, bias, "bitmap", pes=2, weight_bits=8)
    text = f"{op} m=0, src={src}, acc=0"
    result = lone(text, arch, matrices=(m,), segments=(ZEROS,))
    load = result.cycles - AROUND - -(-columns // 4) - 3
    for unit in ("core0.scanner", "core0.pe0", "core0.pe1"):
        assert result.stalls[unit].get("load", 0) == load
    return load


def test_T7_bias_and_indices_are_fetched_while_the_operand_streams() -> None:
    # rows 4 over 2 PEs: 2 biases of 32 bits a PE, 1 word; 4 columns x 2 flags, 1 word: n = 2, 2.
    # 4 x 16 bits: W = 1, from bank 0, PE 0's: o = 1, 0. L = max(1, 3, 2)
    assert load_cycles(4, 4, "spmv", 0, True) == 3
    # spmva fetches no bias: n = 1, 1; L = max(1, 2, 1); nor does an spmv without one
    assert load_cycles(4, 4, "spmva", 0, True) == 2
    assert load_cycles(4, 4, "spmv", 0, False) == 2


def test_T7_operand_words_stop_the_fetches_of_their_banks_pe() -> None:
    # rows 5: PE 0 has 3 (96 bits of bias, 2 words), PE 1 2 (1 word), and 1 index word each:
    # n = 3, 2. W = 1 from bank 0: o = 1, 0, L = 4; from bank 1: o = 0, 1, L = max(1, 3, 3)
    assert load_cycles(5, 4, "spmv", 0, True) == 4
    assert load_cycles(5, 4, "spmv", 1, True) == 3
    # 12 columns: W = 3 from banks 0 1 2, o = 2, 1, n = 3, 2: L = 5; from 1 2 3, o = 1, 2: L = 4
    assert load_cycles(5, 12, "spmv", 0, True) == 5
    assert load_cycles(5, 12, "spmv", 1, True) == 4
    # 32 columns: W = 8, o = 4, 4; 32 x 3 flags: 2 words, 32 x 2: 1 word; n = 4, 2: L = max(8, 8)
    assert load_cycles(5, 32, "spmv", 0, True) == 8


def test_T7_private_weight_memory_streams_no_operand() -> None:
    arch = hand_arch(*PRIVATE)
    m = matrix(ROW, np.array([5]), "bitmap", weight_bits=8)
    # 1 bias word and 1 index word; resident bitmaps would need none
    cycles = body_cycles("spmv m=0, src=0, acc=0", arch, matrices=(m,), segments=(ZEROS,))
    assert cycles == 2 + QUIET
    cycles = body_cycles("spmva m=0, src=0, acc=0", arch, matrices=(m,), segments=(ZEROS,))
    assert cycles == 1 + QUIET
    dense = (matrix(ROW),)
    assert body_cycles("dmv m=0, src=0, acc=0", arch, matrices=dense, segments=(ZEROS,)) == QUIET


# --- T13, T14: an engine alone


@pytest.mark.parametrize(("hazard", "cycles"), [("bypass", 5 + 3), ("stall", 11 + 3)])
def test_T13_updates_of_one_row_are_mac_stages_apart(hazard: str, cycles: int) -> None:
    arch = hand_arch(*PRIVATE, f"core.hazard={hazard}")
    # One row: pushes at 0 1 2 3. bypass: beats at 1 2 3 4, F = 5. stall, M = 3: beats at
    # 1 4 7 10, F = 11, two cycles of hazard before each but the first.
    result = lone(
        "dmv m=0, src=0, acc=0", arch, matrices=(matrix(ROW),), segments=(segment(0, [1] * 4),)
    )
    assert result.cycles == AROUND + cycles
    assert result.stalls["core0.pe0"].get("hazard", 0) == (6 if hazard == "stall" else 0)


# --- T16, T17: vector beats


@pytest.mark.parametrize(
    ("operands", "beats"),
    [
        ("vadd d=0, a=1, b=2", 1 + 1),  # three banks
        ("vadd d=0, a=1, b=4", 2 + 2),  # d and b share a bank
        ("vadd d=0, a=4, b=8", 3 + 3),  # all three do
        ("vadd d=0, a=0, b=0", 3 + 3),  # so they do when they are the same word
        ("vmov d=0, a=4", 2 + 2),
        ("vfill d=0, value=1", 1 + 1),
    ],
)
def test_T16_a_beat_lasts_as_long_as_its_busiest_bank(operands: str, beats: int) -> None:
    # 8 elements of 16 bits: two beats of one word an operand; T17: 3 stages more
    assert body_cycles(vset(8) + operands, hand_arch()) == VSET + beats + 3


def test_T16_a_beat_accesses_every_word_its_elements_lie_in() -> None:
    # three lanes: elements 0-2 in word 0, elements 3-5 in words 0 and 1. a at 0, d at 4:
    # beat 0 has bank 0 twice, beat 1 banks 0 and 1 twice each
    three = hand_arch("core.vector.lanes=3")
    assert body_cycles(vset(6) + "vmov d=4, a=0", three) == VSET + 2 + 2 + 3
    # a at 0, d at 5 (banks 1, 2): beat 0 banks 0, 1; beat 1 banks 0, 1 and 1, 2
    assert body_cycles(vset(6) + "vmov d=5, a=0", three) == VSET + 1 + 2 + 3
    # 4 elements of 32 bits are two words: a 0 1, b 2 3, d 4 5: banks 0 and 1 twice
    wide = vset(4, 32, 32, 32)
    assert body_cycles(wide + "vadd d=4, a=0, b=2", hand_arch()) == VSET + 2 + 3
    # 8 elements of 8 bits are one word, which both beats access
    assert body_cycles(vset(8, 8, 8, 8) + "vmov d=4, a=0", hand_arch()) == VSET + 2 + 2 + 3


def test_T16_an_instruction_is_timed_by_the_vset_before_it_in_time_not_in_text() -> None:
    # in the first round that of before the loop, 4 elements, and then the body's own, 16
    body = vset(4) + "loop count=3, body=2, bump=0\nvfill d=0, value=3\n" + vset(16)
    rounds = (1 + 3 + VSET) + 2 * (4 + 3 + VSET)
    assert body_cycles(body, hand_arch()) == VSET + 1 + rounds


def test_T16_an_instruction_without_elements_takes_one_beat() -> None:
    assert body_cycles(vset(0) + "vadd d=0, a=4, b=8", hand_arch()) == VSET + 1 + 3


@pytest.mark.parametrize(
    ("settings", "interpolate", "beats"),
    [
        ((), False, 2 + 1),  # one bank of two ports: 4 / 2, then 2 / 2
        ((), True, 4 + 2),
        (("core.table_memory.banks=4",), True, 1 + 1),  # 8 reads by 8
        (("core.table_memory.ports=3",), False, 2 + 1),  # ceil(4 / 3)
        (("core.table_memory.ports=3",), True, 3 + 2),  # ceil(8 / 3), ceil(4 / 3)
    ],
)
def test_T16_table_reads_limit_a_beat(
    settings: tuple[str, ...], interpolate: bool, beats: int
) -> None:
    tables = (table(4, 12, interpolate),)
    arch = hand_arch(*settings)
    # 6 elements: beats of 4 and 2; operands in different banks
    cycles = body_cycles(vset(6) + "vlut d=0, a=1, table=0", arch, tables=tables)
    assert cycles == VSET + beats + 3
    cycles = body_cycles(vset(6) + "vqs d=0, acc=0, table=0", arch, tables=tables)
    assert cycles == VSET + beats + 3


def test_T16_tables_none_and_relu_cost_nothing() -> None:
    for name in ("none", "relu"):
        cycles = body_cycles(vset(6) + f"vqs d=0, acc=0, table={name}", hand_arch())
        assert cycles == VSET + 1 + 1 + 3


def test_T16_scales_are_operands_too() -> None:
    scale = (scales(4, [(1, 0)] * 8),)
    # vqm: word 4 (bank 0) in every beat; d words 0, 1: beat 0 meets it in bank 0, beat 1 does not
    vqm = vset(8) + "vqm d=0, acc=0, scale=1, table=none"
    assert body_cycles(vqm, hand_arch(), segments=scale) == VSET + 2 + 1 + 3
    # vqc: beat 0 words 4-7, beat 1 words 8-11, each with d in one of their banks
    vqc = vset(8) + "vqc d=0, acc=0, scale=1, table=none"
    assert body_cycles(vqc, hand_arch(), segments=scale) == VSET + 2 + 2 + 3


def test_T17_all_of_a_vector_instructions_cycles_are_busy() -> None:
    result = lone(vset(8) + "vadd d=0, a=4, b=8", hand_arch("core.pipeline.vector_stages=5"))
    assert causes(result, "core0.vector") == {"busy": 6 + 5, "idle": result.cycles - 11}


# --- T18: reserved ports


def test_T18_held_banks_are_busy_in_cycles_with_an_access() -> None:
    # 2 x 2 beats + 3 stages = 7 cycles. d words 0 1, a 1 2, b 4 5: accesses to bank 0: d, b;
    # bank 1: a, then d, b; bank 2: a. IN is in bank 3: recv holds it 1 cycle and send 2,
    # each with an access.
    result = lone(vset(8) + "vadd d=0, a=1, b=4", hand_arch())
    found = [result.stalls[f"core0.data_memory.bank{b}"] for b in range(4)]
    assert [(f["busy"], f.get("held", 0)) for f in found] == [(2, 5), (3, 4), (1, 6), (2, 1)]


def overlap(*settings: str):  # type: ignore[no-untyped-def]
    """Run a product of zeros beside a vfill of another bank than its operand's."""
    return pair(
        "dmv m=0, src=0, acc=0",
        vset(4) + "vfill d=1, value=1",
        hand_arch(*settings),
        matrices=(matrix(ROW),),
        segments=(ZEROS,),
    )


def test_T18_a_product_in_the_data_banks_holds_them_all() -> None:
    # main: dmv at 7, W = L = 1, D = 5: complete at 12; post at 12, end at 13. side: vset at 8;
    # its vfill finds the banks free at 12, and the core's issue at 14: 14 to 17; post at 18, end
    # at 19. out: both tokens by 18, send at 20; its word arrives at 24.
    result = overlap()
    assert result.cycles == 24
    # dmv holds all banks for 5, reads the operand in bank 0; vfill holds bank 1 for 4
    found = [result.stalls[f"core0.data_memory.bank{b}"] for b in range(4)]
    assert [(f["busy"], f.get("held", 0)) for f in found] == [(1, 4), (1, 8), (0, 5), (2, 6)]


def test_T18_a_product_with_private_weights_holds_its_operands_banks() -> None:
    # main: dmv 7 to 10, post at 11, end at 12. side: vset at 8, vfill at 9 to 12, post at 13, end
    # at 14; out: send at 15, arrives at 19.
    assert overlap(*PRIVATE).cycles == 19


def test_T20_a_lone_product_finds_its_banks_free() -> None:
    rng = np.random.default_rng(7)
    m = matrix(rng.integers(-9, 9, (8, 12)), rng.integers(-9, 9, 8))
    image = {"matrices": (m,), "segments": (segment(0, rng.integers(0, 3, 12)),)}
    text = "dmv m=0, src=0, acc=0"
    reserved = lone(text, hand_arch(), **image)
    shared = lone(text, hand_arch("core.ports=shared"), **image)
    assert reserved.cycles == shared.cycles
    assert causes(reserved, "core0.pe0") == causes(shared, "core0.pe0")
    assert "port" not in shared.stalls["core0.pe0"]


# --- what RunResult promises


@pytest.mark.parametrize(
    ("ports", "elements"), [("reserved", [200, 200, 200]), ("shared", [4, 200, 396])]
)
def test_frame_counts_are_of_what_was_begun(ports: str, elements: list[int]) -> None:
    # The work after `send` begins when the last word leaves, two cycles before the output has
    # arrived. A thread's work up to its next `end` is begun as one; where units compete it is
    # begun by instruction: vset, loop, and the first of 50 vfills before the frame has ended.
    tail = vset(4) + "loop count=50, body=1, bump=0\nvfill d=0, value=3"
    result = lone("nop", hand_arch(f"core.ports={ports}"), 3, tail=tail)
    assert result.frame_counts["vector.element"].tolist() == elements


def test_dense_macs_count_every_product() -> None:
    text = "loop count=3, body=1, bump=0\ndmv m=0, src=0, acc=0"
    image = {"matrices": (matrix(ROW),), "segments": (segment(0, [1] * 4),)}
    result = lone(text, hand_arch(), **image)
    assert result.layers["m"]["dense"] == 12
    assert result.macs["dense"] == 12
    assert result.macs["effective"] == 12


def test_the_most_banks_are_held_and_freed_like_others() -> None:
    arch = hand_arch("core.data_memory.banks=64", "core.data_memory.words=64")
    result = lone(vset(4) + "vfill d=63, value=3", arch)
    held = {b: causes(result, f"core0.data_memory.bank{b}").get("held", 0) for b in (0, 62, 63)}
    assert held == {0: 0, 62: 0, 63: 3 + 1}  # the lone program's `send` holds it a cycle, too
    assert result.cycles == AROUND + VSET + 4
