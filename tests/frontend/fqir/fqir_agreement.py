"""Whether a plan's network computes what the plan means: golden, machine and the reference."""

from pathlib import Path

import numpy as np
from fqir_plans import write_plan
from fqir_reference import run_plan

from spusim.api import compile_network, load_arch, load_plan
from spusim.golden import run as run_golden
from spusim.machine import run as run_machine


def check_file(
    path: Path, frames: np.ndarray, wanted: np.ndarray, *, machine: bool, cores=(1, 2), settings=()
) -> None:
    """Assert that golden, and the machine, give what is wanted, frame by frame."""
    for count in cores:
        arch = load_arch("spu001", [f"cores={count}", *settings])
        program = compile_network(load_plan(path, arch), arch)
        formats = {
            matrix.packed.layout.format for core in program.cores for matrix in core.matrices
        }
        assert formats <= {"pencil"}
        assert {m.packed.layout.group for core in program.cores for m in core.matrices} <= {8}
        np.testing.assert_array_equal(run_golden(program, frames, (0,)).outputs, wanted)
        if machine:
            np.testing.assert_array_equal(run_machine(program, arch, frames, (0,)).outputs, wanted)


def check_plan(
    folder: Path, plan: dict, frames: np.ndarray, *, machine: bool, cores=(1, 2), settings=()
) -> np.ndarray:
    """Assert that a plan's network gives what the plain reference reads from the plan."""
    wanted = np.array(run_plan(plan, frames.tolist()))
    path = write_plan(folder, plan)
    check_file(path, frames, wanted, machine=machine, cores=cores, settings=settings)
    return wanted
