"""Runs a program on the machine's compiled engine as well, and compares it with stepper and RTL."""

import random

import tally
from rtl_compare import check_equal, run_both
from rtl_engine import RtlEngine
from rtl_programs import Placed, Program
from stepper import StepResult
from test_stepper_machine import loaded, random_windows, same, stepped

from spusim.kernels.engine import run_matvec


def check(engine: RtlEngine, program: Program) -> None:
    """Compare all three on one program; raises Disagreement, or AssertionError for the machine."""
    placed, expected, rtl = run_both(engine, program)
    check_equal(engine.parameter_set, program, expected, rtl)
    check_machine(placed, rtl.result)
    tally.compared("engine programs", rtl.result.cycles)


def check_machine(placed: Placed, expected: StepResult) -> None:
    """Assert that outputs, cycles, stalls and counts of the machine are those expected."""
    case = placed.case
    core = loaded(case)
    if placed.ports is None:
        src = case.config.operand_address
        cycles = int(run_matvec(core.state, 0, src, 0, case.accumulate)[0])
    else:
        cycles = stepped(core, case, placed.ports, random_windows(random.Random(case.config.pes)))
    same(case, core, cycles, expected)
