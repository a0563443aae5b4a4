"""The stepper against the max-plus recurrence of T10 to T14, written a second time without cycles.

Nothing here steps: counts come from arithmetic on entry places, times from maxima and sums, values
from a plain product in the canonical order. Only the configuration record is the stepper's.
"""

import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from generators import Case, PortSchedule, random_case, random_ports, with_shared_ports
from hypothesis import given, settings
from hypothesis import strategies as st
from stepper import step
from stepper_storage import StepperConfig

LAYERS = 400


def run_length_rows(column: list[int], index_bits: int) -> list[int]:
    """Return the local rows of the entries of a run-length column."""
    rows, before = [], -1
    for row in [r for r, value in enumerate(column) if value]:
        paddings = (row - before - 1) // 2**index_bits
        rows += [before + 2**index_bits * (k + 1) for k in range(paddings)] + [row]
        before = row
    return rows


def pencil_rows(column: list[int], group: int) -> list[int]:
    """Return the local rows of the places of a pencil column, those beyond the last row too."""
    kept = sorted({row // group for row, value in enumerate(column) if value})
    return [pencil * group + k for pencil in kept for k in range(group)]


def n_of_m_rows(column: list[int], kept: int, group: int) -> list[int]:
    """Return the local rows of the places of an N:M column, those beyond the last row too."""
    padded = column + [0] * (-len(column) % group)
    rows = []
    for first in range(0, len(padded), group):
        by_use = sorted(range(first, first + group), key=lambda row: (padded[row] == 0, row))
        rows += sorted(by_use[:kept])
    return rows


def blocks_of(columns: list[list[int]], number: int, across: int) -> list[int]:
    """Return a column with a nonzero wherever a column of the same blocks has one."""
    first = number // across * across
    return [int(any(row)) for row in zip(*columns[first : first + across], strict=True)]


# of all columns of a slice, and the number of one
STORED_ROWS = {
    "dense": lambda columns, j, config: list(range(len(columns[j]))),
    "bitmap": lambda columns, j, config: [row for row, value in enumerate(columns[j]) if value],
    "run_length": lambda columns, j, config: run_length_rows(columns[j], config.index_bits),
    "pencil": lambda columns, j, config: pencil_rows(columns[j], config.group),
    "block": lambda columns, j, config: pencil_rows(
        blocks_of(columns, j, config.extent), config.group
    ),
    "n_of_m": lambda columns, j, config: n_of_m_rows(columns[j], config.extent, config.group),
}


def index_bits_of_slice(config: StepperConfig, rows: int, columns: int) -> int:
    """Return the bits of all indices of a slice, T4."""
    groups = -(-rows // config.group)
    return {
        "bitmap": columns * rows,
        "pencil": columns * groups,
        "block": -(-columns // max(1, config.extent)) * groups,
        "n_of_m": columns * groups * config.extent * math.ceil(math.log2(config.group)),
    }.get(config.format, 0)


def slice_rows(config: StepperConfig, rows: int, pe: int) -> list[int]:
    """Return the rows of a PE by walking over its groups."""
    starts = range(pe * config.group, rows, config.pes * config.group)
    return [row for start in starts for row in range(start, min(start + config.group, rows))]


@dataclass
class StaticColumn:
    """What a column costs a PE."""

    beats: list[list[int]]  # local rows updated, by beat
    extra: int
    words: int
    entries: int

    @property
    def cost(self) -> int:
        """T5 and T6."""
        return max(1, len(self.beats) + self.extra)


def static_columns(case: Case, pe: int) -> list[StaticColumn]:
    """Return every column's cost for a PE."""
    config = case.config
    rows = slice_rows(config, len(case.weight), pe)
    stored_bits = config.weight_bits + (config.index_bits if config.format == "run_length" else 0)
    a_word = config.word_bits // stored_bits
    a_beat = min(config.entries_per_cycle, config.lanes * config.macs_per_lane)
    columns, before = [], 0
    weights = [[case.weight[row][j] for row in rows] for j in range(len(case.x))]
    for j in range(len(case.x)):
        local = STORED_ROWS[config.format](weights, j, config)
        words = sorted({(before + k) // a_word for k in range(len(local))})
        beats = []
        for word in words:
            held = [row for k, row in enumerate(local) if (before + k) // a_word == word]
            beats += [held[k : k + a_beat] for k in range(0, len(held), a_beat)]
        wanted = -(-len(rows) // a_beat) if config.weights == "decompress" else 0
        real = [[row for row in beat if row < len(rows)] for beat in beats]
        columns.append(
            StaticColumn(
                real, max(0, wanted - len(beats)), len(words), sum(len(beat) for beat in real)
            )
        )
        before += len(local)
    return columns


def load_cycles(case: Case) -> int:
    """T7 in closed form."""
    config = case.config
    data_bits = config.data_word_bits or config.word_bits
    stream = 0
    if not config.private_weight_memory:
        stream = -(-len(case.x) * config.activation_bits // data_bits)
    waits = [0]
    for pe in range(config.pes):
        rows = len(slice_rows(config, len(case.weight), pe))
        bits = index_bits_of_slice(config, rows, len(case.x))
        words = -(-bits // config.index_word_bits) if config.preload else 0
        if not case.accumulate:
            words += -(-rows * config.bias_bits // config.word_bits)
        own = [
            k for k in range(stream)
            if (config.operand_address + k) % config.banks % config.pes == pe
        ]  # fmt: skip
        waits.append(words + len(own))
    return max(stream, *waits)


@dataclass
class PeTime:
    """Where a PE is in time."""

    columns: list[StaticColumn]
    done: int
    releases: list[int]
    updated: dict[int, int]
    stalls: Counter[str]

    def take(self, column: StaticColumn, push: int, config: StepperConfig) -> None:
        """T11 to T13 for one column."""
        pop = max(push + 1, self.done)
        self.stalls["starved"] += pop - self.done
        cycle = pop
        for rows in column.beats:
            ready = cycle
            if config.hazard == "stall":
                ready = max([cycle] + [self.updated.get(r, -99) + config.mac_stages for r in rows])
            self.stalls["hazard"] += ready - cycle
            self.updated.update((r, ready) for r in rows)
            cycle = ready + 1
        self.done = cycle + column.cost - len(column.beats)
        self.stalls["busy" if column.words else "empty_column"] += column.cost
        self.releases.append(pop if config.release == "pop" else self.done)


def recurrence(case: Case) -> tuple[int, dict[str, dict[str, int]]]:
    """Return duration and stalls by T7 to T14."""
    config = case.config
    load = load_cycles(case)
    pes = [
        PeTime(static_columns(case, p), load, [], {}, Counter(load=load)) for p in range(config.pes)
    ]
    pushed = [j for j, a in enumerate(case.x) if a or config.activations != "skip"]
    push, window, queue_full = load - 1, -1, 0
    for i, j in enumerate(pushed):
        scanned = push + max(1, j // config.scanner_width - window)
        slot = 0
        if i >= config.queue_depth:
            slot = max(pe.releases[i - config.queue_depth] for pe in pes) + 1
        push, window = max(scanned, slot), j // config.scanner_width
        queue_full += push - scanned
        for pe in pes:
            pe.take(pe.columns[j], push, config)
    scan_end = push + -(-len(case.x) // config.scanner_width) - window
    finish = max(scan_end, *(pe.done for pe in pes))
    stalls = {
        "scanner": Counter(
            load=load, busy=scan_end - load - queue_full, queue_full=queue_full,
            pe_wait=finish - scan_end, drain=config.mac_stages,
        )
    }  # fmt: skip
    for p, pe in enumerate(pes):
        stalls[f"pe{p}"] = pe.stalls + Counter(imbalance=finish - pe.done, drain=config.mac_stages)
    present = {unit: {c: n for c, n in row.items() if n} for unit, row in stalls.items()}
    return finish + config.mac_stages, present


def product(case: Case) -> list[int]:
    """Return the accumulators: bias or start, then products by ascending column."""
    half = 2 ** (case.config.accumulator_bits - 1)
    start = case.start_accumulators if case.accumulate else case.bias
    outputs = []
    for row, value in zip(case.weight, start or [0] * len(case.weight), strict=True):
        for w, a in zip(row, case.x, strict=True):
            value += w * a
            if case.config.overflow == "saturate":
                value = max(-half, min(half - 1, value))
            elif not -half <= value < half:
                value = (value + half) % (2 * half) - half
        outputs.append(value)
    return outputs


def expected_counts(case: Case) -> dict[str, int]:
    """Return the event counts that follow from the static columns."""
    config = case.config
    pushed = [j for j, a in enumerate(case.x) if a or config.activations != "skip"]
    counts = Counter(mac=0, mac_gated=0, words_read=0, accumulator_updates=0)
    for pe in range(config.pes):
        columns = static_columns(case, pe)
        rows = len(slice_rows(config, len(case.weight), pe))
        for j in pushed:
            gated = config.activations == "gate" and case.x[j] == 0
            done = rows if config.weights == "decompress" else columns[j].entries
            counts["mac_gated" if gated else "mac"] += done
            counts["words_read"] += columns[j].words
            counts["accumulator_updates"] += 0 if gated else columns[j].entries
    counts["pushes"] = len(pushed)
    counts["pops"] = len(pushed) * config.pes
    counts["windows"] = -(-len(case.x) // config.scanner_width)
    return counts


def arguments(case: Case) -> dict[str, Any]:
    """Return the arguments of `step`."""
    return dict(vars(case))


def compare(case: Case) -> Counter[str]:
    """Compare stepper and recurrence; return the causes that occurred."""
    result = step(**arguments(case))
    cycles, stalls = recurrence(case)
    assert result.cycles == cycles
    assert result.stalls == stalls
    assert result.outputs == product(case)
    expected = expected_counts(case)
    assert {event: result.counts[event] for event in expected} == expected
    assert sum(result.words_read) == expected["words_read"]
    return Counter(cause for row in stalls.values() for cause in row)


def test_stepper_equals_recurrence_on_generated_layers() -> None:
    seen: Counter[str] = Counter()
    for seed in range(LAYERS):
        seen += compare(random_case(random.Random(seed)))
    causes = (
        "load", "busy", "queue_full", "pe_wait", "drain", "empty_column", "starved", "hazard",
        "imbalance",
    )  # fmt: skip
    # a generator that no longer reaches a cause tests nothing of it
    assert all(seen[cause] >= LAYERS // 20 for cause in causes), seen


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_stepper_equals_recurrence(rng: random.Random) -> None:
    compare(random_case(rng))


@pytest.mark.parametrize("seed", range(4))
def test_shared_ports_without_neighbours_cost_nothing(seed: int) -> None:
    rng = random.Random(1000 + seed)
    for _ in range(20):
        case = random_case(rng, ports="shared")
        result = step(**arguments(case), port_requests=lambda _cycle, _grants: set())
        assert (result.cycles, result.stalls) == recurrence(case)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_neighbours_cost_time_but_never_change_values(rng: random.Random) -> None:
    case = random_case(rng, ports="shared")
    alone, _ = recurrence(case)
    result = step(**arguments(case), port_requests=random_ports(rng, case.config.banks))
    lost = sum(row.get("port", 0) for row in result.stalls.values())
    assert result.cycles >= alone
    assert lost > 0 or result.cycles == alone
    assert result.outputs == product(case)
    assert result.counts["words_read"] == expected_counts(case)["words_read"]


def test_banks_taken_for_a_while_freeze_a_load_phase_exactly() -> None:
    # with every bank taken for the first k cycles nothing can be loaded, so all else moves by k
    rng = random.Random(7)
    moved = 0
    while moved < 30:
        case = with_shared_ports(random_case(rng))
        if case.config.private_weight_memory:
            continue
        moved += 1
        alone, _ = recurrence(case)
        schedule = PortSchedule((frozenset(range(case.config.banks)),), end=5)
        held_up = step(**arguments(case), port_requests=schedule)
        assert held_up.cycles == alone + 5
        assert held_up.stalls["scanner"]["port"] == 5


def test_words_of_every_bank_are_accounted_for() -> None:
    rng = random.Random(11)
    for _ in range(60):
        case = random_case(rng)
        result = step(**arguments(case))
        config = case.config
        assert all(sum(row.values()) == result.cycles for row in result.banks.values())
        busy = sum(row.get("busy", 0) for row in result.banks.values())
        if config.private_weight_memory:
            assert busy <= result.counts["operand_words"]
        else:
            events = ("load_words", "operand_words", "words_read")
            assert busy == sum(result.counts[event] for event in events)


def test_trace_has_a_word_for_every_cycle() -> None:
    rng = random.Random(13)
    for _ in range(40):
        case = random_case(rng)
        result = step(**arguments(case), trace=True)
        assert len(result.trace) == result.cycles
        assert {len(word) for word in result.trace} == {2 + 3 * case.config.pes}
        phases = [word[0] for word in result.trace]
        assert phases == sorted(phases)
        lengths = [length for word in result.trace for length in word[2 : 2 + case.config.pes]]
        assert max(lengths) <= case.config.queue_depth
