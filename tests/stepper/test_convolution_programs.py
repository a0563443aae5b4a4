"""Programs that convolve and pool: stepper, machine and golden agree."""

import tally
from chip_agreement import final_differences, frame_differences, golden_differences, machine_run
from chip_stepper import first_difference, step_program
from convolution_programs import random_text
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim import golden
from spusim.machine.trace import trace_run
from spusim.source import read_source


def differences(text: str) -> str:
    """Run a program on all three, and tell where they differ."""
    source = read_source(text, "generated")
    given_run = (source.program, source.arch, source.frames, source.starts)
    stepped = step_program(*given_run)
    result, cores = machine_run(*given_run)
    traced, _ = trace_run(*given_run)
    meant = golden.run(source.program, source.frames, source.starts)
    parts = [first_difference(stepped, result), *final_differences(stepped, cores)]
    parts += [*frame_differences(stepped, result), *golden_differences(stepped, meant)]
    parts += ["the traced run is another"] * (first_difference(stepped, traced) != parts[0])
    found = "\n".join(part for part in parts if part)
    if not found:
        tally.compared("programs with convolutions", stepped.cycles)
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 30))
def test_generated_convolutions_agree(seed: int) -> None:
    found = differences(random_text(seed))
    assert not found, found
