"""Two revisions compared by running each one's own code, and what goes wrong with that."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_revisions import MAIN, TABLE, commit, git, new_repository, program, put, worktrees

from spusim.experiments.behaviour import BehaviourError, read_run
from spusim.experiments.isa_diff import diff_record, diff_sides, find_side
from spusim.experiments.isa_diff_view import diff_markdown, diff_parts
from spusim.experiments.revisions import MOST_CACHES, RevisionError, checked_out, find_revision
from spusim.experiments.tables import rendered
from spusim.isa import IsaError

CLI = "from spusim.cli.main import main; main()"
CODE = "spusim/cli/main.py"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return new_repository(tmp_path / "repository")


def diff(repository, a="HEAD~1", b="HEAD", run=True):
    """Return a diff; see that no worktree is left."""
    told: list[str] = []
    sides = (find_side(name, repository) for name in (a, b))
    found = diff_sides(*sides, told.append, run)
    assert len(worktrees(repository)) == 1
    assert not [*repository.parent.glob("cache/spusim/revisions/*/tree")]
    return found


def changes(found) -> dict[str, str]:
    return {change.name: change.change for change in found.behaviour.changes}


def test_equal_revisions_do_not_differ(repository):
    found = diff(repository, "HEAD", "main")
    assert found.exit_code == 0
    assert found.behaviour.compared == 2
    assert found.behaviour.changes == ()


def test_slower_code_differs_in_time_only(repository):
    commit(repository, {CODE: MAIN.replace("COST, SIGN, KNOWN = 10", "COST, SIGN, KNOWN = 11")})
    found = diff(repository)
    assert changes(found) == {"one": "time", "two": "time"}
    assert found.behaviour.changes[0].cycles == (20, 22)
    assert found.behaviour.changes[0].frames == 1
    assert found.behaviour.changes[0].stalls == {"core0.vector.busy": (20, 22)}
    assert found.behaviour.failing == {"one": "time", "two": "time"}
    assert found.exit_code == 3
    assert "+10.0 %" in diff_markdown(found)


def test_refreshed_goldens_do_not_hide_a_change_of_time(repository):
    commit(
        repository,
        {
            CODE: MAIN.replace("KNOWN = 10", "KNOWN = 11"),
            **program("one", "a b", 22),
            **program("two", "a", 11),
        },
    )
    found = diff(repository)
    assert changes(found) == {"one": "time", "two": "time"}
    assert found.behaviour.failing == {}
    assert found.behaviour.programs.refreshed == ("one", "two")
    assert found.behaviour.programs.edited == ()
    assert found.exit_code == 3


def test_other_values_and_other_counts(repository):
    commit(repository, {CODE: MAIN.replace("10, 1, [", "10, 2, [")})
    assert set(changes(diff(repository)).values()) == {"values"}
    assert diff(repository).exit_code == 4
    commit(repository, {CODE: MAIN.replace("4 * len", "5 * len")})
    found = diff(repository, "HEAD~2", "HEAD")
    assert set(changes(found).values()) == {"counts"}
    assert found.behaviour.changes[0].counts == {"vector_element": (8, 10)}
    assert found.exit_code == 3


def test_old_programs_that_the_new_code_refuses(repository):
    commit(
        repository,
        {CODE: MAIN.replace('["a", "b"]', '["a"]'), **program("one", "a a", 20)},
    )
    found = diff(repository)
    assert changes(found) == {"one": "refused"}
    assert found.behaviour.programs.edited == ("one",)
    assert found.behaviour.changes[0].error == "no b"
    assert found.behaviour.failing == {}
    assert found.exit_code == 4
    assert "one: no b" in rendered(diff_parts(found))
    back = diff(repository, "HEAD", "HEAD~1")
    assert changes(back) == {}


def test_a_new_version_refuses_old_goldens_and_still_the_programs_compare(repository):
    commit(
        repository,
        {
            CODE: MAIN.replace('"0.1"', '"0.2"').replace("KNOWN = 10", "KNOWN = 11"),
            **program("one", "a b", 22, "0.2"),
            **program("two", "a", 11, "0.2"),
        },
    )
    found = diff(repository)
    assert changes(found) == {"one": "time", "two": "time"}
    assert found.exit_code == 3


def test_golden_and_machine_that_come_to_disagree_differ_in_values(repository):
    commit(repository, {CODE: MAIN.replace('AGREE = "0.1", True', 'AGREE = "0.1", False')})
    found = diff(repository)
    assert changes(found) == {"one": "values", "two": "values"}
    assert "one: golden and machine disagree" in diff_markdown(found)
    assert found.exit_code == 4


def test_programs_added_removed_and_failing(repository):
    git(repository, "rm", "-q", "isa/programs/two.spuasm", "isa/programs/two.json")
    commit(repository, {**program("three", "b b", 20), **program("wrong", "b", 99)})
    found = diff(repository)
    programs = found.behaviour.programs
    assert (programs.added, programs.removed, programs.edited) == (("three", "wrong"), ("two",), ())
    assert found.behaviour.changes == ()  # two is run all the same, and is as before
    assert found.behaviour.failing == {"wrong": "time"}
    assert found.exit_code == 3
    commit(repository, {"unrelated": ""})
    assert diff(repository).exit_code == 0  # it failed before just so


def test_the_working_tree_counts_as_it_is(repository):
    put(repository, {CODE: MAIN.replace("KNOWN = 10", "KNOWN = 12")})
    for name in (".", "WORKTREE"):
        assert set(changes(diff(repository, "HEAD", name)).values()) == {"time"}
    assert git(repository, "status", "--porcelain") == f"M {CODE}"


def test_broken_encodings_weigh_more_than_time(repository):
    commit(
        repository,
        {
            CODE: MAIN.replace("KNOWN = 10", "KNOWN = 11"),
            "isa/spu.isa": TABLE.replace("b 0x02", "b 0x03"),
        },
    )
    found = diff(repository)
    assert found.exit_code == 4
    record = diff_record(found)
    assert record["encodings"]["old_binaries"]["kept"] is False
    assert record["b"]["kind"] == "revision" and len(record["b"]["commit"]) == 40


def test_a_table_and_a_revision_compare_encodings_only(repository):
    put(repository, {"mine.isa": TABLE.replace("b 0x02", "c 0x02").replace("Do b.", "Do c.")})
    found = diff(repository, "HEAD", "mine.isa")
    assert found.behaviour is None and not found.failure
    assert found.exit_code == 4
    assert diff(repository, "HEAD", "0.9").exit_code == 4
    assert diff(repository, "HEAD", "HEAD", run=False).exit_code == 0


# the cache of kernels


def test_a_revision_runs_at_the_same_place_and_time_stamp_again(repository):
    commit(repository, {"unrelated": "", "spusim/kernels/one.py": "x = 1\n"})
    commit(repository, {"unrelated": "more"})
    diff(repository)
    diff(repository)
    (seen,) = repository.parent.glob("cache/spusim/revisions/*/kernels/seen")
    lines = seen.read_text().splitlines()
    assert len(lines) == 4 and len(set(lines)) == 1


def test_caches_do_not_pile_up(repository):
    for n in range(MOST_CACHES + 3):
        commit(repository, {"spusim/kernels/one.py": f"x = {n}\n"})
        with checked_out(find_revision("HEAD", repository)):
            pass
    assert len([*repository.parent.glob("cache/spusim/revisions/*")]) == MOST_CACHES


def test_what_a_killed_diff_left_is_cleared(repository):
    with checked_out(find_revision("HEAD", repository)) as tree:
        home = tree.path
    put(home, {"spusim/cli/main.py": "wrong", "stray": ""})
    assert diff(repository, "HEAD", "main").exit_code == 0
    git(repository, "worktree", "add", "-q", "--detach", str(home))
    assert diff(repository, "HEAD", "main").exit_code == 0


# what goes wrong


def test_a_revision_without_the_command_still_compares_encodings(repository):
    commit(
        repository,
        {
            CODE: "import sys\n\n\ndef main():\n    sys.exit(\"No such command 'test'.\")\n",
            "isa/spu.isa": TABLE + 'c 0x03 vector "C."\n',
        },
    )
    found = diff(repository)
    assert found.failure == "HEAD: its spusim has no `isa test` yet; take a later revision"
    assert [c.kind for c in found.tables.changes] == ["added"]
    assert found.exit_code == 1
    assert found.failure in rendered(diff_parts(found))
    commit(repository, {"isa/spu.isa": TABLE.replace("b 0x02", "b 0x03")})
    assert diff(repository).exit_code == 4


FAILING = {
    "a traceback": ("def main():\n    1 / 0\n", "ZeroDivisionError"),
    "garbage": ("def main():\n    print('hm')\n", "gave no results (exit code 0):\nhm"),
    "other form": ("def main():\n    print('[]')\n", "are not of a known form"),
    "other schema": (
        'def main():\n    print(\'{"schema_version": 2, "programs": {}}\')\n',
        "have schema 2, this spusim reads 1",
    ),
}


@pytest.mark.parametrize("code, message", FAILING.values(), ids=FAILING.keys())
def test_a_run_that_fails_is_told(repository, code, message):
    commit(repository, {CODE: code})
    found = diff(repository)
    assert message in found.failure
    assert found.exit_code == 1


def test_a_revision_without_programs_or_code(repository):
    git(repository, "rm", "-qr", "isa/programs")
    commit(repository, {})
    assert "HEAD: has no isa/programs" in diff(repository).failure
    git(repository, "rm", "-qr", "spusim")
    commit(repository, {})
    assert "HEAD: has no spusim/cli/main.py" in diff(repository, "HEAD", "HEAD").failure


def test_the_result_of_another_package_is_not_taken(repository, tmp_path):
    # a namespace package: the installed spusim would be found instead
    git(repository, "rm", "-q", "spusim/__init__.py")
    commit(repository, {})
    assert "was imported, not the package of" in diff(repository).failure


@pytest.mark.parametrize("name", ["nowhere", "HEAD~99", "--help", "0.8", "", "HEAD:isa"])
def test_an_unknown_name_is_refused(repository, name):
    with pytest.raises(
        RevisionError,
        match=r"is no table file, no version that ships \(0\.9, 0\.10\) and no revision",
    ):
        find_side(name, repository)


def test_outside_a_repository_there_are_no_revisions(tmp_path):
    with pytest.raises(RevisionError, match="lies in no git repository"):
        find_side("HEAD", tmp_path)
    with pytest.raises(IsaError, match=r"none\.isa: cannot be read"):
        find_side("none.isa", tmp_path)


def test_a_revision_without_a_table_or_with_a_wrong_one(repository):
    commit(repository, {"isa/spu.isa": TABLE + 'b 0x03 vector "B."\n'})
    with pytest.raises(IsaError, match=r"^HEAD:isa/spu\.isa:6: instruction 'b' is already defined"):
        find_side("HEAD", repository)
    git(repository, "rm", "-q", "isa/spu.isa")
    commit(repository, {})
    with pytest.raises(RevisionError, match=r"HEAD: has no isa/spu\.isa"):
        find_side("HEAD", repository)


def test_a_place_that_cannot_be_written_is_an_error(repository, monkeypatch):
    (repository / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(repository / "file"))
    sides = (find_side("HEAD", repository), find_side("main", repository))
    with pytest.raises(NotADirectoryError):
        diff_sides(*sides, lambda line: None)


def test_a_user_without_a_home_is_told(repository, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    with (
        pytest.raises(RevisionError, match="set XDG_CACHE_HOME to a folder"),
        checked_out(find_revision("HEAD", repository)),
    ):
        pass


def test_ctrl_c_removes_the_worktree(repository):
    commit(repository, {CODE: "import time\n\n\ndef main():\n    time.sleep(60)\n"})
    diffing = subprocess.Popen(
        [sys.executable, "-c", CLI, "isa", "diff", "HEAD", "HEAD~1"],
        cwd=repository / "isa",  # in the repository itself, Python would start its spusim
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    assert "HEAD: running its own programs" in diffing.stderr.readline()
    until = time.monotonic() + 30
    while len(worktrees(repository)) == 1 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(worktrees(repository)) == 2
    diffing.send_signal(signal.SIGINT)
    out, err = diffing.communicate(timeout=30)
    assert (diffing.returncode, out) == (130, "")
    assert err == "error: interrupted; nothing was written\n"
    assert len(worktrees(repository)) == 1


def test_results_that_are_cut_short_are_no_results():
    assert read_run('{"schema_version": 1, "programs"') is None
    with pytest.raises(BehaviourError, match=r"programs\.x\.verdict"):
        read_run('{"schema_version": 1, "programs": {"x": {"verdict": "fine"}}}')
