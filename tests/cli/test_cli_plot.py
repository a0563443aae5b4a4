"""`spusim plot`, and what it says when something is wrong."""

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))

import plot_folders as folders

QUEUES = ["queue_depth", "energy", "stalls", "bank_occupancy", "roofline"]


@pytest.fixture
def results(tmp_path):
    return folders.queues(tmp_path / "q")


def test_figures_lie_in_the_results_unless_told(spusim, results):
    result = spusim("plot", str(results), "--dpi", "60")
    assert result.exit_code == 0, result.output
    place = results / "figures"
    assert f"written to {place}, each with .svg and .csv: queue_depth.png" in result.stdout
    written = {path.name for path in place.iterdir()}
    assert {f"{name}.{kind}" for name in QUEUES for kind in ("png", "svg", "csv")} <= written
    told = json.loads((place / "figures.json").read_text())
    assert set(told["files"]) == written - {"figures.json"}


def test_only_those_named_beside_files_of_others(spusim, results, tmp_path):
    mine = tmp_path / "paper"
    mine.mkdir()
    (mine / "draft.tex").write_text("mine")
    command = ("plot", str(results), "-o", str(mine), "--dpi", "60")
    assert spusim(*command, "--figure", "energy,roofline").exit_code == 0
    first = (mine / "energy.svg").read_bytes()
    assert spusim(*command, "--figure", "energy", "--figure", "stalls").exit_code == 0
    assert (mine / "energy.svg").read_bytes() == first
    assert sorted(path.stem for path in mine.glob("*.png")) == ["energy", "roofline", "stalls"]
    assert (mine / "draft.tex").read_text() == "mine"
    told = json.loads((mine / "figures.json").read_text())
    assert sorted(told["figures"]) == ["energy", "roofline", "stalls"]


def test_a_figure_of_others_is_not_overwritten(refused, results, tmp_path):
    (tmp_path / "energy.png").write_bytes(b"mine")
    said = refused("plot", str(results), "-o", str(tmp_path))
    assert "energy.png: is there already, and was not drawn by `spusim plot`" in said


def test_list_draws_nothing(spusim, results):
    result = spusim("plot", str(results), "--list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()[3:]
             if line[:1].strip()}  # fmt: skip
    assert lines["queue_depth"] == "yes"
    assert lines["formats"] == "no"
    assert not (results / "figures").exists()


def test_an_interrupted_sweep_with_failed_points(spusim, tmp_path):
    rows = [folders.point(n, {"core.queue.depth": 2**n}) for n in range(3)]
    rows[2] = {k: rows[2][k] for k in ("point", "key", "part", "core.queue.depth")} | {
        "status": "failed", "error": "does not fit",
    }  # fmt: skip
    folder = folders.write_results(tmp_path / "f", rows, ["core.queue.depth"], planned=10)
    result = spusim("plot", str(folder), "--figure", "queue_depth", "--dpi", "60")
    assert result.exit_code == 0
    assert result.stderr == "2 of 10 points drawn: 1 failed, 7 not computed yet\n"


def test_a_run(spusim, folder):
    assert spusim("run", "run.yaml", "-o", "out").exit_code == 0
    result = spusim("plot", "out", "--dpi", "60")
    assert result.exit_code == 0, result.output
    assert sorted(p.stem for p in Path("out/figures").glob("*.png")) == [
        "bank_occupancy", "energy", "roofline", "stalls",
    ]  # fmt: skip
    # the folder is still a run's, which can be written again
    assert spusim("run", "run.yaml", "-o", "out").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--figure", "quue_depth"], "did you mean queue_depth"),
        (["--figure", "xyz"], "there is no figure of that name; known: speedup_vs_sparsity"),
        (["--figure", "formats"], "figure formats needs axis core.sparse.format"),
        (["--dpi", "5"], "--dpi (=5) must be from 50 to 1200"),
        (["--dpi", "nan"], "--dpi (=nan) must be from 50 to 1200"),
    ],
)
def test_wrong_words(refused, results, words, said):
    assert said in refused("plot", str(results), *words)


def test_no_results(refused, tmp_path):
    assert "is no folder" in refused("plot", str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    said = refused("plot", str(tmp_path / "empty"))
    assert "holds neither sweep.json nor result.json" in said
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text("{}")
    assert "result.json: is no result of a run, or damaged" in refused(
        "plot", str(tmp_path / "run")
    )


def test_nothing_finished(refused, tmp_path):
    empty = folders.write_results(tmp_path / "none", [], [], planned=4)
    assert "has no finished point yet; run the sweep again" in refused("plot", str(empty))
    row = {"point": 0, "key": folders.key(0), "part": "net", "status": "failed",
           "error": "core 0 needs 9 words of 8"}  # fmt: skip
    failed = folders.write_results(tmp_path / "failed", [row], [])
    assert "1 failed, the first with: core 0 needs 9 words of 8" in refused("plot", str(failed))


def test_a_lost_record_costs_only_the_figures_that_need_it(spusim, refused, results):
    shutil.rmtree(results / "points")
    assert "cannot be read" in refused("plot", str(results), "--figure", "roofline")
    result = spusim("plot", str(results), "--dpi", "60")
    assert result.exit_code == 0
    drawn = {path.stem for path in (results / "figures").glob("*.png")}
    assert {"queue_depth", "energy", "stalls"} <= drawn
    assert "roofline" not in drawn


def test_a_file_in_the_way(refused, results, tmp_path):
    (tmp_path / "file").write_text("")
    assert "name a folder" in refused("plot", str(results), "-o", str(tmp_path / "file"))
