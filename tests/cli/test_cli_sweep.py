"""`spusim sweep`, as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spusim.experiments.results import load_results
from spusim.experiments.sweep.file import SCHEMA_FILE, list_sweeps, sweep_schema
from spusim.resources import shipped

SWEEP = """\
description: for tests
target: run.yaml
grid:
  core.queue.depth: [1, 2]
  prune.density: {from: 0.25, to: 1, steps: 4}
"""


@pytest.fixture
def swept(folder: Path) -> Path:
    (folder / "s.yaml").write_text(SWEEP)
    return folder


def test_dry_run_tells_points_and_axes_and_writes_nothing(swept, spusim):
    before = sorted(swept.rglob("*"))
    result = spusim("sweep", "s.yaml", "--dry-run")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == ["s: 8 points", "for tests"]
    assert any("core.queue.depth" in s and "columns a PE's queue holds" in s for s in lines)
    assert any("0.25, 0.5, 0.75, 1" in s and "fraction of elements" in s for s in lines)
    assert sorted(swept.rglob("*")) == before


@pytest.mark.parametrize("name", list_sweeps())
def test_shipped_sweeps_tell_what_they_do(folder, spusim, name):
    result = spusim("sweep", name, "--dry-run")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{name}: ") and lines[0].endswith(" points")
    parts = [line for line in lines if "; " in line and " points" in line and " on " in line]
    total = sum(int(line.partition("; ")[2].partition(" ")[0]) for line in parts)
    assert lines[0] == f"{name}: {total} points"
    assert max(map(len, lines)) <= 110


def test_a_sweep_is_run_then_read(swept, spusim):
    first = spusim("sweep", "s.yaml", "--jobs", "1")
    assert first.exit_code == 0, first.stderr
    assert "8 points: 8 computed, 0 read from results/s, 0 failed" in first.stdout
    assert "written: results/s/results.parquet, results/s/results.csv" in first.stdout
    table = load_results(swept / "results/s").table
    assert table["status"].to_list() == ["done"] * 8
    assert table["accuracy"].null_count() == 8  # the stream has no labels
    again = spusim("sweep", "s.yaml")
    assert "0 computed, 8 read from results/s" in again.stdout
    assert again.exit_code == 0


def test_a_failed_point_makes_exit_code_1_after_the_others(swept, spusim):
    (swept / "s.yaml").write_text(SWEEP + "  core.data_memory.words: [16, 2048]\n")
    result = spusim("sweep", "s.yaml", "--jobs", "1", "-o", "out")
    assert result.exit_code == 1
    assert "8 points failed, the others are stored" in result.stderr
    assert "point 0 (core.queue.depth=1, prune.density=0.25, core.data_memory" in result.stderr
    assert load_results("out").done.height == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("s.yaml", "--jobs", "0"), "--jobs (=0) must be at least 1"),
        (("s.yaml", "--jobs", "2", "--scheduler", "tcp://x:1"), "drop it or --scheduler"),
        (("speedup_vs_sparsty",), "did you mean speedup_vs_sparsity"),
        (("none.yaml",), "none.yaml: no such file"),
        (("s.yaml", "-o", "mini.yaml"), "mini.yaml: is a file"),
        (("s.yaml", "-o", "."), "holds files, but no result.json"),
    ],
)
def test_mistakes_are_one_message(swept, refused, words, message):
    assert message in refused("sweep", *words)


def test_a_million_points_take_yes(swept, refused, spusim):
    large = SWEEP + "  core.accumulators: {from: 1, to: 200000, by: 1}\n"
    (swept / "s.yaml").write_text(large)
    assert "s.yaml:1: s has 1,600,000 points, more than 10,000" in refused("sweep", "s.yaml")
    told = spusim("sweep", "s.yaml", "--dry-run")
    assert told.stdout.startswith("s: 1,600,000 points")


def test_sweeps_are_listed(spusim):
    told = json.loads(spusim("list", "--json").stdout)
    assert "speedup_vs_sparsity" in told["sweeps"]


def test_the_committed_schema_is_current():
    committed = (shipped("configs") / "sweeps" / SCHEMA_FILE).read_text()
    assert committed == json.dumps(sweep_schema(), indent=2) + "\n", (
        "refresh it: python -c 'from spusim.experiments.sweep.file import write_schema as w; w()'"
    )


def test_other_commands_do_not_load_what_sweeps_need():
    code = "import spusim.cli.app, sys; print({'polars', 'distributed'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_processes_are_made_ready_early_only_where_something_is_likely_computed(
    swept, spusim, monkeypatch
):
    early, ran = [], []
    monkeypatch.setattr("spusim.cli.sweep.start_server", lambda: early.append(1))
    monkeypatch.setattr("spusim.cli.sweeping.run", lambda *options: ran.append(options))

    def starts(*words):
        early.clear()
        assert spusim("sweep", *words).exit_code == 0
        return len(early)

    assert starts("s.yaml") == starts("queue_depth") == starts("s.yaml", "--jobs", "3") == 1
    assert starts("s.yaml", "--dry-run") == starts("s.yaml", "--scheduler", "tcp://x:1") == 0
    assert starts("none.yaml") == 0
    for folder in ("results/s", "out"):
        (swept / folder).mkdir(parents=True)
        (swept / folder / "results.parquet").touch()
    assert starts("s.yaml") == starts("s.yaml", "-o", "out") == 0
    assert starts("s.yaml", "-o", "new") == 1
    assert ran[-1] == ("s.yaml", None, None, Path("new"), False, False)
