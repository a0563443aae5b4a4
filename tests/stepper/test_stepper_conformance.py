"""Conformance programs on the stepper: values, time and counts are those of the golden files."""

from typing import Any

import numpy as np
import pytest
import tally
from chip_stepper import ChipRun, step_program

from spusim.experiments.conformance import (
    ConformanceCase,
    check_program,
    load_conformance,
    program_paths,
    signature,
)
from spusim.experiments.poison import poisoned_accumulators

PATHS = {path.stem: path for path in program_paths()}
CASES = {case.name: case for case in load_conformance()}


def stepped(case: ConformanceCase) -> ChipRun:
    """Step a program whose memories and accumulators are poisoned."""
    start = [values.tolist() for values in poisoned_accumulators(case.program)]
    return step_program(
        case.program, case.arch, case.frames, case.starts, case.input_period, accumulators=start
    )


def occurred(causes: dict[str, Any]) -> dict[str, Any]:
    """Leave out what never occurred."""
    return {name: n for name, n in causes.items() if n}


def record_of(run: ChipRun, case: ConformanceCase) -> dict[str, Any]:
    """Return what a golden file would say of a run."""
    width = case.program.word_bits // 8
    memories = [np.frombuffer(data, np.uint8).reshape(-1, width) for data in run.data_memory]
    external = np.frombuffer(run.external_memory, np.uint8).reshape(-1, width)
    rows = [np.array(values, np.int64) for values in run.accumulators]
    return {
        "signature": signature(np.array(run.outputs, np.int64), memories, rows, external),
        "outputs": run.outputs,
        "cycles": run.cycles,
        "frame_cycles": run.frame_cycles,
        "stalls": {unit: occurred(causes) for unit, causes in run.stalls.items()},
        "counts": occurred(run.counts),
    }


@pytest.mark.parametrize("name", CASES)
def test_golden_file_says_what_the_stepper_does(name: str) -> None:
    case = CASES[name]
    run = stepped(case)
    found, expected = record_of(run, case), dict(case.record)
    expected["stalls"] = {unit: occurred(causes) for unit, causes in expected["stalls"].items()}
    expected["counts"] = occurred(expected["counts"])
    assert found == {key: expected[key] for key in found}
    assert check_program(PATHS[name]).verdict == "pass"  # golden and machine, against the file
    tally.compared("conformance programs", run.cycles)


def test_poison_reaches_the_stepper() -> None:
    case = CASES["vfill"]
    run = stepped(case)
    assert run.accumulators != tuple([0] * len(rows) for rows in run.accumulators)
    plain = step_program(case.program, case.arch, case.frames, case.starts)
    assert record_of(plain, case)["signature"] != case.record["signature"]
    assert plain.outputs == run.outputs
