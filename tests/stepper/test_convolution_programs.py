"""Programs that convolve and pool: stepper, machine and golden agree."""

from chip_agreement import disagreements
from convolution_programs import random_text
from hypothesis import given, settings
from hypothesis import strategies as st

from spusim.source import read_source


def differences(text: str) -> str:
    """Run a program on all three, and tell where they differ, in traces too."""
    source = read_source(text, "generated")
    kind = "programs with convolutions"
    return disagreements(source.program, source.arch, source.frames, source.starts, kind=kind)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 1 << 30))
def test_generated_convolutions_agree(seed: int) -> None:
    found = differences(random_text(seed))
    assert not found, found
