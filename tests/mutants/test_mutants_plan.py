"""The list of planted faults is in step with the sources; `make mutants` tries them."""

from pathlib import Path

import pytest
from plant import (
    CRASHED,
    KERNELS,
    NO_END,
    ROOT,
    Mutant,
    Nursery,
    PlanError,
    Verdict,
    load_plan,
    planted,
    remember,
    remembered,
)

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


def test_what_caught_a_fault_is_kept_for_it() -> None:
    known = remembered()
    assert {*known} <= {mutant.name for mutant in PLAN}
    assert all((ROOT / test.partition("::")[0]).exists() for test in known.values())


def test_what_caught_is_remembered_until_it_does_not(tmp_path: Path) -> None:
    kept, (first, second, third) = tmp_path / "caught.json", PLAN[:3]
    names = [mutant.name for mutant in PLAN]
    remember([Verdict(first, "a.py::one", 1.0), Verdict(second, "b.py::two", 1.0)], names, kept)
    remember([Verdict(second, None, 1.0), Verdict(third, NO_END, 1.0)], names, kept)
    assert remembered(kept) == {first.name: "a.py::one"}
    remember([], [second.name], kept)
    assert remembered(kept) == {}


SMALL = "NUMBER = 1\n\n\ndef number():\n    return NUMBER\n"
ITS_TESTS = """
import pytest
from number import number


@pytest.mark.parametrize("value", [1, 2])
def test_number(value):
    assert number() <= value


def test_another():
    assert number() != 0


"""
FAILING = "\n\ndef test_fails():\n    assert number() == 3\n"


@pytest.fixture
def nursery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nursery:
    """Return a nursery of another project."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "number.py").write_text(SMALL)
    (project / "test_number.py").write_text(ITS_TESTS)
    monkeypatch.setattr("plant.ROOT", project)
    return Nursery(tmp_path / "nursery")


def fault(find: str, replace: str, test: str = "test_number.py") -> Mutant:
    return Mutant("fault", "", "number.py", find, replace, (test,))


def test_a_fault_is_caught_and_taken_out_again(nursery: Nursery) -> None:
    larger, harmless = fault("= 1", "= 2"), fault("= 1", "= +1")
    assert nursery.try_out(larger, None).caught_by == "test_number.py::test_number[1]"
    assert (nursery.root / "number.py").read_text() == SMALL
    assert nursery.try_out(harmless, None).caught_by is None


def test_what_caught_it_last_time_runs_first_and_others_if_it_passes(nursery: Nursery) -> None:
    nursery.check_clean(["test_number.py::test_number[2]", "test_number.py::test_another"])
    largest = fault("NUMBER = 1", "NUMBER = 3")
    last = "test_number.py::test_number[2]"
    assert nursery.try_out(largest, last).caught_by == last
    last = "test_number.py::test_another"
    assert nursery.try_out(largest, last).caught_by == "test_number.py::test_number[1]"


def test_a_test_that_fails_without_a_fault_catches_nothing(nursery: Nursery) -> None:
    tests = nursery.root / "test_number.py"
    tests.write_text(tests.read_text() + FAILING)
    with pytest.raises(PlanError, match=r"test_fails fails without any fault"):
        nursery.try_out(fault("return NUMBER", "return 1"), None)
    with pytest.raises(PlanError, match=r"test_fails fails without any fault"):
        nursery.check_clean(["test_number.py::test_fails"])


def test_what_does_not_even_run_is_no_fault(nursery: Nursery) -> None:
    with pytest.raises(PlanError, match=r"cannot run what is planted \(SyntaxError\)"):
        nursery.try_out(fault("return NUMBER", "return return"), None)


def test_what_never_ends_is_caught(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plant.LIMITED", ("sh", "-c", 'ulimit -t 3; exec "$@"', "sh"))
    forever = fault("    return NUMBER", "    while True:\n        pass")
    assert nursery.try_out(forever, None).caught_by == NO_END


def test_what_ends_the_process_is_caught_unless_it_ends_without_a_fault(nursery: Nursery) -> None:
    crash = fault("    return NUMBER", "    import os\n    os.abort()")
    assert nursery.try_out(crash, None).caught_by == CRASHED
    tests = nursery.root / "test_number.py"
    tests.write_text("import os\n" + tests.read_text() + "\n\ndef test_ends():\n    os.abort()\n")
    nursery._clean.clear()  # it has seen them pass
    with pytest.raises(PlanError, match="fails without any fault"):
        nursery.try_out(crash, None)


def test_tests_that_are_gone_are_left_out(nursery: Nursery) -> None:
    there = "test_number.py::test_number[2]"
    gone = ["test_number.py::test_none", "test_number.py::test_number[7]", "test_gone.py::test_x"]
    assert nursery.exist([there, *gone]) == [there]
