"""`spusim compare` of runs: tables, JSON, Markdown, exit codes, bad input."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def runs(folder, spusim):
    """Two folders of results, of queues of 2 and of 1."""
    store(spusim, "a", "run.yaml")
    store(spusim, "b", "run.yaml", "--set", "core.queue.depth=1")
    return folder


def store(spusim, name, *words):
    """Leave what `spusim run -o` does, but for the figure, which takes longest."""
    Path(name).mkdir()
    Path(name, "result.json").write_text(spusim("run", *words, "--json").stdout)


def test_a_run_is_the_same_as_itself(runs, spusim):
    done = spusim("compare", "a", "a/result.json")
    assert done.exit_code == 0
    assert done.stdout.endswith("differs in: nothing\n")
    assert json.loads(spusim("compare", "a", "a", "--json").stdout) == {
        "schema_version": 1, "exit_code": 0, "differs_in": [], "notes": [], "differences": [],
    }  # fmt: skip


def test_table_shows_figures_and_what_changed(runs, spusim):
    done = spusim("compare", "a", "b")
    assert done.exit_code == 3
    old, new = (json.loads(Path(name, "result.json").read_text()) for name in "ab")

    def queue_full(record):
        return record["stalls"]["core0.scanner"]["queue_full"]

    (row,) = (line for line in done.stdout.splitlines() if line.startswith("cycles "))
    assert row.split()[1:4] == [f"{old['cycles']:,}", f"{new['cycles']:,}", "same"]
    (row,) = (line for line in done.stdout.splitlines() if "stall.scanner.queue_full" in line)
    change = queue_full(new) - queue_full(old)
    assert row.split()[1:4] == [str(queue_full(old)), str(queue_full(new)), f"{change:+d}"]
    assert "stall.core0.scanner.queue_full" not in done.stdout
    assert "stall.core0.scanner.queue_full" in spusim("compare", "a", "b", "--verbose").stdout
    assert "note: arch differs: " in done.stdout
    assert done.stdout.endswith("differs in: time, energy, area\n")


def test_json_has_every_difference(runs, spusim):
    told = json.loads(spusim("compare", "a", "b", "--json").stdout)
    assert told["exit_code"] == 3
    by_name = {d["quantity"]: d for d in told["differences"]}
    old, new = (json.loads(Path(name, "result.json").read_text()) for name in "ab")
    total = by_name["energy_pj.total"]
    assert (total["old"], total["new"]) == (old["energy_pj"]["total"], new["energy_pj"]["total"])
    assert total["percent"] == pytest.approx(100 * (total["new"] / total["old"] - 1))
    assert by_name["area_um2.queue"]["percent"] == pytest.approx(-50)
    assert "outputs_sha256" not in by_name


def test_tolerance(runs, spusim):
    assert spusim("compare", "a", "b", "--tolerance", "100%").exit_code == 0


def test_other_outputs(runs, spusim):
    store(spusim, "c", "run.yaml", "--set", "quantise.weights=4", "--no-baseline")
    done = spusim("compare", "a", "c")
    assert done.exit_code == 4
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("outputs_sha256"))
    assert row.split()[-2] == "differ"
    assert "note: c/result.json was run without its dense baseline" in done.stdout
    assert "speedup" not in done.stdout.split("note:")[0]


def test_a_stored_result_is_a_run(runs, spusim):
    spusim("regress", "base", "--record", "run.yaml", "--jobs", "1")
    assert spusim("compare", "base/run.json", "a").exit_code == 0


def test_markdown(runs, spusim):
    done = spusim("compare", "a", "b", "-o", "report.md")
    text = Path("report.md").read_text()
    assert text == spusim("compare", "a", "b", "--markdown").stdout
    assert text.startswith("## a and b\n\n### figures\n\n|  | old | new | difference | % |\n")
    assert text.endswith("* differs in: time, energy, area\n")
    assert "written: report.md" in done.stdout


def test_bad_input(runs, refused):
    assert "nowhere: cannot be read (No such file" in refused("compare", "a", "nowhere")
    Path("empty").mkdir()
    assert "empty: holds neither result.json" in refused("compare", "empty", "a")
    Path("empty/result.json").write_text("{")
    assert "empty/result.json: is damaged: no JSON" in refused("compare", "empty", "a")
    Path("empty/result.json").write_text('{"schema_version": 2}')
    assert "has result schema 2, and this spusim reads 1" in refused("compare", "a", "empty")
    Path("empty/result.json").write_text('{"schema_version": 1}')
    assert "is damaged: versions: field required" in refused("compare", "a", "empty")


def test_a_run_and_a_sweep_are_refused(runs, refused):
    import polars as pl

    Path("sweep").mkdir()
    told = {"schema_version": 1, "name": "s", "axes": ["x"], "versions": {}}
    Path("sweep/sweep.json").write_text(json.dumps(told))
    pl.DataFrame({"x": [1], "status": ["done"]}).write_parquet("sweep/results.parquet")
    message = refused("compare", "a", "sweep")
    assert "a/result.json is a run and sweep is a sweep; compare two of a kind" in message
