"""The machine's clock against the plain model of `chip_model`, cycle for cycle, cause for cause."""

import numpy as np
import pytest
from chip_model import ChipModel, comparable
from random_programs import random_program

from spusim.machine import run

CHUNK = 10


@pytest.mark.parametrize("first", range(0, 160, CHUNK))
def test_T18_T21_to_T32_every_cycle_of_sequencers_routers_and_host(first: int) -> None:
    for seed in range(first, first + CHUNK):
        whole, arch, frames, starts = random_program(np.random.default_rng(seed))
        expected = ChipModel(whole, arch, frames, starts).figures()
        found = comparable(run(whole, arch, frames, starts))
        assert (seed, found) == (seed, expected)


@pytest.mark.parametrize("seed", [5, 14, 20, 34, 40, 44, 49, 55])
def test_T31_input_periods(seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole, arch, frames, starts = random_program(rng)
    period = int(rng.integers(1, 400))
    if arch.cores > 1:  # threads of several cores would not be ordered by outputs any more
        pytest.skip("needs a program of one core")
    expected = ChipModel(whole, arch, frames, starts, period).figures()
    assert comparable(run(whole, arch, frames, starts, period)) == expected
