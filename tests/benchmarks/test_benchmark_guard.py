"""`make bench-check`: what it passes and fails, without timing anything."""

import json
from pathlib import Path

import pytest

from benchmarks import check, guard
from benchmarks.guard import Recorded
from benchmarks.rows import Row
from benchmarks.show import as_markdown

RECORDED = {
    "ours over theirs": Recorded(0.5, "lower", 1.4),
    "times faster": Recorded(10.0, "higher", 1.25),
}


def rows(lower: float = 0.5, higher: float = 10.0) -> list[Row]:
    """Return both rows as measured."""
    return [
        Row("ours over theirs", lower, sense="<="),
        Row("times faster", higher, sense=">=", target=5.0),
    ]


def passed(found: list[guard.Verdict]) -> list[bool]:
    """Return who passed."""
    return [each.passed for each in found]


def never() -> bool:
    """Refuse another measurement."""
    return False


def test_equal_figures_pass_and_so_do_better_ones() -> None:
    assert passed(guard.judge(rows(), RECORDED)) == [True, True]
    assert passed(guard.judge(rows(0.1, 90.0), RECORDED)) == [True, True]


def test_a_slowdown_beyond_the_tolerance_fails_in_either_sense() -> None:
    assert passed(guard.judge(rows(0.69, 8.01), RECORDED)) == [True, True]
    assert passed(guard.judge(rows(0.71, 7.9), RECORDED)) == [False, False]
    assert guard.judge(rows(0.75), RECORDED)[0].worse == pytest.approx(1.5)
    assert guard.judge(rows(higher=5.0), RECORDED)[1].worse == pytest.approx(2.0)


def test_a_failing_group_is_measured_again_and_its_best_figures_count() -> None:
    told = iter([rows(0.9, 5.0), rows(0.5, 5.0), rows(0.9, 10.0)])
    found = guard.check({"g": lambda: next(told)}, RECORDED, lambda: True)
    assert passed(found) == [True, True]
    assert next(told, None) is None


def test_what_stays_slow_fails_after_three_measurements() -> None:
    calls: list[int] = []

    def slow() -> list[Row]:
        calls.append(1)
        return rows(0.9)

    assert passed(guard.check({"g": slow}, RECORDED, lambda: True)) == [False, True]
    assert len(calls) == 3
    assert passed(guard.check({"g": slow}, RECORDED, never)) == [False, True]
    assert len(calls) == 4


def test_a_group_that_passes_is_measured_once() -> None:
    told = iter([rows()])
    assert passed(guard.check({"g": lambda: next(told)}, RECORDED, lambda: True)) == [True, True]


def test_rows_that_only_one_side_knows_fail() -> None:
    new = guard.check({"g": lambda: [Row("new", 1.0, sense="<=")]}, RECORDED, never)
    assert passed(new) == [False]
    assert new[0].worse is None
    lost = guard.missing(new, RECORDED)
    assert lost == list(RECORDED)
    assert guard.closing_line(new, lost, 4.4) == "0 passed, 3 failed in 4 s"


def test_the_tolerance_comes_from_the_spread_of_the_runs() -> None:
    steady = guard.record([rows(), rows(), rows()])
    assert steady["times faster"] == Recorded(10.0, "higher", guard.LEAST)
    # the largest deviation, 20 % downwards, may be an accident; the next is 10 %
    noisy = guard.record([rows(higher=8.0), rows(), rows(higher=11.0)])
    assert noisy["times faster"] == Recorded(10.0, "higher", 1 + guard.SPREADS * 0.1)
    assert noisy["ours over theirs"].better == "lower"
    assert all(passed(guard.judge(rows(higher=8.0), noisy)))
    wild = guard.record([rows(higher=ratio) for ratio in (1.0, 2.0, 10.0, 30.0, 50.0)])
    assert wild["times faster"].tolerance == guard.MOST


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    guard.save(path, RECORDED, {"runs": 5})
    assert guard.load(path) == (RECORDED, {"runs": 5})


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"rows": {}}', '{"how": {}, "rows": {"a": {"ratio": 1.0}}}']
)
def test_a_bad_file_is_told_with_its_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recorded.json"
    path.write_text(text)
    with pytest.raises(guard.GuardError, match=r"recorded\.json.*make bench-record"):
        guard.load(path)
    with pytest.raises(guard.GuardError, match="nothing has been recorded"):
        guard.load(tmp_path / "none.json")


def run(monkeypatch: pytest.MonkeyPatch, path: Path, *arguments: str, lower: float = 0.5) -> int:
    """Run the command on measurements that are given."""
    monkeypatch.setattr(check, "RECORDED", path)
    monkeypatch.setattr(check, "GROUPS", {"g": lambda: rows(lower)})
    monkeypatch.setattr("sys.argv", ["check", *arguments])
    return check.main()


def test_the_command_passes_equal_figures_and_fails_a_planted_slowdown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recorded.json"
    assert run(monkeypatch, path) == 1
    assert "make bench-record" in capsys.readouterr().err
    assert run(monkeypatch, path, "--record") == 0
    assert json.loads(path.read_text())["how"]["runs"] == check.RUNS
    assert run(monkeypatch, path) == 0
    assert capsys.readouterr().out.rstrip().splitlines()[-1].startswith("2 passed, 0 failed in ")
    assert run(monkeypatch, path, lower=0.5 * guard.LEAST + 0.01) == 1
    told = capsys.readouterr().out
    assert told.rstrip().splitlines()[-1].startswith("1 passed, 1 failed in ")
    assert "FAILED" in told


def test_one_group_can_be_recorded_and_compared_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recorded.json"
    guard.save(path, {"other": Recorded(3.0, "lower", 1.3)}, {})
    other = {"other": lambda: [Row("other", 9.0, sense="<=")], "g": rows}
    monkeypatch.setattr(check, "GROUPS", other)
    monkeypatch.setattr(check, "RECORDED", path)
    for arguments, code in ((["--record", "g"], 0), (["g"], 0), ([], 1)):
        monkeypatch.setattr("sys.argv", ["check", *arguments])
        assert check.main() == code, arguments
    assert set(guard.load(path)[0]) == {"other", "ours over theirs", "times faster"}
    assert guard.load(path)[0]["other"].ratio == 3.0
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["check", "h"])
    with pytest.raises(SystemExit):
        check.main()
    assert "no group h; there are: other; g" in capsys.readouterr().err


def test_the_file_in_the_repository_can_be_compared_with() -> None:
    recorded, how = guard.load(Path(check.__file__).with_name("recorded.json"))
    assert how["command"] == "make bench-record" and how["processor"]
    assert len(recorded) >= 15
    assert all(guard.LEAST <= each.tolerance <= guard.MOST for each in recorded.values())


def test_rows_tell_targets_stretches_and_distances() -> None:
    met = Row("a", 0.15, "x", "<=", 0.2, stretch=0.1)
    assert (met.wanted, met.verdict, met.met) == ("<= 0.2 (0.1) x", "met by 33 %", True)
    missed = Row("b", 4.0, "M/s", ">=", 10.0)
    assert (missed.verdict, missed.met) == ("MISSED by a factor of 2.5", False)
    assert Row("c", 1.0).verdict == "reported"
    table = as_markdown([met, missed, Row("c", 1.0)])
    assert "| b | >= 10 M/s | 4.00 M/s | MISSED by a factor of 2.5 |" in table
    assert "| c |" not in table
