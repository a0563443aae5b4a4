"""Runs a program on stepper and RTL and says where they first differ."""

import json
from collections import Counter
from dataclasses import fields

from parameter_sets import ParameterSet
from programs import Placed, Program, as_json, case_of
from rtl_engine import RtlEngine, RtlRun
from stepper import StepResult, step

SPARE_CYCLES = 50  # more than the stepper's, after which the RTL hangs


class Disagreement(AssertionError):
    """Stepper and RTL differ."""


def field_names(pes: int) -> list[str]:
    """Name the fields of a state word, in its order."""
    return [
        "phase",
        "scanner.window",
        *(f"pe{p}.queue_length" for p in range(pes)),
        *(f"pe{p}.{field}" for p in range(pes) for field in ("column", "beat")),
    ]


def step_placed(placed: Placed) -> StepResult:
    """Run a program on the stepper."""
    return step(**vars(placed.case), port_requests=placed.ports, trace=True)


def run_both(engine: RtlEngine, program: Program) -> tuple[Placed, StepResult, RtlRun]:
    """Run a program on stepper and RTL."""
    placed = case_of(engine.parameter_set, program)
    expected = step_placed(placed)
    most_cycles = expected.cycles + SPARE_CYCLES
    return placed, expected, engine.run(placed.case, placed.slice_base, placed.taken(), most_cycles)


def check_equal(
    parameter_set: ParameterSet, program: Program, expected: StepResult, rtl: RtlRun
) -> None:
    """Raise Disagreement, with the first differing cycle, unless all is equal."""
    differing = [
        f.name
        for f in fields(StepResult)
        if getattr(expected, f.name) != getattr(rtl.result, f.name)
    ]
    if not differing and causes_add_up(rtl):
        return
    lines = [
        f"stepper and RTL differ in {', '.join(differing) or 'the causes by cycle'}",
        f"set {parameter_set.number}: {parameter_set.config}",
        f"program: {program}",
        *first_difference(parameter_set, expected, rtl),
        *(
            f"{name}: stepper {getattr(expected, name)}\n{' ' * len(name)}      RTL "
            f"{getattr(rtl.result, name)}"
            for name in differing
            if name != "trace"
        ),
        f"waves: {waves_command(parameter_set, program)}",
    ]
    raise Disagreement("\n".join(lines))


def waves_command(parameter_set: ParameterSet, program: Program) -> str:
    """Return the command that dumps both implementations' signals."""
    choices = json.dumps(as_json(program))
    return f"python tests/rtl/waves.py --set {parameter_set.number} --program '{choices}' -o DIR"


def first_difference(parameter_set: ParameterSet, expected: StepResult, rtl: RtlRun) -> list[str]:
    """Describe the first cycle whose state words differ, by field."""
    traces = expected.trace, rtl.result.trace
    shorter = min(map(len, traces))
    cycle = next((t for t in range(shorter) if traces[0][t] != traces[1][t]), shorter)
    if cycle == max(map(len, traces)):
        return ["every cycle's state word is equal"]
    names = field_names(parameter_set.config.pes)
    words = [trace[cycle] if cycle < len(trace) else ("ended",) * len(names) for trace in traces]
    lines = [f"first differing cycle: {cycle}", f"{'':>18}{'stepper':>9}{'RTL':>9}"]
    for name, left, right in zip(names, *words, strict=True):
        lines.append(f"{name:>18}{left:>9}{right:>9}{'  <--' if left != right else ''}")
    before = rtl.causes[cycle - 1] if 0 < cycle <= len(rtl.causes) else ()
    if before:
        lines.append(f"the RTL spent the cycle before on (scanner, PEs): {', '.join(before)}")
    return lines


def causes_add_up(rtl: RtlRun) -> bool:
    """Tell whether the causes of the cycles are those that the RTL's counters counted."""
    waits = ("starved", "imbalance")
    for unit, row in enumerate(rtl.result.stalls.values()):
        counted = {cause: n for cause, n in row.items() if cause not in waits}
        waiting = sum(row.get(cause, 0) for cause in waits)
        if waiting:
            counted["waiting"] = waiting
        if dict(Counter(causes[unit] for causes in rtl.causes)) != counted:
            return False
    return True
