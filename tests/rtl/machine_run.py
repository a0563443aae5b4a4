"""Runs a program on the machine's compiled engine and compares it as the stepper's tests do."""

from programs import Placed
from stepper import StepResult
from test_stepper_machine import loaded, same, step_engine

from spusim.kernels.engine import run_matvec


def check_machine(placed: Placed, expected: StepResult) -> None:
    """Assert that outputs, cycles, stalls and counts of the machine are those expected."""
    case = placed.case
    core = loaded(case)
    if placed.ports is None:
        src = case.config.operand_address
        cycles = int(run_matvec(core.state, 0, src, 0, case.accumulate)[0])
    else:
        cycles = step_engine(core, case, placed.ports)
    same(case, core, cycles, expected)
