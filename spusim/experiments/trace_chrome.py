"""A trace as Chrome trace events (JSON), which Perfetto and chrome://tracing open.

Times are whole nanoseconds, so that a span ends exactly where the next one begins, and nesting
survives readers that round to nanoseconds; the exact cycles are in every span's arguments.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

import spusim
from spusim.machine.trace import Progress, Signal, Span, Trace

FORMAT_VERSION = 1
# what the format shows of a run's signals
SIGNALS = frozenset({"cause", "queue", "access", "count"})
_COUNTED = {"queue": "columns", "count": "threads"}
_COUNTER = 100  # rank of a counter's event among those of a cycle; a span's is its depth
_CHUNK = 1 << 14  # events between two reports of progress


@dataclass(frozen=True)
class Events:
    """Events by time: rows of cycle, rank, track, label, and the cycles it lasts or a count."""

    table: np.ndarray  # (events, 5) int64
    labels: list[tuple[str, str]]  # JSON of a name, and of the arguments after cycle and cycles


class _Builder:
    """Puts events together."""

    def __init__(self, trace: Trace):
        self._trace = trace
        self._tracks = {unit: number for number, unit in enumerate(trace.units)}
        self._labels: dict[tuple[str, str], int] = {}
        self.parts = [np.zeros((0, 5), np.int64)]

    def events(self) -> Events:
        """Return all that was added, outer spans before those inside them."""
        table = np.concatenate(self.parts)
        order = np.lexsort((table[:, 2], table[:, 1], table[:, 0]))
        return Events(table[order], list(self._labels))

    def spans(self, spans: tuple[Span, ...]) -> None:
        """Add spans, as far as they are in the trace's range."""
        rows = []
        for span in spans:
            start, end = max(span.start, self._trace.first), min(span.end, self._trace.end)
            if start < end:
                args = {"cause": span.cause, **span.args} if span.cause else span.args
                label = self._label(span.name, args)
                rows.append((start, span.depth, self._tracks[span.unit], label, end - start))
        self.parts.append(np.array(rows, np.int64).reshape(-1, 5))

    def causes(self, signal: Signal) -> None:
        """Add a unit's busy and waiting cycles as spans."""
        assert signal.states is not None
        self._states(signal, signal.values != signal.states.index("idle"), 0)

    def waits(self, signal: Signal) -> None:
        """Add what a unit waits for as spans inside those of its instructions."""
        assert signal.states is not None
        idle, busy = map(signal.states.index, ("idle", "busy"))
        self._states(signal, (signal.values != idle) & (signal.values != busy), 1)

    def accesses(self, signal: Signal) -> None:
        """Add a bank's accesses as spans, inside those for which a unit holds the bank."""
        assert signal.causes is not None
        busy, held = (np.array([c == x for c in signal.causes]) for x in ("busy", "held"))
        self._states(signal, busy[signal.values], 1)
        # states of one unit without another's in between
        holder = signal.values - held[signal.values] * (held.size // 2)
        begins = np.flatnonzero(np.append(True, holder[1:] != holder[:-1]))
        holds = np.logical_or.reduceat(held[signal.values], begins)
        values = holder[begins] + held.size // 2
        merged = Signal(
            signal.unit, signal.name, signal.cycles[begins], np.where(holds, values, 0),
            signal.states, signal.causes,
        )  # fmt: skip
        self._states(merged, holds, 0)

    def counter(self, signal: Signal) -> None:
        """Add a number over time."""
        name = signal.unit.partition(".")[2].replace(".", " ").replace("_", " ")
        label = self._labels.setdefault(
            (json.dumps(name), json.dumps(_COUNTED[signal.name])), len(self._labels)
        )
        track = self._tracks[signal.unit]
        rows = np.zeros((len(signal.cycles), 5), np.int64)
        rows[:] = 0, _COUNTER, track, label, 0
        rows[:, 0], rows[:, 4] = signal.cycles, signal.values
        self.parts.append(rows)

    def _states(self, signal: Signal, shown: np.ndarray, depth: int) -> None:
        """Add chosen values of a signal (mask over its changes) as spans."""
        assert signal.states is not None and signal.causes is not None
        pairs = zip(signal.states, signal.causes, strict=True)
        labels = np.array([self._label(state, {"cause": cause}) for state, cause in pairs])
        ends = np.append(signal.cycles[1:], self._trace.end)
        rows = np.zeros((int(shown.sum()), 5), np.int64)
        rows[:, 1:3] = depth, self._tracks[signal.unit]
        rows[:, 0], rows[:, 4] = signal.cycles[shown], (ends - signal.cycles)[shown]
        rows[:, 3] = labels[signal.values[shown]]
        self.parts.append(rows)

    def _label(self, name: str, args: dict[str, object]) -> int:
        rest = json.dumps(args, separators=(",", ":"))[1:-1]
        key = json.dumps(name), "," * bool(rest) + rest
        return self._labels.setdefault(key, len(self._labels))


def chrome_events(trace: Trace) -> Events:
    """Return a trace's events in order of time."""
    builder = _Builder(trace)
    builder.spans(trace.spans)
    for signal in trace.signals:
        if signal.name in _COUNTED:
            builder.counter(signal)
        elif signal.name == "access":
            builder.accesses(signal)
        elif signal.name == "cause":
            # a vector unit's instructions are spans already
            own = signal.unit.endswith(".vector")
            (builder.waits if own else builder.causes)(signal)
    return builder.events()


def write_chrome(
    trace: Trace, events: Events, file: BinaryIO, progress: Progress | None = None
) -> None:
    """Write events as one JSON object: `otherData` with units and versions, then `traceEvents`."""
    head = json.dumps(_about(trace), sort_keys=True)
    file.write(f'{{"displayTimeUnit":"ns","otherData":{head},"traceEvents":[\n'.encode())
    file.write(",\n".join(_names(trace)).encode())
    places = list(_places(trace).values())
    for first in range(0, len(events.table), _CHUNK):
        rows = events.table[first : first + _CHUNK]
        lines = _lines(rows, events.labels, places, trace.clock_mhz)
        file.write("".join(f",\n{line}" for line in lines).encode())
        if progress:
            progress("writing", first + len(rows), len(events.table))
    file.write(b"\n]}\n")


def nanoseconds(cycles: np.ndarray, clock_mhz: float) -> np.ndarray:
    """Return the whole nanoseconds that have passed when cycles begin."""
    return np.floor(cycles * (1000 / clock_mhz) + 1e-6).astype(np.int64)


def _microseconds(ns: np.ndarray) -> list[str]:
    """Write whole nanoseconds as microseconds that, times 1000 and cut off, are the same again."""
    us = ns / 1000
    us = np.where((us * 1000).astype(np.int64) < ns, np.nextafter(us, np.inf), us)
    return [repr(each) for each in us.tolist()]


def _lines(
    rows: np.ndarray,
    labels: list[tuple[str, str]],
    places: list[tuple[int, int]],
    clock_mhz: float,
) -> Iterator[str]:
    """Write events (rows, 5) on tracks whose process and thread are `places`."""
    begin = nanoseconds(rows[:, 0], clock_mhz)
    end = nanoseconds(rows[:, 0] + rows[:, 4], clock_mhz)
    times = zip(_microseconds(begin), _microseconds(np.maximum(end - begin, 0)), strict=True)
    for (ts, dur), (cycle, rank, track, label, number) in zip(times, rows.tolist(), strict=True):
        pid, tid = places[track]
        name, rest = labels[label]
        where = f'"pid":{pid},"tid":{tid},"ts":{ts},"name":{name}'
        if rank == _COUNTER:
            yield f'{{"ph":"C",{where},"args":{{{rest}:{number}}}}}'
        else:
            args = f'"cycle":{cycle},"cycles":{number}{rest}'
            yield f'{{"ph":"X",{where},"dur":{dur},"args":{{{args}}}}}'


def _about(trace: Trace) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "spusim": spusim.__version__,
        "program": trace.name,
        "architecture": trace.arch_name,
        "clock_mhz": trace.clock_mhz,
        "first_cycle": trace.first,
        "end_cycle": trace.end,
        "run_cycles": trace.cycles,
        "units": {"ts": "us", "dur": "us", "args.cycle": "cycle", "args.cycles": "cycles"},
    }


def _places(trace: Trace) -> dict[str, tuple[int, int]]:
    """Return process and thread of every unit: a process a core, and one for the host."""
    processes: dict[str, int] = {}
    return {
        unit: (processes.setdefault(unit.partition(".")[0], len(processes) + 1), number + 1)
        for number, unit in enumerate(trace.units)
    }


def _names(trace: Trace) -> Iterator[str]:
    """Yield metadata events that name processes and threads, and put them in order."""
    named: set[int] = set()
    counters = {signal.unit for signal in trace.signals if signal.name in _COUNTED}
    for unit, (pid, tid) in _places(trace).items():
        process, _, thread = unit.partition(".")
        if pid not in named:
            named.add(pid)
            yield _metadata("process", pid, 0, f"{process} ({trace.arch_name})", pid)
        if unit not in counters:
            yield _metadata("thread", pid, tid, thread, tid)


def _metadata(what: str, pid: int, tid: int, name: str, place: int) -> str:
    events = (
        {"ph": "M", "name": f"{what}_{key}", "pid": pid, "tid": tid, "args": {short: value}}
        for key, short, value in (("name", "name", name), ("sort_index", "sort_index", place))
    )
    return ",\n".join(json.dumps(event, separators=(",", ":")) for event in events)
