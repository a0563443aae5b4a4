"""Runs a program on stepper, machine and golden, and tells where they disagree."""

from collections.abc import Sequence

import numpy as np
import tally
from chip_stepper import ChipDeadlock, ChipError, ChipRun, first_difference, step_program
from chip_words import first_word_difference

from spusim import golden
from spusim.arch import Arch
from spusim.errors import SpusimError
from spusim.machine import DeadlockError, Spu
from spusim.machine.load import LoadedCore
from spusim.machine.trace import trace_run
from spusim.program import Program
from spusim.result import RunResult


def machine_run(
    program: Program, arch: Arch, frames: np.ndarray, *rest: object, **options: object
) -> tuple[RunResult, list[LoadedCore]]:
    """Run the machine as a user does; return also its cores, as the run left them."""
    spu = Spu(program, arch, options.pop("order", None))  # type: ignore[arg-type]
    result = spu.run(frames, *rest, **options)  # type: ignore[arg-type]
    return result, spu.cores


def final_differences(run: ChipRun, cores: list[LoadedCore]) -> list[str]:
    """Tell which cores' data memory or accumulators ended otherwise on the machine."""
    found = []
    for c, core in enumerate(cores):
        if core.arrays.memory.tobytes() != run.data_memory[c]:
            found.append(f"core{c}: data memory at the end")
        rows = run.accumulators[c]
        if core.arrays.acc[: len(rows)].tolist() != rows:
            found.append(f"core{c}: accumulators at the end")
    return found


def golden_differences(run: ChipRun, meant: golden.GoldenResult) -> list[str]:
    """Tell outputs, data memory and accumulators that golden has otherwise."""
    found = ["outputs are not golden's"] if run.outputs != meant.outputs.tolist() else []
    if run.external_memory != meant.external_memory.tobytes():
        found.append("external memory is not golden's")
    for c, image in enumerate(meant.data_memory):
        touched = image.tobytes()
        if run.data_memory[c][: len(touched)] != touched:
            found.append(f"core{c}: data memory is not golden's")
        if run.accumulators[c] != meant.accumulators[c].tolist():
            found.append(f"core{c}: accumulators are not golden's")
    return found


def frame_differences(run: ChipRun, result: RunResult) -> list[str]:
    """Tell events whose counts by frame do not sum to the run's."""
    found = []
    for event, by_frame in result.frame_counts.items():
        total = sum(run.frame_cycles) if event == "cycle" else run.counts.get(event, 0)
        if len(by_frame) != len(run.outputs) or int(by_frame.sum()) != total:
            found.append(f"{event} by frame is {by_frame.tolist()}, in all {total}")
    return found


def disagreements(
    program: Program,
    arch: Arch,
    frames: np.ndarray,
    starts: Sequence[int],
    input_period: int | None = None,
    kind: str = "whole programs",
) -> str:
    """Run all three, and tell where they differ; "" if nowhere, and the run counts as compared."""
    stepped = step_program(program, arch, frames, starts, input_period, trace=True)
    traced, trace = trace_run(program, arch, frames, starts, input_period)
    result, cores = machine_run(program, arch, frames, starts, input_period)
    meant = golden.run(program, frames, starts)
    parts = [first_word_difference(stepped, trace), first_difference(stepped, result)]
    parts += [*final_differences(stepped, cores), *frame_differences(stepped, result)]
    parts += ["the traced run is another"] * (first_difference(stepped, traced) != parts[1])
    parts += golden_differences(stepped, meant)
    executed = sum(meant.counts.values())
    if stepped.counts.get("instruction_memory.read", 0) != executed:
        parts.append(f"golden executed {executed} instructions")
    found = "\n".join(part for part in parts if part)
    if not found:
        tally.compared(kind, stepped.cycles)
    return found


def checked_run(
    program: Program, arch: Arch, frames: np.ndarray, *rest: object, **options: object
) -> RunResult:
    """Run the machine and assert that the stepper does the same, or is stopped by the same."""
    order = options.pop("order", None)
    try:
        result, cores = machine_run(program, arch, frames, *rest, order=order, **options)
    except SpusimError as error:
        stop = ChipDeadlock if isinstance(error, DeadlockError) else ChipError
        _assert_stops(stop, program, arch, frames, *rest, **options)
        raise
    stepped = step_program(program, arch, frames, *rest, **options)  # type: ignore[arg-type]
    parts = [first_difference(stepped, result), *final_differences(stepped, cores)]
    found = "\n".join(part for part in [*parts, *frame_differences(stepped, result)] if part)
    assert not found, found
    tally.compared("programs worked out by hand", stepped.cycles)
    return result


def _assert_stops(stop: type[ChipError], *arguments: object, **options: object) -> None:
    """Assert that the stepper ends a run with an error of that type."""
    try:
        step_program(*arguments, **options)  # type: ignore[arg-type]
    except ChipError as error:
        assert type(error) is stop, error
    else:
        raise AssertionError(f"the machine stops with {stop.__name__}, the stepper runs on")
