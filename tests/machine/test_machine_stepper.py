"""Seeded random programs on the machine and on the stepper of whole programs, cycle for cycle.

Half of the seeds run every day, all of them in `make verify`.
"""

import numpy as np
import pytest
from chip_agreement import disagreements
from chip_generators import one_frame_at_a_time, with_core
from random_programs import random_program

SEEDS, EVERY_DAY = 160, 80


def chunks(size: int) -> list[object]:
    """Return the first seed of every chunk; those beyond EVERY_DAY are marked slow."""
    return [
        pytest.param(first, marks=() if first < EVERY_DAY else pytest.mark.slow)
        for first in range(0, SEEDS, size)
    ]


@pytest.mark.parametrize("ports", ["reserved", "shared"])
@pytest.mark.parametrize("first", chunks(20))
def test_T1_to_T32_every_unit_of_random_programs(first: int, ports: str) -> None:
    for seed in range(first, first + 20):
        whole, arch, frames, starts = random_program(np.random.default_rng(seed))
        found = disagreements(whole, with_core(arch, ports=ports), frames, starts)
        assert (seed, found) == (seed, "")


@pytest.mark.parametrize("ports", ["reserved", "shared"])
@pytest.mark.parametrize("first", chunks(40))
def test_T31_input_periods(first: int, ports: str) -> None:
    for seed in range(first, first + 40):
        rng = np.random.default_rng(seed)
        whole, arch, frames, starts = random_program(rng)
        if not one_frame_at_a_time(whole):
            continue
        for period in (1, int(rng.integers(1, 400))):
            found = disagreements(whole, with_core(arch, ports=ports), frames, starts, period)
            assert (seed, found) == (seed, "")
