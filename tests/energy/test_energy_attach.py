import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.arch import load_arch
from spusim.energy import (
    EnergyError,
    attach_energy,
    load_technology,
    power_w,
    report_fields,
)
from spusim.energy.costs import EVENTS, TERMS, price
from spusim.result import BankUse, RunResult

ARCH = load_arch("tiny")
CACTI22 = load_technology("cacti22")
PRICED = sorted(set(price(ARCH, CACTI22).events) - {"cycle"})


def run(counts, frame_counts=None, cycles=1000, frame_cycles=(400, 600), notes=(), clock_mhz=100.0):
    frames = len(frame_cycles)
    return RunResult(
        name="by hand",
        arch_name="tiny",
        clock_mhz=clock_mhz,
        cycles=cycles,
        frame_cycles=np.array(frame_cycles, np.int64),
        outputs=np.zeros((frames, 1), np.int32),
        stalls={},
        counts=counts,
        frame_counts={k: np.array(v, np.int64) for k, v in (frame_counts or {}).items()},
        memory={
            "core0.data_memory.bank0": BankUse(100, 2048, 64),
            "core0.table_memory.bank0": BankUse(257, 1024, 16),
        },
        macs={"dense": 0, "weight_nonzero": 0, "effective": 0},
        peak_macs_per_cycle=4,
        notes=notes,
    )


def test_energy_equals_a_hand_computation():
    """Every price worked out from CACTI's and Horowitz's figures, for the preset `tiny`."""
    scale = 1.144 / 3.89  # 45 to 22 nm
    bit = 1 / 32 * scale  # a register file's bit
    counts = {
        "mac.8x16": 100,
        "mac_gated.8x16": 50,
        "accumulator.read": 100,
        "accumulator.write": 110,
        "queue.push": 30,
        "queue.pop": 20,
        "scanner.window": 10,
        "data_memory.read": 40,
        "data_memory.write": 5,
        "index_memory.read": 7,
        "index_memory.write": 3,
        "table_memory.read": 6,
        "vector.element": 8,
        "vector.multiply": 4,
        "instruction_memory.read": 9,
        "link.word": 2,
        "weight_memory.read": 0,  # tiny has none: zero is fine
    }
    energy = attach_energy(run(counts), ARCH).energy_pj
    expected = {
        "mac": 100 * (0.3393 + (1.144 - 0.3393) / 3),
        "accumulator": 210 * 32 * bit,  # 64 accumulators of 32 bit are below 1 KiB
        "queue": 50 * 32 * bit,  # a 16-bit value with its 16-bit column
        # a window of 4 x 16 bit: a word into and out of the 512-byte buffer, 64 adder bits
        "scanner": 10 * (2 * 64 * bit + 64 * 0.1 / 32 * scale),
        "data_memory": 40 * 2.644 + 5 * 2.28,  # 16 KiB x 64
        "weight_memory": 0,
        "index_memory": 7 * 0.3802 + 3 * 0.7846,  # 1 KiB x 64
        "table_memory": 6 * 0.6252,  # 2 KiB x 16
        "vector": 8 * (0.1 * scale + 3 * 32 * bit) + 4 * 3.1 * scale,
        "instruction_memory": 9 * 0.6483,  # 2 KiB x 64
        "router": 0,
        "link": 2 * 64 * 16.2,  # 64 bits at 10 pF x (1.8 V)^2 / 2
    }
    for term, value in expected.items():
        assert energy[term] == pytest.approx(value, rel=1e-3), term
    assert list(energy) == [*TERMS, "total"]
    assert energy["total"] == sum(energy[term] for term in TERMS)


def test_clock_leakage_and_area_equal_a_hand_computation():
    result = attach_energy(run({}, cycles=1000), ARCH)
    area_scale = 683.5 / 2726.5
    flop = 4.522 * area_scale
    leak = 7.581 / 683.5  # uW per um2 of logic
    registers = {
        "accumulator": 2 * 64 * 32 * flop,
        "queue": 2 * 2 * 32 * flop,
        "scanner": 64 * 64 * flop + 64 * 137 / 32 * area_scale,
        "vector": 2 * ((137 + 3495) * area_scale + 3 * 32 * flop),
    }
    memories = {
        "data_memory": 2 * 15074,
        "index_memory": 2 * 858,
        "table_memory": 2 * 1681,  # two ports are two copies
        "instruction_memory": 1798,
    }
    macs = {"mac": 4 * 683.5}  # a lane must do 16x16 bits
    expected = {**registers, **memories, **macs}
    area = result.area_um2
    for term, value in expected.items():
        assert area[term] == pytest.approx(value, rel=1e-3), term
    assert set(area) == {*expected, "total"}
    assert area["total"] == pytest.approx(sum(expected.values()), rel=1e-3)
    clocked = sum(registers.values()) + macs["mac"]
    assert result.energy_pj["clock"] == pytest.approx(1000 * clocked * 1.493e-4, rel=1e-3)
    sram_uw = 2 * 2.872 + 2 * 0.2688 + 2 * 0.4275 + 0.5153
    leakage_uw = sram_uw + 4 * 7.581 + sum(registers.values()) * leak
    microseconds = 1000 / 100
    assert result.energy_pj["leakage"] == pytest.approx(leakage_uw * microseconds, rel=1e-3)


def test_router_crosses_a_core():
    result = attach_energy(run({"router.word": 3}), ARCH)
    edge_mm = (result.area_um2["total"] / ARCH.cores) ** 0.5 / 1000
    word = 64 * (edge_mm * 0.09531 + 2 * 0.00919)
    assert result.energy_pj["router"] == pytest.approx(3 * word, rel=1e-3)


counts_strategy = st.dictionaries(st.sampled_from(PRICED), st.integers(0, 10**9), max_size=8)


@given(counts_strategy, counts_strategy, st.integers(0, 50))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_energy_is_linear_in_counts(first, second, factor):
    def energy(counts, cycles):
        return attach_energy(run(counts, cycles=cycles), ARCH, CACTI22).energy_pj

    together = {k: first.get(k, 0) + factor * second.get(k, 0) for k in {**first, **second}}
    one, other = energy(first, 300), energy(second, 70)
    for term, value in energy(together, 300 + factor * 70).items():
        assert value == pytest.approx(one[term] + factor * other[term], rel=1e-9, abs=1e-9)


@given(
    st.dictionaries(
        st.sampled_from(PRICED), st.lists(st.integers(0, 1000), min_size=3, max_size=3), max_size=6
    ),
    st.integers(0, 100),
    st.lists(st.integers(0, 10**6), min_size=3, max_size=3),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_frames_share_out_the_whole_energy(frame_counts, outside, frame_cycles):
    counts = {event: sum(each) + outside for event, each in frame_counts.items()}
    result = attach_energy(run(counts, frame_counts, frame_cycles=frame_cycles), ARCH, CACTI22)
    assert result.frame_energy_pj.shape == (3,)
    assert result.frame_energy_pj.sum() == pytest.approx(result.energy_pj["total"])


def test_a_frame_pays_for_its_events_and_its_share_of_time():
    result = attach_energy(
        run({"mac.8x8": 30, "queue.pop": 5}, {"mac.8x8": [10, 20]}, frame_cycles=(250, 750)), ARCH
    )
    energy = result.energy_pj
    timed = energy["clock"] + energy["leakage"]
    first = energy["mac"] / 3 + energy["queue"] + timed / 4  # what no frame counted is the first's
    second = energy["mac"] * 2 / 3 + timed * 3 / 4
    assert result.frame_energy_pj == pytest.approx([first, second])


def test_a_gated_mac_costs_nothing_and_a_narrow_one_less():
    def mac_pj(event):
        return attach_energy(run({event: 10}), ARCH).energy_pj["mac"]

    assert mac_pj("mac_gated.8x16") == 0
    assert 0 < mac_pj("mac.4x8") < mac_pj("mac.8x8") < mac_pj("mac.8x16") < mac_pj("mac.16x16")


def test_the_technology_is_the_architectures_unless_one_is_given():
    counts = {"mac.8x8": 10}
    default = attach_energy(run(counts), ARCH)
    assert default.details["technology"] == "cacti22"
    other = attach_energy(run(counts), ARCH, "cacti45")
    assert other.energy_pj["mac"] == pytest.approx(11.54)
    assert other.details["technology"] == "cacti45"
    assert attach_energy(run(counts), ARCH, load_technology("cacti45")).energy_pj == other.energy_pj


def test_the_result_is_otherwise_untouched_and_attaching_twice_says_nothing_twice():
    plain = run({"mac.8x8": 10}, notes=("packs fewer entries",))
    once = attach_energy(plain, ARCH, "horowitz45")
    assert once.notes[0] == "packs fewer entries"
    assert any("extrapolated" in note for note in once.notes)
    twice = attach_energy(once, ARCH, "cacti22")
    assert len(twice.notes) == 2 and "area covers" in twice.notes[1]
    for field in dataclasses.fields(plain):
        if field.name not in ("energy_pj", "frame_energy_pj", "area_um2", "notes", "details"):
            assert getattr(once, field.name) is getattr(plain, field.name)


@pytest.mark.parametrize(
    ("counts", "frame_counts", "said"),
    [
        ({"mac.8x8s": 1}, {}, "count mac.8x8s: the lanes do not compute 8x8s; core.precisions are"),
        ({"mac.3x5": 0}, {}, "count mac.3x5: the lanes do not compute 3x5"),
        ({"queue.pops": 1}, {}, "count queue.pops has no price on this architecture; did you mean "
         "queue.pop?"),
        ({"zzz": 0}, {}, "count zzz has no price on this architecture; known: accumulator"),
        ({"weight_memory.read": 1}, {}, "count weight_memory.read has no price on this"),
        ({"queue.pop": -1}, {}, "count queue.pop (=-1) must not be negative"),
        ({"cycle": 999}, {}, "count cycle (=999) must equal the run's cycles (=1000)"),
        ({"queue.pop": 3}, {"queue.pop": [2, 2]}, "frame_counts of queue.pop (shape (2,), sum 4)"),
        ({"queue.pop": 3}, {"queue.pop": [3]}, "frame_counts of queue.pop (shape (1,), sum 3)"),
        ({}, {"queue.pop": [0, 1]}, "frame_counts of queue.pop have no total in counts; add it"),
    ],
)  # fmt: skip
def test_counts_that_cannot_be_are_refused(counts, frame_counts, said):
    with pytest.raises(EnergyError) as caught:
        attach_energy(run(counts, frame_counts), ARCH)
    assert str(caught.value).startswith(f"by hand: {said}")


def test_zero_counts_of_units_that_are_not_there_are_fine():
    zeros = dict.fromkeys(EVENTS - {"cycle"}, 0)
    frames = {event: [0, 0] for event in zeros}
    everything = attach_energy(run(zeros, frames), load_arch("spu001")).energy_pj
    assert everything["total"] == everything["clock"] + everything["leakage"]


def test_a_private_weight_memory_is_priced_and_the_scanner_has_no_buffer():
    arch = load_arch("eie64")
    result = attach_energy(run({"weight_memory.read": 10, "scanner.window": 1}), arch)
    assert result.energy_pj["weight_memory"] == pytest.approx(10 * 32.29)  # 128 KiB x 64, 45 nm
    assert result.energy_pj["scanner"] == pytest.approx(64 * 16 * 0.1 / 32)
    assert result.area_um2["weight_memory"] == pytest.approx(64 * 429589)


def test_a_large_queue_is_an_sram():
    small, large = (
        price(load_arch("tiny", [f"core.queue.depth={depth}"]), CACTI22) for depth in (255, 256)
    )
    assert small.events["queue.pop"][1] == pytest.approx(32 * 0.00919)
    assert large.events["queue.pop"][1] == pytest.approx(0.3039)  # 1 KiB x 32
    assert large.events["cycle"][1] < small.events["cycle"][1]


def test_eie_pe_comes_near_the_published_area():
    """EIE publishes 638024 um2 for a PE; docs/energy.md quotes what is checked here."""
    arch = load_arch("eie64", ["core.index_memory.words=4096"])  # the published 32 KiB
    area = price(arch, load_technology("cacti45")).area_um2
    parts = ("mac", "accumulator", "queue", "data_memory", "weight_memory", "index_memory")
    assert sum(area[part] for part in parts) / arch.core.pes == pytest.approx(545136.2, abs=0.1)


def test_report_has_the_vendors_field_names():
    result = attach_energy(run({"mac.8x8": 10**6}, clock_mhz=200.0), ARCH)
    fields = report_fields(result)
    total_j, static_j = (result.energy_pj[k] * 1e-12 for k in ("total", "leakage"))
    assert fields == {
        "Latency (s)": pytest.approx(500 / 200e6),
        "Power (W)": pytest.approx(total_j / (1000 / 200e6)),
        "Dynamic Energy/Frame (J)": pytest.approx((total_j - static_j) / 2),
        "Static Energy/Frame (J)": pytest.approx(static_j / 2),
        "Total Energy/Frame (J)": pytest.approx(total_j / 2),
        "Memory Used (B)": 100 * 8 + 257 * 2,
        "Memory Capacity (B)": 2048 * 8 + 1024 * 2,
    }


def test_power_needs_energy_and_time():
    with pytest.raises(EnergyError, match="has no energy yet; call attach_energy"):
        power_w(run({}))
    nothing = attach_energy(run({}, cycles=0, frame_cycles=()), ARCH)
    assert power_w(nothing) == 0
    assert nothing.frame_energy_pj.shape == (0,)
    assert report_fields(nothing)["Latency (s)"] == 0


def test_words_of_external_memory_cost_what_the_table_or_the_architecture_says():
    word = {"external_memory.read": 3, "external_memory.write": 2, "weight_memory.write": 0}
    settings = "external_memory={words: 64, bytes_per_cycle: 8, latency_cycles: 9"
    for more, bit_pj in (("", 20), (", pj_per_bit: 4.5", 4.5)):
        arch = load_arch("spu001", [f"{settings}{more}}}"])
        energy = attach_energy(run(word), arch).energy_pj
        assert energy["external_memory"] == pytest.approx(5 * 64 * bit_pj)
        assert list(energy) == [*TERMS, "external_memory", "total"]
    without = load_arch("spu001")
    assert "external_memory" not in attach_energy(run({}), without).energy_pj
    with pytest.raises(EnergyError, match=r"external_memory\.read has no price on this archit"):
        attach_energy(run(word), without)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 7, 1024, 1025, 2500]))
def test_frames_are_priced_event_by_event_in_their_order(seed: int, frames: int) -> None:
    """To the last bit, however many frames a table holds."""
    rng = np.random.default_rng(seed)
    events = rng.permutation(PRICED)[: rng.integers(0, len(PRICED) + 1)].tolist()
    inside = {event: rng.integers(0, 10**9, frames) for event in events[: len(events) * 3 // 4]}
    counts = {event: int(inside.get(event, np.zeros(1)).sum()) for event in events}
    for event in events[::3]:
        counts[event] += int(rng.integers(0, 10**6))
    frame_cycles = rng.integers(1, 10**6, frames)
    found = attach_energy(run(counts, inside, frame_cycles=frame_cycles), ARCH)
    wanted, prices = np.zeros(frames), price(ARCH, CACTI22).events
    for event in counts:
        counted = inside.get(event, np.zeros(frames, np.int64))
        wanted += counted * prices[event][1]
        wanted[0] += (counts[event] - int(counted.sum())) * prices[event][1]
    timed = found.energy_pj["clock"] + found.energy_pj["leakage"]
    cycles = frame_cycles.astype(np.float64)
    wanted = wanted + timed * (cycles / cycles.sum())
    assert found.frame_energy_pj is not None
    assert np.array_equal(found.frame_energy_pj, wanted)
