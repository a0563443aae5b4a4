"""A trace as a value change dump, written with pyvcd; a step of its time is a clock cycle.

Scope and names of the engine's signals are those of the hardware and the naive stepper: `engine`
with `phase`, `window` and, for every PE p, `pe{p}_queue`, `pe{p}_column`, `pe{p}_beat`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, BinaryIO

import numpy as np
from vcd import VCDWriter

import spusim
from spusim.machine.trace import DMA_CAUSES, ROUTER_CAUSES, Progress, Signal, Span, Trace

SIGNALS = None  # all of a run's signals
_CHUNK = 1 << 14
_NUMBER_BITS, _PHASE_BITS = 32, 2
_NOTHING = -1
_PE = re.compile(r"(pe\d+)(?:\.queue)?$")
_BANK = re.compile(r"data_memory\.(bank\d+)$")


@dataclass(frozen=True)
class Wire:
    """A variable of the dump: values (changes,) from cycles on; states names them, else numbers."""

    scope: str
    name: str
    cycles: np.ndarray
    values: np.ndarray
    states: tuple[str, ...] | None = None
    bits: int = _NUMBER_BITS


def vcd_wires(trace: Trace) -> list[Wire]:
    """Return all variables of the dump of a trace."""
    wires = [wire for signal in trace.signals for wire in _of_signal(signal)]
    for unit in trace.units:
        place, _, kind = unit.partition(".")
        spans = [span for span in trace.spans if span.unit == unit]
        if kind in ("engine", "vector", "router", "dma") or kind.startswith("thread."):
            wires.append(_what(trace, unit, "pc", spans, 1 if kind.startswith("thread") else 0))
        elif kind.startswith("frames"):
            wires.append(_what(trace, place, "frame", spans, 0, kind.replace("frames", "frame")))
        if kind in ("router", "dma", "out", "in"):
            wires += _of_signal(_causes(trace, unit, spans))
    return wires


def count_changes(wires: Sequence[Wire]) -> int:
    """Return how many value changes a dump has."""
    return sum(len(wire.cycles) for wire in wires)


def write_vcd(
    trace: Trace, wires: Sequence[Wire], file: BinaryIO, progress: Progress | None = None
) -> None:
    """Write a dump of the trace's cycles."""
    changes = _in_time(wires)
    text = TextIOWrapper(file, encoding="utf-8", write_through=True)
    period_ns = 1000 / trace.clock_mhz
    writer = VCDWriter(
        text,
        timescale="1 ns",
        date="",
        comment=f"{trace.name} on {trace.arch_name}; a step of time is a cycle of {period_ns:.6g} "
        f"ns; phase: 0 load, 1 run, 2 drain, 3 idle; {_NOTHING}: none",
        version=f"spusim {spusim.__version__}",
        init_timestamp=trace.first,
        check_values=False,
    )
    variables = [_register(writer, wire) for wire in wires]
    for first in range(0, len(changes), _CHUNK):
        for cycle, number, value in changes[first : first + _CHUNK].tolist():
            states = wires[number].states
            writer.change(variables[number], cycle, states[value] if states else value)
        if progress:
            progress("writing", min(first + _CHUNK, len(changes)), len(changes))
    writer.close(trace.end)
    text.detach()


def _register(writer: VCDWriter, wire: Wire) -> Any:
    if wire.states:
        return writer.register_var(wire.scope, wire.name, "string", init=wire.states[0])
    kind = "wire" if wire.bits < _NUMBER_BITS else "integer"
    return writer.register_var(wire.scope, wire.name, kind, size=wire.bits)


def _in_time(wires: Sequence[Wire]) -> np.ndarray:
    """Return the changes of all wires by time: rows of cycle, wire, value."""
    parts = [np.zeros((0, 3), np.int64)]
    for number, wire in enumerate(wires):
        rows = np.full((len(wire.cycles), 3), number, np.int64)
        rows[:, 0], rows[:, 2] = wire.cycles, wire.values
        parts.append(rows)
    table = np.concatenate(parts)
    return table[np.argsort(table[:, 0], kind="stable")]


def _of_signal(signal: Signal) -> Iterator[Wire]:
    """Yield a signal's variable, and for one with causes whether the unit is busy."""
    scope, name = _place(signal)
    phase = signal.name == "phase"
    states, bits = (None, _PHASE_BITS) if phase else (signal.states, _NUMBER_BITS)
    yield Wire(scope, name, signal.cycles, signal.values, states, bits)
    if signal.causes is not None:
        busy = np.array([cause == "busy" for cause in signal.causes])[signal.values]
        changed = np.append(True, busy[1:] != busy[:-1])
        name = re.sub("(cause|access)$", "busy", name)
        yield Wire(scope, name, signal.cycles[changed], busy[changed].astype(np.int64), None, 1)


def _place(signal: Signal) -> tuple[str, str]:
    """Return a signal's scope and name."""
    place, _, kind = signal.unit.partition(".")
    of_pe, of_bank = _PE.match(kind), _BANK.match(kind)
    if of_pe:
        return f"{place}.engine", f"{of_pe[1]}_{signal.name}"
    if of_bank:
        return f"{place}.data_memory", f"{of_bank[1]}_{signal.name}"
    if kind == "scanner":
        return f"{place}.engine", f"scanner_{signal.name}"
    if signal.name == "count":
        return f"{place}.sequencer", kind
    if place == "host":
        return place, f"{kind}_{signal.name}"
    return signal.unit, signal.name


def _what(
    trace: Trace, scope: str, key: str, spans: list[Span], depth: int, name: str | None = None
) -> Wire:
    """Return which instruction or frame a unit is at, -1 for none."""
    changes = {trace.first: _NOTHING}
    for span in sorted(spans, key=lambda span: span.start):
        if span.depth == depth and key in span.args:
            changes[max(span.start, trace.first)] = span.args[key]
            if span.end < trace.end:
                changes[span.end] = _NOTHING
    return Wire(scope, name or key, *_arrays(changes))


def _causes(trace: Trace, unit: str, spans: list[Span]) -> Signal:
    """Return what a unit's cycles count as: what spans say, inner ones over outer ones."""
    causes = DMA_CAUSES if unit.endswith(".dma") else ROUTER_CAUSES
    idle, busy = map(causes.index, ("idle", "busy"))
    changes = {trace.first: idle}
    for depth in (0, 1):
        for span in sorted(spans, key=lambda span: span.start):
            if span.depth == depth and span.cause:
                changes[max(span.start, trace.first)] = causes.index(span.cause)
                if span.end < trace.end:
                    changes.setdefault(span.end, busy) if depth else changes.update(
                        {span.end: idle}
                    )
    cycles, values = _arrays(changes)
    return Signal(unit, "cause", cycles, values, causes, causes)


def _arrays(changes: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    cycles = np.array(sorted(changes), np.int64)
    values = np.array([changes[cycle] for cycle in cycles.tolist()], np.int64)
    changed = np.append(True, values[1:] != values[:-1])
    return cycles[changed], values[changed]
