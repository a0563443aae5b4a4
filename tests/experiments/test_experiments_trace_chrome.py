"""Chrome traces, read back as JSON: order, nesting, and cycles that are the result's."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from spusim.experiments.targets import open_case
from spusim.experiments.trace_chrome import _microseconds, nanoseconds
from spusim.experiments.traces import FORMATS, write_trace
from spusim.machine.trace import TraceRequest

EVERYTHING = TraceRequest()
STREAM = "random:density=0.6,frames=3,files=2,seed=5"
SETTINGS = {
    "reserved": (),
    "shared": ("core.ports=shared",),
    "stall": ("core.hazard=stall", "core.queue.depth=2"),
}


def written(path: Path, *settings: str, request=EVERYTHING, **options):
    """Write a trace of the spotter; return result and the file as JSON."""
    case = open_case("kws", settings=settings)
    options = {"stream": STREAM, **options}
    result, _, events = write_trace(case, path, FORMATS["chrome"], request, **options)
    data = path.read_bytes()
    text = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    assert len([e for e in text["traceEvents"] if e["ph"] != "M"]) == events
    return result, text


def names_of(text):
    """Return (process, thread) -> unit, from the metadata."""
    events = [e for e in text["traceEvents"] if e["ph"] == "M"]
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    return {
        (e["pid"], e["tid"]): f"{processes[e['pid']].partition(' ')[0]}.{e['args']['name']}"
        for e in events
        if e["name"] == "thread_name"
    }


def ns(microseconds: float) -> int:
    """Cut off to nanoseconds, as Perfetto does."""
    return int(microseconds * 1000)


def cycles_by_cause(text):
    """Return unit -> cause -> cycles, less those of spans inside; spans of a track must nest."""
    names, stacks = names_of(text), defaultdict(list)
    found = defaultdict(Counter)
    for event in text["traceEvents"]:
        if event["ph"] != "X":
            continue
        key = event["pid"], event["tid"]
        begin = ns(event["ts"])
        end, args = begin + ns(event["dur"]), event["args"]
        stack = stacks[key]
        while stack and stack[-1][0] <= begin:
            stack.pop()
        if stack:
            assert end <= stack[-1][0]
            found[names[key]][stack[-1][1]] -= args["cycles"]
        found[names[key]][args.get("cause")] += args["cycles"]
        stack.append((end, args.get("cause")))
    return {unit: {c: n for c, n in causes.items() if c and n} for unit, causes in found.items()}


def expected(result):
    """Return the result's cycles by unit and cause, without idle ones."""
    causes = {
        unit: {c: n for c, n in row.items() if n and c != "idle"}
        for unit, row in result.stalls.items()
    }
    return {unit: row for unit, row in causes.items() if row}


@pytest.mark.parametrize("name", SETTINGS)
def test_cycles_of_every_unit_are_the_results(name, tmp_path):
    result, text = written(tmp_path / "t.json", *SETTINGS[name])
    found = {unit: row for unit, row in cycles_by_cause(text).items() if row}
    assert found == expected(result)


def test_events_are_sorted_and_their_times_are_those_of_their_cycles(tmp_path):
    result, text = written(tmp_path / "t.json")
    about = text["otherData"]
    assert about["run_cycles"] == about["end_cycle"] == result.cycles
    events = [e for e in text["traceEvents"] if e["ph"] != "M"]
    assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)
    assert text["traceEvents"][: -len(events)] == [e for e in text["traceEvents"] if e["ph"] == "M"]
    for event in events:
        if event["ph"] == "X":
            exact = event["args"]["cycle"] * 1000 / about["clock_mhz"]
            assert exact - 1 < ns(event["ts"]) <= exact + 1e-3
            assert event["args"]["cycles"] > 0


def test_tracks_threads_and_counters(tmp_path):
    result, text = written(tmp_path / "t.json")
    units = set(names_of(text).values())
    assert set(result.stalls) <= units
    assert {"core0.thread.frame", "core1.engine", "host.frames"} <= units
    counters = {e["name"] for e in text["traceEvents"] if e["ph"] == "C"}
    assert counters == {"in flight", "ready queue", *(f"pe{p} queue" for p in range(8))}
    queues = [e for e in text["traceEvents"] if e["ph"] == "C" and e["name"] == "pe3 queue"]
    assert max(e["args"]["columns"] for e in queues) <= 8
    assert max(e["args"]["columns"] for e in queues) > 1
    spmv = [e for e in text["traceEvents"] if e["name"] == "spmv lstm"]
    assert len(spmv) == 2 * 2 * result.frames  # on their thread's track and the engine's, two cores
    assert spmv[0]["args"]["comment"].startswith("lstm: ")
    frames = [e for e in text["traceEvents"] if e["name"].startswith("frame ") and "dur" in e]
    cycles = {e["args"]["frame"]: e["args"]["cycles"] for e in frames if "words" not in e["args"]}
    assert [cycles[n] for n in range(result.frames)] == result.frame_cycles.tolist()


def test_a_part_of_it_has_only_that_part(tmp_path):
    request = TraceRequest(1000, 1500, ("core1.*",))
    _, text = written(tmp_path / "t.json.gz", request=request)
    whole = written(tmp_path / "whole.json", request=TraceRequest(units=("core1.*",)))[1]
    spans = [e for e in text["traceEvents"] if e["ph"] == "X"]
    assert spans
    assert {e["pid"] for e in spans} == {1}
    assert min(e["args"]["cycle"] for e in spans) == 1000
    assert max(e["args"]["cycle"] + e["args"]["cycles"] for e in spans) == 1500
    cut = Counter()
    for event in whole["traceEvents"]:
        if event["ph"] == "X":
            begin, cycles = event["args"]["cycle"], event["args"]["cycles"]
            inside = min(begin + cycles, 1500) - max(begin, 1000)
            if inside > 0:
                cut[event["tid"], event["name"]] += inside
    found = Counter()
    for event in spans:
        found[event["tid"], event["name"]] += event["args"]["cycles"]
    assert found == cut


def test_the_same_trace_gives_the_same_bytes(tmp_path):
    request = TraceRequest(0, 3000)
    for name in ("a.json.gz", "b.json.gz"):
        written(tmp_path / name, request=request)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


@pytest.mark.parametrize("clock_mhz", [150.0, 800.0, 333.3, 1000.0, 0.7])
def test_nanoseconds_survive_being_written(clock_mhz):
    cycles = np.random.default_rng(1).integers(0, 10**9, 20_000)
    whole = nanoseconds(cycles, clock_mhz)
    assert [ns(float(text)) for text in _microseconds(whole)] == whole.tolist()
    assert (nanoseconds(cycles + 1, clock_mhz) > whole).all()
