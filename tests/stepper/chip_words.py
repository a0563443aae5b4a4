"""State words of the machine's traced runs, in the fields that the stepper's words have too."""

from collections.abc import Iterator

import numpy as np
from chip_report import ChipRun

from spusim.machine.trace import Signal, Trace

NOTHING = -1  # in a unit of the engine, while there is no instruction
OF_THE_ENGINE = {
    "phase": "engine.phase",
    "window": "scanner.window",
    "queue": "{}",
    "column": "{}.column",
    "beat": "{}.beat",
}


def machine_fields(trace: Trace) -> dict[str, list[object]]:
    """Return field -> value in every cycle: sequencers, engines, and who has which bank."""
    phases = {s.unit.partition(".")[0]: s for s in trace.signals if s.name == "phase"}
    absent = {core: _by_cycle(s, trace) == _idle(s) for core, s in phases.items()}
    fields: dict[str, list[object]] = {}
    for signal in trace.signals:
        core, _, unit = signal.unit.partition(".")
        values = _by_cycle(signal, trace)
        if signal.name in OF_THE_ENGINE:
            name = OF_THE_ENGINE[signal.name].format(unit)
            fields[f"{core}.{name}"] = np.where(absent[core], NOTHING, values).tolist()
        elif signal.states and (signal.name == "access" or unit == "sequencer"):
            free = "" if signal.name == "access" else "idle"
            names = [free if state == "idle" else state for state in signal.states]
            fields[signal.unit] = [names[value] for value in values]
    return fields


def first_word_difference(run: ChipRun, trace: Trace) -> str:
    """Tell the first cycle in which stepper and machine differ, with both state words; "" if none.

    A run that ends sooner than the other differs in what its end is compared with, not here.
    """
    machine = machine_fields(trace)
    stepper = dict(zip(run.trace_names, zip(*run.trace, strict=True), strict=True))
    cycles = [
        next((t for t, (a, b) in enumerate(zip(stepper[name], values, strict=False)) if a != b))
        for name, values in machine.items()
        if list(stepper[name][: len(values)]) != values[: len(run.trace)]
    ]
    if not cycles:
        return ""
    return "\n".join(_words(min(cycles), stepper, machine))


def _words(
    cycle: int, stepper: dict[str, tuple[object, ...]], machine: dict[str, list[object]]
) -> Iterator[str]:
    """Lay out a cycle's words side by side."""
    width = max(map(len, machine))
    yield f"first differing cycle: {cycle}"
    yield f"  {'':<{width}}  {'stepper':<16}machine"
    for name, values in machine.items():
        a, b = stepper[name][cycle], values[cycle]
        yield f"  {name:<{width}}  {a!s:<16}{b}{'  <--' if a != b else ''}"


def _by_cycle(signal: Signal, trace: Trace) -> np.ndarray:
    """Return a signal's value in each of the trace's cycles."""
    return np.repeat(signal.values, np.diff([*signal.cycles.tolist(), trace.end]))


def _idle(signal: Signal) -> int:
    """Return the value that means that a unit has no instruction."""
    return (signal.states or ()).index("idle")
