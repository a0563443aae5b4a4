"""One worked example per rule of the banks' ports, T3 and T18 to T20, on the stepper.

The plain machine of stepper_examples.py: no load phase with private weight memories, words of four
8-bit entries, E = 8, M = 3, one PE; "D = F + M" is T14 with t = 0.
"""

import pytest
from stepper import LOAD, step
from stepper_examples import machine, ones, sparse


def test_T3_words_of_a_slice_take_turns_among_the_pes_banks() -> None:
    config = machine(private_weight_memory=False, pes=2, banks=4, ports="shared", lanes=4)
    weight = ones(16, 1)  # 8 rows a PE: words 0 and 1, which for PE 1 lie in banks 1 and 3
    result = step(config, weight, [1], port_requests=lambda cycle, _: {3} if cycle < 9 else set())
    # L = 1 (operand word); push 1, pop 2 reads bank 1; word 1 waits in cycles 3-8 for bank 3
    assert result.stalls["pe1"]["port"] == 6
    assert "port" not in result.stalls["pe0"]


def test_T3_entries_start_in_the_word_after_the_bias() -> None:
    config = machine(private_weight_memory=False, banks=2, ports="shared", bias_bits=16)
    for accumulate in (False, True):
        result = step(
            config, ones(2, 1), [1], bias=[0, 0], start_accumulators=[0, 0], accumulate=accumulate,
            port_requests=lambda cycle, _: {1} if cycle < 5 else set(),
        )  # fmt: skip
        # L = 1 or 2; the bias is word 0 of the slice (bank 0) even where it is not fetched, the
        # entries word 1 (bank 1), which can be read in cycle 5: done 6 = F, D = 9
        assert (result.cycles, result.stalls["pe0"]["busy"]) == (9, 1)


def test_T13_hazard_is_waited_for_before_the_word_is_asked_for() -> None:
    config = machine(private_weight_memory=False, hazard="stall", ports="shared")
    # L = 1; push 1, 2; beat of column 0 in 2; column 1, popped in 3, may update in 5
    taken = {3: {0}, 4: {0}, 5: {0}}
    result = step(
        config, ones(1, 2), [1, 1], port_requests=lambda cycle, _: taken.get(cycle, set())
    )
    # cycles 3 and 4 are hazard although the bank is taken, 5 is port, the beat is in 6, F = 7
    assert result.stalls["pe0"] == {
        "load": 1, "starved": 1, "busy": 2, "hazard": 2, "port": 1, "drain": 3
    }  # fmt: skip
    assert result.cycles == 10


def test_T18_reserved_holds_every_bank_of_the_weights() -> None:
    config = machine(private_weight_memory=False, banks=2)
    result = step(config, ones(1, 5), [0, 1, 0, 0, 0])
    # W = 2 words in banks 0, 1 (cycles 0, 1); push 2, pop 3 reads bank 0 (entry word 0), done 4;
    # windows in 2, 3: F = 4, D = 7
    assert result.cycles == 7
    assert result.banks == {0: {"busy": 2, "held": 5}, 1: {"busy": 1, "held": 6}}


def test_T18_reserved_holds_only_the_operands_banks_with_private_weights() -> None:
    config = machine(banks=4, operand_address=3)
    result = step(config, ones(1, 8), [0] * 8)
    # the operand's two words are in banks 3 and 0, one window each; F = 2, D = 5
    assert result.banks == {0: {"busy": 1, "held": 4}, 3: {"busy": 1, "held": 4}}


def test_T18_nobody_takes_a_reserved_bank() -> None:
    with pytest.raises(ValueError, match="T18"):
        step(machine(), ones(1, 1), [1], port_requests=lambda _cycle, _grants: set())


def test_T19_operand_stream_stops_for_the_cycle() -> None:
    config = machine(private_weight_memory=False, pes=2, banks=2, bias_bits=32, ports="shared")
    result = step(
        config, sparse(6, 8), [0] * 8, bias=[0] * 6,
        port_requests=lambda cycle, _: {0} if cycle < 2 else set(),
    )  # fmt: skip
    # cycles 0, 1: bank 0 refuses stream and PE 0; PE 1 fetches two. 2: stream takes bank 0, PE 1
    # its third. 3: stream takes bank 1, PE 0 its first; 4, 5: PE 0 the others. L = 6, F = 8
    assert result.cycles == 11
    assert result.stalls["scanner"] == {"port": 2, "load": 4, "busy": 2, "drain": 3}
    assert result.stalls["pe0"] == {"port": 2, "load": 4, "imbalance": 2, "drain": 3}
    assert result.stalls["pe1"] == {"load": 6, "imbalance": 2, "drain": 3}


def test_T19_refused_operand_word_lets_the_pe_use_another_bank() -> None:
    config = machine(private_weight_memory=False, banks=2, bias_bits=32, ports="shared")
    result = step(
        config, sparse(2, 8), [0] * 8, bias=[0] * 2, trace=True,
        port_requests=lambda cycle, _: {0} if cycle == 1 else set(),
    )  # fmt: skip
    # cycle 0: stream bank 0. 1: stream wants bank 1 and gets it. 2, 3: bias words: L = 4
    assert sum(word[0] == LOAD for word in result.trace) == 4
    assert "port" not in result.stalls["scanner"]
    late = step(
        config, sparse(2, 8), [0] * 8, bias=[0] * 2, trace=True,
        port_requests=lambda cycle, _: {1} if cycle == 1 else set(),
    )  # fmt: skip
    # cycle 1: the stream is refused bank 1, so the PE fetches its word 0 from bank 0;
    # 2: stream; 3: word 1 of the slice. L = 4 again, and one cycle of `port` for the scanner
    assert sum(word[0] == LOAD for word in late.trace) == 4
    assert late.stalls["scanner"]["port"] == 1


def test_T19_pe_waits_for_the_bank_of_the_word_it_reads() -> None:
    config = machine(private_weight_memory=False, ports="shared", entries_per_cycle=2)
    result = step(
        config, ones(8, 1), [1], port_requests=lambda cycle, _: {0} if cycle in (2, 3, 5) else set()
    )
    # L = 1, push 1, pop 2: port in 2, 3, beats in 4, 5 (which reads nothing, so bank 0 may be
    # taken), 6, 7; done 8 = F, D = 11
    assert result.stalls["pe0"] == {"load": 1, "starved": 1, "port": 2, "busy": 4, "drain": 3}
    assert result.cycles == 11


def test_T19_private_scanner_takes_all_words_of_a_window_together() -> None:
    config = machine(banks=2, ports="shared", scanner_width=8)
    taken = [{0}, {1}, set(), {0, 1}, {0}]
    result = step(
        config, sparse(1, 16), [1] * 8 + [0] * 8,
        port_requests=lambda cycle, _: taken[cycle] if cycle < 5 else set(),
    )  # fmt: skip
    # the window's words lie in banks 0 and 1: refused in 0 and 1, granted in 2, pushes in 2-9 ask
    # for nothing more; second window in 10; pops 3-10, done 11 = F, D = 14
    assert result.stalls["scanner"] == {"port": 2, "busy": 9, "drain": 3}
    assert result.cycles == 14
    assert result.banks == {0: {"busy": 2}, 1: {"busy": 2}}


def test_T19_refused_window_hides_a_full_queue() -> None:
    config = machine(banks=1, ports="shared", scanner_width=1, queue_depth=1, entries_per_cycle=1)
    result = step(
        config, ones(3, 2), [1, 1], port_requests=lambda cycle, _: {0} if cycle == 1 else set()
    )
    # x[0], x[1] are in word 0, read for each window: window 0 in cycle 0 (push), window 1 refused
    # in 1, granted in 2 and pushed in it, for the slot popped in 1 is free.
    # pop 1, done 4; pop 4, done 7 = F, D = 10
    assert result.stalls["scanner"] == {"port": 1, "busy": 2, "pe_wait": 4, "drain": 3}
    assert result.cycles == 10


def test_T19_granted_window_is_kept_while_the_queue_is_full() -> None:
    config = machine(
        banks=1, ports="shared", scanner_width=1, queue_depth=1, entries_per_cycle=1, release="done"
    )
    result = step(
        config, ones(3, 2), [1, 1], port_requests=lambda cycle, _: {0} if 1 < cycle < 9 else set()
    )
    # window 1 is granted in 1 and finds the queue full until done + 1 = 5; the bank, taken from 2
    # on, is not asked for again: push 5, pop 6, done 9 = F, D = 12
    assert result.stalls["scanner"] == {"busy": 2, "queue_full": 4, "pe_wait": 3, "drain": 3}
    assert result.cycles == 12


def test_T19_window_with_two_words_of_one_bank_is_refused() -> None:
    config = machine(banks=1, ports="shared", scanner_width=8)
    with pytest.raises(ValueError, match="two words of one bank"):
        step(config, ones(1, 8), [1] * 8)


def test_T20_pes_never_meet_each_other_in_a_bank() -> None:
    config = machine(private_weight_memory=False, pes=4, banks=8, ports="shared")
    result = step(config, ones(64, 8), [1] * 8)
    assert not any("port" in row for row in result.stalls.values())
