"""Seeded random programs on the machine and on the stepper of whole programs, cycle for cycle."""

import numpy as np
import pytest
from chip_agreement import disagreements
from chip_generators import one_frame_at_a_time, with_core
from random_programs import random_program

CHUNK = 20


@pytest.mark.parametrize("ports", ["reserved", "shared"])
@pytest.mark.parametrize("first", range(0, 160, CHUNK))
def test_T1_to_T32_every_unit_of_random_programs(first: int, ports: str) -> None:
    for seed in range(first, first + CHUNK):
        whole, arch, frames, starts = random_program(np.random.default_rng(seed))
        found = disagreements(whole, with_core(arch, ports=ports), frames, starts)
        assert (seed, found) == (seed, "")


@pytest.mark.parametrize("ports", ["reserved", "shared"])
@pytest.mark.parametrize("first", range(0, 160, 40))
def test_T31_input_periods(first: int, ports: str) -> None:
    for seed in range(first, first + 40):
        rng = np.random.default_rng(seed)
        whole, arch, frames, starts = random_program(rng)
        if not one_frame_at_a_time(whole):
            continue
        for period in (1, int(rng.integers(1, 400))):
            found = disagreements(whole, with_core(arch, ports=ports), frames, starts, period)
            assert (seed, found) == (seed, "")
