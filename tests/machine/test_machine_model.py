"""The machine's clock against the plain model of `chip_model`, cycle for cycle, cause for cause."""

import numpy as np
import pytest
from chip_model import ChipModel, comparable
from random_programs import HEAD, random_program

from spusim.machine import run

CHUNK = 10


@pytest.mark.parametrize("first", range(0, 160, CHUNK))
def test_T18_T21_to_T32_every_cycle_of_sequencers_routers_and_host(first: int) -> None:
    for seed in range(first, first + CHUNK):
        whole, arch, frames, starts = random_program(np.random.default_rng(seed))
        expected = ChipModel(whole, arch, frames, starts).figures()
        found = comparable(run(whole, arch, frames, starts))
        assert (seed, found) == (seed, expected)


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_T31_input_periods(first: int) -> None:
    for seed in range(first, first + 40):
        rng = np.random.default_rng(seed)
        whole, arch, frames, starts = random_program(rng)
        # where a core's head also waits for its last join, early frames do no harm
        if arch.cores > 1 or whole.cores[0].threads[HEAD].tokens < 2:
            continue
        period = int(rng.integers(1, 400))
        expected = ChipModel(whole, arch, frames, starts, period).figures()
        assert (seed, comparable(run(whole, arch, frames, starts, period))) == (seed, expected)
