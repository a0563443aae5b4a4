"""The soak draws what its seeds say, finds what differs, and says how to see it again."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rooms
import soak
import tally
from chip_generators import Case
from soak_kinds import KINDS, Differs

PROJECT = rooms.TESTS.parent
SCRIPT = Path("tests/agreement/soak.py")
TOOLS = KINDS["engine"].missing()


@pytest.mark.parametrize("name", KINDS)
def test_a_seed_is_a_program(name: str) -> None:
    kind = KINDS[name]
    assert repr(kind.draw(7)) == repr(kind.draw(7))
    assert repr(kind.draw(7)) != repr(kind.draw(8))


@pytest.mark.parametrize("name", KINDS)
def test_programs_of_a_kind_pass_and_count(name: str) -> None:
    if KINDS[name].missing():
        pytest.skip(str(KINDS[name].missing()))
    rows, failures = soak.run_batch((name, (1, 2)))
    assert failures == []
    ((programs, cycles),) = rows.values()
    assert programs == 2
    assert cycles > 0


def test_batches_come_from_the_seed_and_are_fresh() -> None:
    first = [next(soak.batches(1, ["products"])) for _ in range(2)]
    assert first[0] == first[1]
    source = soak.batches(1, ["products", "programs"])
    drawn = [next(source) for _ in range(4)]
    assert [name for name, _ in drawn] == ["products", "programs"] * 2
    seeds = [seed for _, batch in drawn for seed in batch]
    assert len(set(seeds)) == len(seeds)
    assert next(soak.batches(2, ["products"])) != first[0]


def test_a_failing_program_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = KINDS["programs"]

    def compare(program: Case) -> None:
        if "vqs" in repr(program) or "spmv" in repr(program):
            raise Differs("planted")

    seed = next(s for s in range(100) if "spmv" in repr(kind.draw(s)))
    monkeypatch.setattr(kind, "compare", compare)
    rows, (failure,) = soak.run_batch(("programs", (seed,)))
    assert rows == {}
    assert failure.report.startswith("Differs: planted\nsmallest program")
    before, after = repr(kind.draw(seed)), failure.report
    words = re.compile("vqs|spmv")
    assert len(words.findall(after)) == 1 <= len(words.findall(before))
    assert len(re.findall("vadd|vsub|vmul|vmax|vmin|vmov|vlut|dmv", after)) == 0
    assert failure.command == f"python {SCRIPT} --repeat programs {seed}"


def test_an_engine_program_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = KINDS["engine"]

    def compare(program: tuple[int, object]) -> None:
        if program[1].columns >= 3:  # type: ignore[attr-defined]
            raise Differs("planted")

    monkeypatch.setattr(kind, "compare", compare)
    seed = next(s for s in range(50) if kind.failure(kind.draw(s)))
    report = kind.report(seed)
    assert "columns=3," in report
    assert "rows=1," in report


def test_a_failure_ends_with_1_and_no_programs_do_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = KINDS["products"]
    assert soak.main(["--repeat", "products", "3"]) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out

    def compare(program: object) -> None:
        raise Differs("planted")

    monkeypatch.setattr(kind, "compare", compare)
    assert soak.main(["--repeat", "products", "3"]) == 1
    told = capsys.readouterr().out
    assert "Differs: planted" in told
    assert "0 passed, 1 failed" in told


@pytest.mark.parametrize(
    "words", [["--minutes", "0"], ["--minutes", "nan"], ["--jobs", "0"], ["--repeat", "x", "1"]]
)
def test_bad_values_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        soak.main(words)
    assert words[0] in capsys.readouterr().err


def test_a_soak_prints_seed_and_table_and_ends_at_ctrl_c() -> None:
    command = [sys.executable, str(SCRIPT), "--minutes", "9", "--jobs", "1", "--only", "products"]
    run = subprocess.Popen(
        [*command, "--seed", "5"], cwd=PROJECT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, start_new_session=True,
    )  # fmt: skip
    assert run.stdout is not None
    try:
        first = run.stdout.readline()
        time.sleep(4)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all processes
        told, _ = run.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    assert "seed 5: products, 9 min" in first
    assert run.returncode == 0
    assert re.search(r"^single products +stepper, machine +[\d,]+ +[\d,]+$", told, re.MULTILINE)
    assert re.search(r"^\d+ passed, 0 failed in \d+ s, seed 5$", told, re.MULTILINE)


# --- the tally


def test_rows_add_up() -> None:
    tally.take()
    tally.compared("engine programs", 10)
    tally.compared("engine programs", 20)
    rows = tally.take()
    assert rows == {"engine programs": (2, 30)}
    assert tally.take() == {}
    both = tally.total([rows, rows, {"whole programs": (1, 5)}])
    assert list(both.items()) == [("whole programs", (1, 5)), ("engine programs", (4, 60))]
    *_, last = tally.table_lines(both)
    assert last.split() == ["all", "5", "65"]
