"""Programs that stream through external memory: stepper, machine and golden agree."""

from collections import Counter

import numpy as np
import pytest
import tally
from chip_agreement import (
    final_differences,
    frame_differences,
    golden_differences,
    machine_run,
)
from chip_stepper import first_difference, step_program
from external_programs import Case, external_case
from programs import complaints
from trace_sums import cycles_by_cause

from spusim import golden
from spusim.isa import decode_all, load_isa
from spusim.machine.trace import trace_run

FIRSTS, EACH = range(0, 60, 5), 5


def disagreements(case: Case) -> str:
    """Run all three, and tell where they differ; "" if nowhere."""
    program, arch, frames, starts, period = vars(case).values()
    stepped = step_program(program, arch, frames, starts, period)
    result, cores = machine_run(program, arch, frames, starts, period)
    parts = [first_difference(stepped, result), *final_differences(stepped, cores)]
    parts += [*frame_differences(stepped, result), *complaints(result)]
    parts += golden_differences(stepped, golden.run(program, frames, starts))
    found = "\n".join(part for part in parts if part)
    if not found:
        tally.compared("programs that stream", stepped.cycles)
    return found


@pytest.mark.parametrize("first", FIRSTS)
def test_programs_that_stream_agree(first: int) -> None:
    for seed in range(first, first + EACH):
        found = disagreements(external_case(np.random.default_rng(seed)))
        assert not found, f"seed {seed}: {found}"


def test_generator_reaches_all_that_there_is() -> None:
    isa, seen = load_isa(), Counter[str]()
    for seed in range(60):
        case = external_case(np.random.default_rng(seed))
        memory = case.arch.external_memory
        assert memory is not None
        seen[f"{len(case.program.cores)} cores"] += 1
        seen[f"private {case.arch.core.weight_memory is not None}"] += 1
        seen[f"port {memory.data_port}"] += 1
        seen[f"outside {case.program.input.external is not None}"] += 1
        seen[f"period {case.input_period is not None}"] += 1
        seen[f"mode {case.arch.core.index_memory.mode}"] += 1
        for image in case.program.cores:
            seen.update({i.mnemonic for i in decode_all(isa, image.code)})
    expected = {"1 cores", "2 cores", "3 cores", "private True", "private False", "port banks"}
    expected |= {"port own", "outside True", "outside False", "period True", "xld", "xst"}
    expected |= {"fetch", "yield", "loop", "mode resident", "mode preload"}
    assert {name for name in expected if seen[name] < 6} == set()


@pytest.mark.parametrize("seed", range(60, 66))
def test_traces_have_the_dmas_cycles(seed: int) -> None:
    case = external_case(np.random.default_rng(seed))
    program, arch, frames, starts, period = vars(case).values()
    result, trace = trace_run(program, arch, frames, starts, period)
    found = cycles_by_cause(trace)
    for unit, causes in result.stalls.items():
        # whose accesses to the banks a trace does not show
        if "data_memory" not in unit:
            assert found[unit] == {cause: n for cause, n in causes.items() if n}, unit
