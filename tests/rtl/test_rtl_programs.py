"""RTL, stepper and machine agree on generated programs: values, cycles, stalls, counts, states."""

from collections.abc import Iterator

import pytest
from compare import check_equal, run_both
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from machine_run import check_machine
from parameter_sets import SETS, ParameterSet
from programs import Program, choices, random_program
from rtl_engine import RtlEngine

PROGRAMS_A_SET = 80
SEEDED_A_SET = 60  # drawn evenly; hypothesis, which leans on small ones, draws the others


@pytest.fixture(params=SETS, ids=lambda each: f"set{each.number}")
def engine(request: pytest.FixtureRequest, verilator: None) -> Iterator[RtlEngine]:
    """An engine on which all programs of a set run, one after another."""
    engine = RtlEngine(request.param)
    yield engine
    engine.close()


def programs_of(parameter_set: ParameterSet) -> st.SearchStrategy[Program]:
    """Draw a program; a failing one shrinks field by field towards the plainest."""
    fields = choices(parameter_set)
    return st.builds(Program, **{name: st.sampled_from(of) for name, of in fields.items()})


def check(engine: RtlEngine, program: Program) -> None:
    """Compare all three on one program."""
    placed, expected, rtl = run_both(engine, program)
    check_equal(engine.parameter_set, program, expected, rtl)
    check_machine(placed, rtl.result)


def test_rtl_equals_stepper_and_machine(engine: RtlEngine) -> None:
    compared = 0

    @settings(
        max_examples=PROGRAMS_A_SET - SEEDED_A_SET,
        deadline=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(programs_of(engine.parameter_set))
    def compare(program: Program) -> None:
        nonlocal compared
        check(engine, program)
        compared += 1

    compare()
    for seed in range(SEEDED_A_SET):
        check(engine, random_program(engine.parameter_set, seed))
        compared += 1
    assert compared >= PROGRAMS_A_SET
