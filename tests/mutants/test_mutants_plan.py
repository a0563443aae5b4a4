"""The list of planted faults is in step with the sources; `make mutants` tries them."""

from pathlib import Path

import pytest
from plant import KERNELS, ROOT, Mutant, PlanError, load_plan, planted

PLAN = load_plan()


@pytest.mark.parametrize("mutant", PLAN, ids=[mutant.name for mutant in PLAN])
def test_every_fault_has_its_place(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    assert planted(mutant, text) != text
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.tests)


def test_faults_are_many_and_in_all_implementations() -> None:
    assert len(PLAN) >= 25
    assert len({mutant.name for mutant in PLAN}) == len(PLAN)
    files = {mutant.file for mutant in PLAN}
    for room in (KERNELS, "spusim/machine/", "spusim/golden/", "tests/stepper/", "tests/rtl/"):
        assert any(file.startswith(room) for file in files), room


def test_a_stale_fault_is_refused() -> None:
    stale = Mutant("stale", "", "x.py", "not there", "there", ())
    with pytest.raises(PlanError, match=r"stands 0 times in x\.py"):
        planted(stale, Path(__file__).read_text().replace("not there", ""))
