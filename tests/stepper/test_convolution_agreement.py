"""The machine's convolutions against the naive stepper: values, cycles, and every stall."""

import pytest
from convolution_agreement import machine_time, machine_values, random_conv
from convolution_stepper import step
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = 250
DATAFLOWS = ("row", "pixel")


def nonzero(stalls: dict) -> dict:
    return {unit: {k: v for k, v in causes.items() if v} for unit, causes in stalls.items()}


def assert_agrees(seed: int, dataflow: str) -> None:
    case = random_conv(seed, dataflow)
    stepped, timed = step(case), machine_time(case)
    assert timed.cycles == stepped.cycles, case
    assert nonzero(timed.stalls()) == stepped.stalls, case
    assert machine_values(case) == stepped.values, case
    assert all(sum(causes.values()) == timed.cycles for causes in timed.stalls().values())


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_seeded_convolutions_agree(dataflow: str) -> None:
    for seed in range(SEEDS):
        assert_agrees(seed, dataflow)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(SEEDS, 2**40), st.sampled_from(DATAFLOWS))
def test_generated_convolutions_agree(seed: int, dataflow: str) -> None:
    assert_agrees(seed, dataflow)
