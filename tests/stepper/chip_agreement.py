"""Runs a program on stepper, machine and golden, and tells where they disagree."""

from collections.abc import Sequence

import numpy as np
from chip_stepper import ChipDeadlock, ChipError, ChipRun, first_difference, step_program

from spusim import golden
from spusim.arch import Arch
from spusim.errors import SpusimError
from spusim.machine import DeadlockError, Spu
from spusim.machine.load import LoadedCore
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
        memory = run.data_memory[c]
        if core.arrays.memory[: len(memory)].tobytes() != memory:
            found.append(f"core{c}: data memory at the end")
        rows = run.accumulators[c]
        if core.arrays.acc[: len(rows)].tolist() != rows:
            found.append(f"core{c}: accumulators at the end")
    return found


def golden_differences(run: ChipRun, meant: golden.GoldenResult) -> list[str]:
    """Tell outputs, data memory and accumulators that golden has otherwise."""
    found = ["outputs are not golden's"] if run.outputs != meant.outputs.tolist() else []
    for c, image in enumerate(meant.data_memory):
        touched = image.tobytes()
        if run.data_memory[c][: len(touched)] != touched:
            found.append(f"core{c}: data memory is not golden's")
        if run.accumulators[c] != meant.accumulators[c].tolist():
            found.append(f"core{c}: accumulators are not golden's")
    return found


def disagreements(
    program: Program,
    arch: Arch,
    frames: np.ndarray,
    starts: Sequence[int],
    input_period: int | None = None,
) -> str:
    """Run all three, and tell where they differ; "" if nowhere."""
    stepped = step_program(program, arch, frames, starts, input_period)
    result, cores = machine_run(program, arch, frames, starts, input_period)
    meant = golden.run(program, frames, starts)
    parts = [first_difference(stepped, result), *final_differences(stepped, cores)]
    parts += golden_differences(stepped, meant)
    executed = sum(meant.counts.values())
    if stepped.counts.get("instruction_memory.read", 0) != executed:
        parts.append(f"golden executed {executed} instructions")
    return "\n".join(part for part in parts if part)


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
    found = "\n".join([first_difference(stepped, result), *final_differences(stepped, cores)])
    assert not found, found
    return result


def _assert_stops(stop: type[ChipError], *arguments: object, **options: object) -> None:
    """Assert that the stepper ends a run with an error of that type."""
    try:
        step_program(*arguments, **options)  # type: ignore[arg-type]
    except ChipError as error:
        assert type(error) is stop, error
    else:
        raise AssertionError(f"the machine stops with {stop.__name__}, the stepper runs on")
