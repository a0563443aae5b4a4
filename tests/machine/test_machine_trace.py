"""Traced runs: results stay as they are, and the trace's cycles are the result's."""

from collections import Counter

import numpy as np
import pytest
from programs import complaints, core, differences, frames, hand_arch, program
from random_programs import random_program
from test_machine_equals_golden import with_core
from test_machine_kws import MACHINES, STARTS, spotter
from trace_sums import cycles_by_cause

from spusim.arch import load_arch
from spusim.compiler import compile_network
from spusim.machine import chip as chip_module
from spusim.machine import run
from spusim.machine.errors import TraceError
from spusim.machine.trace import Trace, TraceRequest, trace_run
from spusim.result import RunResult

PORTS = ("reserved", "shared")


def nonzero(result: RunResult) -> dict[str, dict[str, int]]:
    """Return a result's cycles by unit and cause, those that there are."""
    return {
        unit: {cause: cycles for cause, cycles in causes.items() if cycles}
        for unit, causes in result.stalls.items()
    }


def same_trace(one: Trace, other: Trace) -> bool:
    """Whether two traces show the same."""
    signals = [
        [(s.unit, s.name, s.cycles.tolist(), s.values.tolist()) for s in trace.signals]
        for trace in (one, other)
    ]
    return signals[0] == signals[1] and one.spans == other.spans and one.units == other.units


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize("first", range(1000, 1060, 10))
def test_traced_runs_of_random_programs_count_the_same_cycles(first: int, ports: str) -> None:
    waits: Counter[str] = Counter()
    for seed in range(first, first + 10):
        whole, arch, stream, starts = random_program(np.random.default_rng(seed))
        one = with_core(arch, ports=ports)
        plain = run(whole, one, stream, starts)
        result, trace = trace_run(whole, one, stream, starts)
        assert (seed, differences(plain, result)) == (seed, [])
        assert complaints(result) == []
        assert cycles_by_cause(trace) == nonzero(result), seed
        waits.update(cause for causes in nonzero(result).values() for cause in causes)
    assert waits["port" if ports == "shared" else "held"]


@pytest.mark.parametrize("name", ["spu001", "shared", "stall", "eie64", "three cores"])
def test_the_spotters_trace_has_the_results_cycles(name: str) -> None:
    base, settings = MACHINES[name]
    network, stream = spotter()
    arch = load_arch(base, list(settings))
    whole = compile_network(network, arch)
    plain = run(whole, arch, stream, STARTS)
    result, trace = trace_run(whole, arch, stream, STARTS)
    assert differences(plain, result) == []
    assert cycles_by_cause(trace) == nonzero(result)
    engine = sum(s.end - s.start for s in trace.spans if s.unit.endswith(".engine"))
    assert engine == sum(layer["engine_cycles"] for layer in result.layers.values())


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize("seed", [1001, 1004, 1007, 1013])
def test_a_part_of_a_run_is_that_part_of_its_trace(seed: int, ports: str) -> None:
    rng = np.random.default_rng(seed)
    whole, arch, stream, starts = random_program(rng)
    one = with_core(arch, ports=ports)
    result, everything = trace_run(whole, one, stream, starts)
    for _ in range(5):
        first, end = np.sort(rng.choice(result.cycles, 2, replace=False)).tolist()
        request = TraceRequest(first, end)
        part = trace_run(whole, one, stream, starts, request=request)[1]
        assert (part.first, part.end, part.cycles) == (first, end, result.cycles)
        for mine, all_ in zip(part.signals, everything.signals, strict=True):
            at = np.arange(first, end)
            seen = mine.values[np.searchsorted(mine.cycles, at, "right") - 1]
            expected = all_.values[np.searchsorted(all_.cycles, at, "right") - 1]
            assert (mine.unit, mine.name) == (all_.unit, all_.name)
            assert seen.tolist() == expected.tolist(), f"{mine.unit} {mine.name}"
        inside = [s for s in everything.spans if s.start < end and s.end > first]
        assert [s for s in part.spans] == inside


@pytest.mark.parametrize("ports", PORTS)
def test_a_log_that_is_read_often_gives_the_same_trace(
    ports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(1020, 1026):
        whole, arch, stream, starts = random_program(np.random.default_rng(seed))
        one = with_core(arch, ports=ports)
        expected = trace_run(whole, one, stream, starts)[1]
        monkeypatch.setattr(chip_module, "LOG_ROWS", 1)
        assert same_trace(expected, trace_run(whole, one, stream, starts)[1])
        late = TraceRequest(first=expected.cycles // 2)
        found = trace_run(whole, one, stream, starts, request=late)[1]
        monkeypatch.undo()
        assert same_trace(trace_run(whole, one, stream, starts, request=late)[1], found)


def test_units_are_chosen_by_pattern() -> None:
    whole, arch, stream, starts = random_program(np.random.default_rng(1002))
    everything = trace_run(whole, arch, stream, starts)[1]
    request = TraceRequest(units=("core0.pe*", "host.in", "core0.thread.head"))
    some = trace_run(whole, arch, stream, starts, request=request)[1]
    wanted = [u for u in everything.units if u.startswith("core0.pe")]
    assert some.units == (*(u for u in everything.units if u in {*wanted, *request.units}),)
    assert {s.unit for s in some.signals} == set(wanted)
    for mine in some.signals:
        twin = next(s for s in everything.signals if (s.unit, s.name) == (mine.unit, mine.name))
        assert mine.cycles.tolist() == twin.cycles.tolist()
    assert list(some.spans) == [s for s in everything.spans if s.unit in some.units]


HAND = """
.thread main tokens=1
    recv channel=0, dst=63, words=1
    post core=0, thread=1
    vset len=4, wa=16, wb=16, wd=16, sa=0, sb=0, sd=0
    vadd d=8, a=0, b=4
    send dest={host}, channel=0, src=63, words=1, thread=0
    end
.thread side tokens=1
    nop
    end
"""


def test_times_of_a_small_run_by_hand() -> None:
    # as in `programs`: the frame's word crosses the link in cycle 1 and arrives at 4, main issues
    # its recv at 5, post at 6, vset at 7, vadd at 8; side is dispatched at the end of 6
    arch = hand_arch()
    result, trace = trace_run(program(core(HAND), arch=arch), arch, frames(), (0,))
    main = [s for s in trace.spans if s.unit == "core0.thread.main"]
    assert [(s.name, s.start) for s in main if s.depth][:4] == [
        ("recv", 5), ("post", 6), ("vset", 7), ("vadd", 8),
    ]  # fmt: skip
    run_ = next(s for s in main if not s.depth)
    assert (run_.name, run_.start) == ("main", 5)
    side = [s for s in trace.spans if s.unit == "core0.thread.side"]
    assert {(s.name, s.start) for s in side if not s.depth} == {("side", 7)}
    flights = next(s for s in trace.signals if s.unit == "core0.in_flight")
    assert flights.cycles.tolist()[:3] == [0, 5, 7]
    assert flights.values.tolist()[:3] == [0, 1, 2]
    out = [s for s in trace.spans if s.unit == "host.out"]
    assert [(s.name, s.start, s.end) for s in out] == [("frame 0", 1, 2)]
    frame = [s for s in trace.spans if s.unit == "host.frames"]
    assert [(s.start, s.end) for s in frame] == [(1, result.cycles)]


def test_frames_that_overlap_are_on_tracks_of_their_own() -> None:
    network, stream = spotter()
    arch = load_arch("spu001")
    whole = compile_network(network, arch)
    result, trace = trace_run(whole, arch, stream, STARTS, 300)
    lanes = [unit for unit in trace.units if unit.startswith("host.frames")]
    assert len(lanes) > 1
    spans = [s for s in trace.spans if s.unit in lanes]
    assert sorted(s.args["frame"] for s in spans) == list(range(result.frames))
    assert cycles_by_cause(trace) == nonzero(result)  # and they nest


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (TraceRequest(first=-1), "from (=-1)"),
        (TraceRequest(first=5, end=5), "to (=5)"),
        (TraceRequest(first=10**9), "cycles"),
        (TraceRequest(units=("core0.pe9x",)), "core0.pe"),
        (TraceRequest(units=("nothing",)), "no unit"),
        (TraceRequest(most=10), "--max-events"),
    ],
)
def test_requests_that_cannot_be_met(request_: TraceRequest, said: str) -> None:
    whole, arch, stream, starts = random_program(np.random.default_rng(1002))
    with pytest.raises(TraceError) as caught:
        trace_run(whole, arch, stream, starts, request=request_)
    assert said in str(caught.value)
