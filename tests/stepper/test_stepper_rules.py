"""One worked example per timing rule: expected cycles are derived by hand in the comments.

The ports (T3, T18 to T20) are in test_stepper_ports.py. Unless a test says otherwise: issue at 0,
private weight memories, no load phase (S = 0), words of four 8-bit entries, E = 8, M = 3, one PE.
"D = F + M" is T14 with t = 0.
"""

from stepper import RUN, StepResult, step
from stepper_examples import machine, ones, sparse
from stepper_storage import Slice, build_slice, owned_rows


def beats_of(part: Slice, column: int) -> list[tuple[int | None, int]]:
    """Return the word read and the number of entries of each beat of a column."""
    return [(beat.word, len(beat.entries)) for beat in part.columns[column].beats]


# --- matrix storage


def test_T1_pencils_are_dealt_to_pes_in_turn() -> None:
    # rows 0-1 are group 0, rows 2-3 group 1, row 4 alone is group 2, which PE 0 owns again
    assert owned_rows(5, pes=2, group=2, pe=0) == [0, 1, 4]
    assert owned_rows(5, pes=2, group=2, pe=1) == [2, 3]


def test_T1_pe_without_rows_still_pops_every_column() -> None:
    result = step(machine(pes=3), ones(2, 2), [1, 1])
    # push 0, 1; pop 1, 2; done 3 = F; the PE has no row, so its two columns are empty
    assert result.stalls["pe2"] == {"starved": 1, "empty_column": 2, "drain": 3}
    assert result.cycles == 6


def test_T2_run_length_stores_padding_zeros() -> None:
    config = machine(format="run_length", index_bits=1)
    part = build_slice(config, [[0], [0], [0], [5], [0], [0]], 1, 0)
    # an index counts at most one zero: rows 0, 1 are "one zero, then a stored 0", rows 2, 3
    # "one zero, then 5"; nothing follows, so the zeros of rows 4 and 5 take no padding
    assert part.columns[0].beats[0].entries == ((1, 0), (3, 5))
    assert config.entry_bits == 9  # three to a word of 32


def test_T2_short_pencil_takes_a_full_ones_space() -> None:
    config = machine(format="pencil", group=3)
    part = build_slice(config, ones(4, 2), 2, 0)
    # places of column 0: rows 0 1 2 | row 3 and two empty ones; four places to a word, no gaps:
    # column 0 is places 0-5 (word 0 with 4, word 1 with 2), column 1 places 6-11 (word 1, word 2)
    assert beats_of(part, 0) == [(0, 4), (1, 0)]
    assert beats_of(part, 1) == [(1, 2), (2, 2)]
    assert part.entry_words == 3


def test_T2_bitmap_stores_nonzeros_only() -> None:
    part = build_slice(machine(format="bitmap"), [[3], [0], [-4]], 1, 0)
    assert part.columns[0].beats[0].entries == ((0, 3), (2, -4))


def test_T4_resident_indices_cost_nothing_and_preloaded_ones_are_fetched() -> None:
    weight = ones(8, 5)
    resident = step(machine(format="bitmap"), weight, [0] * 5)
    preload = step(machine(format="bitmap", preload=True), weight, [0] * 5)
    # 8 rows x 5 columns of bitmap are 40 bits, two words of 32
    assert preload.cycles == resident.cycles + 2
    assert preload.stalls["pe0"]["load"] == 2


# --- beats


def test_T5_each_word_is_read_once_and_takes_its_own_beats() -> None:
    config = machine(format="bitmap", entries_per_cycle=2)
    weight = sparse(5, 2, (0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (3, 1), (4, 1))
    # column 0 fills places 0-1; column 1 has places 2-6: two in word 0 (one beat), three in
    # word 1 (two beats)
    assert beats_of(build_slice(config, weight, 2, 0), 1) == [(0, 2), (1, 2), (None, 1)]
    result = step(config, weight, [0, 1])
    # activation 1 is in window 0: push 0, pop 1, done 4 = F, D = 7
    assert result.cycles == 7
    assert result.words_read == [2]


def test_T5_lanes_bound_the_entries_of_a_beat() -> None:
    config = machine(lanes=1, macs_per_lane=2)  # E = min(8, 1 x 2)
    assert beats_of(build_slice(config, ones(4, 1), 1, 0), 0) == [(0, 2), (None, 2)]


def test_T5_places_of_a_short_pencil_cost_beats() -> None:
    config = machine(format="pencil", group=4, entries_per_cycle=1)
    # one real row, but four places: four beats
    assert step(config, ones(1, 1), [1]).stalls["pe0"]["busy"] == 4


def test_T5_column_without_entries_costs_one_cycle() -> None:
    result = step(machine(format="bitmap"), sparse(2, 2, (0, 1)), [1, 1])
    # push 0, 1; pop 1 (empty), 2; done 3 = F
    assert result.stalls["pe0"] == {"starved": 1, "empty_column": 1, "busy": 1, "drain": 3}
    assert result.words_read == [1]


def test_T6_decompress_computes_every_weight() -> None:
    config = machine(format="bitmap", weights="decompress", entries_per_cycle=2)
    result = step(config, sparse(8, 1, (7, 0)), [1])
    # ceil(8 rows / 2) = 4 beats for one entry; push 0, pop 1, done 5 = F, D = 8
    assert result.cycles == 8
    assert result.stalls["pe0"] == {"starved": 1, "busy": 4, "drain": 3}
    assert (result.words_read, result.counts["mac"]) == ([1], 8)


def test_T6_decompress_costs_at_least_the_beats_of_its_words() -> None:
    config = machine(format="bitmap", weights="decompress", entries_per_cycle=4)
    weight = sparse(4, 2, (0, 0), (0, 1), (1, 1), (2, 1), (3, 1))
    # column 1 lies in two words, one beat each, though four rows would be one beat
    assert len(build_slice(config, weight, 2, 0).columns[1].beats) == 2


def test_T6_dense_stores_zeros() -> None:
    config = machine(weights="dense", entries_per_cycle=1)
    assert step(config, sparse(4, 1), [1]).stalls["pe0"]["busy"] == 4


# --- load phase


def test_T7_load_lets_the_operand_word_go_first() -> None:
    config = machine(private_weight_memory=False, pes=2, banks=2, bias_bits=32, operand_address=1)
    result = step(config, sparse(6, 8), [0] * 8, bias=[0] * 6)
    # W = 8 x 8 bit = 2 words, in banks 1 and 0; three rows of bias a PE are 3 words, and each PE
    # loses one cycle to the operand: L = max(2, 3 + 1) = 4. Scan 2 windows: F = 6, D = 9
    assert result.cycles == 9
    assert result.stalls["scanner"] == {"load": 4, "busy": 2, "drain": 3}
    assert result.stalls["pe0"] == {"load": 4, "imbalance": 2, "drain": 3}
    assert (result.counts["load_words"], result.counts["operand_words"]) == (6, 2)


def test_T7_operand_alone_sets_the_load() -> None:
    config = machine(private_weight_memory=False, banks=4)
    # W = ceil(9 / 4) = 3; 3 windows; F = 6
    assert step(config, sparse(1, 9), [0] * 9).cycles == 9


def test_T7_private_weight_memory_copies_no_operand() -> None:
    config = machine(bias_bits=16)
    # five rows of 16 bit are 3 words: L = 3; one window; F = 4
    assert step(config, sparse(5, 4), [0] * 4, bias=[0] * 5).cycles == 7


def test_T7_accumulating_form_fetches_no_bias() -> None:
    config = machine(bias_bits=16)
    result = step(
        config, sparse(5, 4), [0] * 4, bias=[9] * 5, start_accumulators=[7] * 5, accumulate=True
    )
    # L = 0; one window; F = 1
    assert (result.cycles, result.outputs) == (4, [7] * 5)


# --- scanner


def test_T8_scan_walks_windows_and_stays_for_a_second_push() -> None:
    x = [0] * 20
    x[1] = x[3] = x[13] = 1
    result = step(machine(), ones(1, 20), x, trace=True)
    # windows 0, 0, 3 of 5: push 0, 1, 1 + 3 = 4; one trailing window in cycle 5, scan end 6
    # pops 1, 2, 5: done 6 = F, D = 9
    assert result.cycles == 9
    assert result.stalls["scanner"] == {"busy": 6, "drain": 3}
    assert [word[1] for word in result.trace if word[0] == RUN] == [0, 0, 1, 2, 3, 4]
    # starved before the first (cycle 0) and between the second and third (3, 4)
    assert result.stalls["pe0"] == {"starved": 3, "busy": 3, "drain": 3}


def test_T8_all_zero_operand_is_scanned_to_its_end() -> None:
    # 9 activations are 3 windows: F = 3, D = 6; no column ever came, which is no starving (T14)
    result = step(machine(), ones(1, 9), [0] * 9)
    assert result.cycles == 6
    assert result.stalls["pe0"] == {"imbalance": 3, "drain": 3}


def test_T9_only_skip_leaves_zeros_out() -> None:
    x = [0, 5, 0, 7]
    pushes = {
        mode: step(machine(activations=mode), ones(1, 4), x).counts["pushes"]
        for mode in ("skip", "gate", "dense")
    }
    assert pushes == {"skip": 2, "gate": 4, "dense": 4}


def test_T10_push_waits_for_a_slot() -> None:
    config = machine(queue_depth=1, entries_per_cycle=1)
    result = step(config, ones(3, 3), [1, 1, 1])
    # cost 3. push 0 = 0, pop 1, done 4; push 1 = max(1, pop 0 + 1 = 2) = 2, pop = max(3, 4) = 4,
    # done 7; push 2 = max(3, 4 + 1) = 5, pop 7, done 10 = F, D = 13; scan end 6
    assert result.cycles == 13
    assert result.stalls["scanner"] == {"busy": 3, "queue_full": 3, "pe_wait": 4, "drain": 3}
    assert result.stalls["pe0"] == {"starved": 1, "busy": 9, "drain": 3}


def test_T10_slowest_pe_holds_up_every_queue() -> None:
    config = machine(format="bitmap", queue_depth=1, entries_per_cycle=1, pes=2)
    weight = [[1, 1], [0, 0], [1, 1], [0, 0], [1, 1]]  # PE 0 owns rows 0 2 4, PE 1 rows 1 3
    result = step(config, weight, [1, 1])
    # push 0, both pop in 1; push 1 = pop + 1 = 2; PE 1: pop 3, done 4; PE 0: pop 4, done 7 = F
    assert result.cycles == 10
    assert result.stalls["pe1"] == {"starved": 2, "empty_column": 2, "imbalance": 3, "drain": 3}


# --- processing elements


def test_T11_column_is_popped_the_cycle_after_its_push_at_the_earliest() -> None:
    result = step(machine(), ones(1, 1), [1], trace=True)
    # push 0, pop 1, done 2 = F, D = 5
    assert result.cycles == 5
    #                        phase, window, queue length, column, beat
    assert result.trace[:3] == [(1, 0, 0, -1, -1), (1, 1, 1, 0, 0), (2, 1, 0, -1, -1)]


def test_T12_release_done_keeps_the_slot_until_the_column_is_done() -> None:
    config = machine(queue_depth=1, entries_per_cycle=1, release="done")
    result = step(config, ones(3, 3), [1, 1, 1])
    # push 0, pop 1, done 4; push 1 = 4 + 1 = 5, pop 6, done 9; push 2 = 10, pop 11, done 14 = F
    assert result.cycles == 17
    assert result.stalls["pe0"] == {"starved": 5, "busy": 9, "drain": 3}
    # cycles 1-4 and 6-9 full, scan cycles 0, 5, 10
    assert result.stalls["scanner"] == {"busy": 3, "queue_full": 8, "pe_wait": 3, "drain": 3}


def test_T13_stall_waits_until_the_row_is_written() -> None:
    result = step(machine(hazard="stall"), ones(1, 2), [1, 1])
    # row 0 is updated in cycle 1; the next update may be in 1 + 3 = 4, so popped in 2 it waits 2, 3
    # done 5 = F, D = 8
    assert result.cycles == 8
    assert result.stalls["pe0"] == {"starved": 1, "busy": 2, "hazard": 2, "drain": 3}


def test_T13_bypass_never_waits() -> None:
    assert step(machine(hazard="bypass"), ones(1, 2), [1, 1]).cycles == 6


def test_T13_stored_zeros_count_as_updates() -> None:
    config = machine(format="pencil", group=2, hazard="stall")
    weight = [[1, 0], [0, 1]]  # two kept pencils; row 0 of column 1 and row 1 of column 0 are zeros
    assert step(config, weight, [1, 1]).stalls["pe0"]["hazard"] == 2
    assert (
        "hazard" not in step(machine(format="bitmap", hazard="stall"), weight, [1, 1]).stalls["pe0"]
    )


def test_T14_end_waits_for_the_slowest_pe_and_drains() -> None:
    config = machine(format="bitmap", pes=2, entries_per_cycle=1, mac_stages=5)
    weight = sparse(6, 1, (0, 0), (2, 0), (4, 0), (1, 0))  # PE 0: three entries, PE 1: one
    result = step(config, weight, [1])
    # push 0, pop 1; done 4 and 2: F = 4, D = 9; scan end 1
    assert result.cycles == 9
    assert result.stalls["scanner"] == {"busy": 1, "pe_wait": 3, "drain": 5}
    assert result.stalls["pe0"] == {"starved": 1, "busy": 3, "drain": 5}
    assert result.stalls["pe1"] == {"starved": 1, "busy": 1, "imbalance": 2, "drain": 5}


def test_T14_end_waits_for_trailing_windows() -> None:
    # push 0, done 2; five windows: scan end 5 = F, D = 8
    result = step(machine(), ones(1, 20), [1] + [0] * 19)
    assert result.cycles == 8
    assert result.stalls["pe0"] == {"starved": 1, "busy": 1, "imbalance": 3, "drain": 3}


def test_T15_gate_costs_the_cycles_of_dense_but_not_the_products() -> None:
    x = [3, 0, 5]
    gate = step(machine(activations="gate", hazard="stall"), ones(2, 3), x)
    dense = step(machine(activations="dense", hazard="stall"), ones(2, 3), x)
    assert (gate.cycles, gate.stalls, gate.outputs) == (dense.cycles, dense.stalls, dense.outputs)
    assert (gate.counts["mac"], gate.counts["mac_gated"]) == (4, 2)
    assert (dense.counts["mac"], dense.counts["mac_gated"]) == (6, 0)
    assert gate.words_read == dense.words_read == [3]


# --- values (DESIGN section 2)


def run_row(overflow: str, weights: list[int], x: list[int], bias: int) -> StepResult:
    """Run one row on 8-bit accumulators."""
    config = machine(accumulator_bits=8, overflow=overflow, bias_bits=8)
    return step(config, [weights], x, bias=[bias])


def test_values_saturate_after_every_accumulation_in_column_order() -> None:
    # 100 + 50 -> 127, 127 - 60 = 67; the sum alone would be 90
    assert run_row("saturate", [50, -60], [1, 1], 100).outputs == [67]
    assert run_row("saturate", [-60, 50], [1, 1], 100).outputs == [90]


def test_values_wrap() -> None:
    # 100 + 50 = 150 - 256 = -106
    assert run_row("wrap", [50], [1], 100).outputs == [-106]
