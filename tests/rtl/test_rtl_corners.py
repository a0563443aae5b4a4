"""The generated programs reach the corners that they are meant for."""

from collections.abc import Callable

import pytest
from parameter_sets import SETS, ParameterSet
from rtl_compare import step_placed
from rtl_engine import (
    MEMORY_WORDS,
    PE_CAUSES,
    PE_WAITS,
    SCANNER_CAUSES,
    operand_words,
    slice_depth,
)
from rtl_programs import Placed, case_of, random_program
from stepper import LOAD, StepResult
from stepper_storage import ceil_div, owned_rows

SEEDS = 12
Run = tuple[ParameterSet, Placed, StepResult]


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """The stepper's runs of some programs of every set."""
    placed = [(s, case_of(s, random_program(s, seed))) for s in SETS for seed in range(SEEDS)]
    return [(s, program, step_placed(program)) for s, program in placed]


@pytest.mark.parametrize("cause", SCANNER_CAUSES)
def test_the_scanner_meets_every_cause(cause: str, runs: list[Run]) -> None:
    assert any(result.stalls["scanner"].get(cause) for _, _, result in runs)


@pytest.mark.parametrize("cause", PE_CAUSES + PE_WAITS)
def test_pes_meet_every_cause(cause: str, runs: list[Run]) -> None:
    assert any(result.stalls["pe0"].get(cause) for _, _, result in runs)


def slice_gaps(placed: Placed) -> set[int]:
    """Return how many zeros stand before a nonzero in any slice's column."""
    config, weight = placed.case.config, placed.case.weight
    gaps = set()
    for pe in range(config.pes):
        rows = owned_rows(len(weight), config.pes, config.group, pe)
        for column in range(len(placed.case.x)):
            run = 0
            for row in rows:
                run = run + 1 if weight[row][column] == 0 else gaps.add(run) or 0
    return gaps


def at_limit(run: Run) -> bool:
    """Tell whether an output has run to an end of the accumulator's range from elsewhere."""
    config, start = run[0].config, run[1].case.start_accumulators or run[1].case.bias or [0]
    limits = {-(2 ** (config.accumulator_bits - 1)), 2 ** (config.accumulator_bits - 1) - 1}
    return bool(limits & (set(run[2].outputs) - set(start)))


CORNERS: dict[str, Callable[[Run], object]] = {
    "no load phase": lambda run: run[2].trace[0][0] != LOAD,
    "rows fewer than PEs": lambda run: len(run[1].case.weight) < run[0].config.pes,
    "slices without a row": lambda run: (
        len(run[1].case.weight) <= run[0].config.group * (run[0].config.pes - 1)
    ),
    "a short last pencil": lambda run: len(run[1].case.weight) % run[0].config.group,
    "all accumulators in use": lambda run: (
        ceil_div(len(run[1].case.weight), run[0].config.pes) == 2 ** run[0].row_bits
    ),
    "one column": lambda run: len(run[1].case.x) == 1,
    "an operand of zeros": lambda run: not any(run[1].case.x),
    "a matrix of zeros": lambda run: not any(map(any, run[1].case.weight)),
    "nothing pushed": lambda run: run[2].counts["pushes"] == 0,
    "every queue full": lambda run: any(
        word[2 : 2 + run[0].config.pes] == (run[0].config.queue_depth,) * run[0].config.pes
        for word in run[2].trace
    ),
    "the longest index": lambda run: (
        run[0].config.format == "run_length"
        and 2 ** run[0].config.index_bits - 1 in slice_gaps(run[1])
    ),
    "a gap just too long": lambda run: (
        run[0].config.format == "run_length" and 2 ** run[0].config.index_bits in slice_gaps(run[1])
    ),
    "saturated": lambda run: run[0].config.overflow == "saturate" and at_limit(run),
    "the operand ends the memory": lambda run: (
        run[1].case.config.operand_address + len(operand_words(run[1].case))
        == run[0].config.banks * MEMORY_WORDS
    ),
    "a slice ends the memory": lambda run: (
        run[1].slice_base + slice_depth(run[1].case) == MEMORY_WORDS
    ),
    "all banks taken at once": lambda run: (
        2 ** run[0].config.banks - 1 in run[1].taken() and run[0].config.banks > 1
    ),
    "goes on from accumulators": lambda run: run[1].case.accumulate and run[1].case.bias,
}


@pytest.mark.parametrize("corner", CORNERS)
def test_programs_reach_the_corner(corner: str, runs: list[Run]) -> None:
    assert any(CORNERS[corner](run) for run in runs)


def test_most_programs_do_some_work(runs: list[Run]) -> None:
    working = sum(result.counts["accumulator_updates"] > 10 for _, _, result in runs)
    assert working > len(runs) // 2
