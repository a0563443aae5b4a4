"""Whole programs: stepper, machine and golden agree on values, stepper and machine on all else."""

from chip_agreement import disagreements
from chip_generators import Drawn, random_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PROGRAMS = 200


@settings(
    max_examples=PROGRAMS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
)
@given(st.data())
def test_generated_programs_agree(data: st.DataObject) -> None:
    case = random_case(Drawn(data.draw))
    assert disagreements(*vars(case).values()) == ""
