import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from sweeps import LAYER, contents, no_pool, points_of, run, write_network, write_sweep

from spusim.api import load_arch
from spusim.errors import SpusimError
from spusim.experiments.case import run_case
from spusim.experiments.layers import RandomLinear, run_linear
from spusim.experiments.record import result_record
from spusim.experiments.results import METRICS, load_results
from spusim.experiments.store import OutputError
from spusim.experiments.sweep import store as store_module
from spusim.experiments.targets import open_case

NETWORK = """\
target: mini.yaml
arch: tiny
stream: mini.npz:frames
grid:
  prune.density: [0.5, 1]
  core.queue.depth: [1, 4]
"""
BOTH = "arch: tiny\nparts:\n  net:\n    " + NETWORK.replace("\n", "\n    ").rstrip() + """
  one:
    layer: {inputs: 24, outputs: 16, activation_density: 0.5}
    grid: {layer.weight_density: [0.25, 1.0]}
"""  # fmt: skip


class Here:
    """An executor of this very process, to count and to disturb what it is given."""

    def __init__(self, before=lambda jobs: None):
        self.jobs, self._before = [], before
        self.seats = [self]
        self.executor = self

    def submit(self, work, jobs):
        from concurrent.futures import Future

        future = Future()
        self.jobs += [job.key for job in jobs]
        self._before(jobs)
        future.set_result(work(jobs))
        return future

    def slots(self):
        return 1

    def restart(self): ...

    def check(self): ...

    @contextmanager
    def __call__(self):
        yield self


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_network(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_rows_say_what_a_run_of_the_same_says(folder):
    path = write_sweep(folder, BOTH)
    assert run(path, folder / "out", pool=Here()).progress.done == 6
    results = load_results(folder / "out")
    table = results.table
    assert results.axes == ("prune.density", "core.queue.depth", "layer.weight_density")
    assert results.parts == ("net", "one")
    assert table["point"].to_list() == list(range(6))
    assert table["part"].to_list() == ["net"] * 4 + ["one"] * 2
    assert table["prune.density"].to_list() == [0.5, 0.5, 1, 1, None, None]
    assert table["core.queue.depth"].to_list() == [1, 4, 1, 4, None, None]
    assert table["seed"].to_list() == [None] * 4 + [0, 0]
    row = table.row(1, named=True)
    case = open_case("mini.yaml", "tiny", settings=["prune.density=0.5", "core.queue.depth=4"])
    alone = run_case(case, "mini.npz:frames")
    stored = results.record(row["key"])
    assert {k: stored[k] for k in result_record(alone)} == json.loads(
        json.dumps(result_record(alone))
    )
    assert row["cycles"] == alone.cycles and row["frames"] == 5
    assert row["speedup_achieved"] == alone.speedup["achieved"]
    assert row["energy_pj.total"] == alone.energy_pj["total"]
    assert row["network"] == "mini" and row["stream"] == "mini.npz:frames"
    assert row["weight_density"] == alone.macs["weight_nonzero"] / alone.macs["dense"]
    pes = [causes for unit, causes in alone.stalls.items() if unit.startswith("core0.pe")]
    assert row["stall.pe.busy"] == sum(causes["busy"] for causes in pes) > 0
    assert row["count.queue.push"] == alone.counts["queue.push"]
    layer = table.row(5, named=True)
    linear = run_linear(RandomLinear(24, 16, 1.0, 0.5), load_arch("tiny"))
    assert (layer["cycles"], layer["network_hash"]) == (linear.cycles, None)
    assert layer["outputs_sha256"] == result_record(linear)["outputs_sha256"]


def test_csv_holds_the_same_as_parquet(folder):
    run(write_sweep(folder, LAYER), folder / "out", pool=Here())
    table = load_results(folder / "out").table
    told = pl.read_csv(folder / "out/results.csv", schema=table.schema)
    assert told.equals(table)
    assert set(METRICS) < set(table.columns)


def test_bytes_do_not_depend_on_workers_or_order(folder):
    path = write_sweep(folder, BOTH)
    run(path, folder / "one", jobs=1)
    run(path, folder / "two", jobs=2)
    run(path, folder / "here", pool=Here())
    one = contents(folder / "one")
    assert contents(folder / "two") == one == contents(folder / "here")
    assert len(one) == 6 + 3  # no lock, nothing half-written
    assert not multiprocessing.active_children()


def test_a_repeated_sweep_starts_no_worker_and_a_changed_one_computes_what_changed(folder):
    path = write_sweep(folder, LAYER)
    run(path, folder / "out", pool=Here())
    before = contents(folder / "out")
    summary = run(path, folder / "out", pool=no_pool)
    assert (summary.progress.cached, summary.progress.done) == (6, 0)
    assert contents(folder / "out") == before
    write_sweep(folder, LAYER.replace("[1, 2]", "[1, 2, 3]"))
    here = Here()
    assert run(path, folder / "out", pool=here).progress.cached == 6
    assert len(here.jobs) == 3
    assert len(load_results(folder / "out").table) == 9


def test_points_of_equal_key_are_computed_once(folder):
    text = LAYER + "  arch: [tiny, mine.yaml]\n"
    (folder / "mine.yaml").write_text("base: tiny\nname: mine\n")
    here = Here()
    summary = run(write_sweep(folder, text), folder / "out", pool=here)
    assert (summary.progress.done, len(here.jobs)) == (12, 6)
    assert set(load_results(folder / "out").table["arch"]) == {"tiny", "mine.yaml"}


def test_an_interrupted_sweep_goes_on_and_its_table_has_what_is_done(folder):
    path = write_sweep(folder, LAYER)

    def stop(jobs):
        if len(here.jobs) > 3:
            raise KeyboardInterrupt

    here = Here(stop)
    summary = run(path, folder / "out", pool=here)
    assert summary.interrupted
    kept = len(list((folder / "out/points").iterdir()))
    assert 0 < kept < 6
    assert load_results(folder / "out").table["status"].to_list() == ["done"] * kept
    again = run(path, folder / "out", pool=Here())
    assert (again.progress.cached, again.progress.done) == (kept, 6 - kept)


def test_a_failed_point_is_stored_does_not_stop_the_others_and_is_tried_again(folder):
    text = LAYER + "  core.data_memory.words: [8, 2048]\n"
    path = write_sweep(folder, text)
    summary = run(path, folder / "out", pool=Here())
    table = load_results(folder / "out").table
    failed = table.filter(pl.col("status") == "failed")
    assert summary.progress.failed == len(failed) and summary.progress.done == 12 - len(failed)
    assert 0 < len(failed) < 12
    assert failed["core.data_memory.words"].unique().to_list() == [8]
    assert "core 0 needs" in failed["error"][0]
    assert failed["cycles"].null_count() == len(failed) and failed["arch"][0] == "tiny"
    again = Here()
    assert run(path, folder / "out", pool=again).progress.failed == len(failed)
    assert sorted(again.jobs) == sorted(failed["key"])
    skipped = run(
        write_sweep(folder, text + "skip_impossible: true\n"), folder / "out", pool=Here()
    )
    assert (skipped.progress.failed, skipped.progress.impossible) == (0, len(failed))


def test_an_impossible_machine_is_recorded_without_running(folder):
    text = LAYER.replace("core.queue.depth: [1, 2]", "core.pes: [2, 3]") + "skip_impossible: true\n"
    here = Here()
    summary = run(write_sweep(folder, text), folder / "out", pool=here)
    assert (summary.progress.impossible, len(here.jobs)) == (3, 3)
    table = load_results(folder / "out").table
    assert table.filter(pl.col("core.pes") == 3)["error"].str.contains("must divide").all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data.replace(b'"status":"done"', b'"status":"gone"'),
        lambda data: data + b" ",
    ],
    ids=["cut", "empty", "changed", "longer"],
)
def test_a_damaged_point_is_found_out_and_computed_anew(folder, damage):
    path = write_sweep(folder, LAYER)
    run(path, folder / "out", pool=Here())
    before = contents(folder / "out")
    (victim, *_) = sorted((folder / "out/points").iterdir())
    victim.write_bytes(damage(victim.read_bytes()))
    assert contents(folder / "out") != before
    here = Here()
    summary = run(path, folder / "out", pool=here)
    assert summary.damaged == 1 and here.jobs == [victim.stem]
    assert contents(folder / "out") == before


def test_a_folder_of_another_sweep_or_of_something_else_is_refused(folder):
    run(write_sweep(folder, LAYER), folder / "out", pool=Here())
    before = contents(folder / "out")
    with pytest.raises(OutputError, match="belongs to the sweep s, this one is other"):
        run(write_sweep(folder, LAYER, "other"), folder / "out", pool=Here())
    assert contents(folder / "out") == before
    (folder / "mine").mkdir()
    (folder / "mine/thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"mine: holds files"):
        run(write_sweep(folder, LAYER), folder / "mine", pool=Here())
    with pytest.raises(OutputError, match="is a file"):
        run(write_sweep(folder, LAYER), folder / "s.yaml", pool=Here())


HOLD = """
import sys, time
from pathlib import Path
from spusim.experiments.sweep.store import open_store
with open_store(Path(sys.argv[1]), "s"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_sweeps_do_not_write_to_one_folder_and_a_dead_ones_lock_is_free(folder):
    path = write_sweep(folder, LAYER)
    command = [sys.executable, "-c", HOLD, str(folder / "out")]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=f"process {holder.pid}. is writing there"):
            run(path, folder / "out", pool=Here())
    finally:
        holder.kill()
        holder.communicate()
    assert (folder / "out/.lock").exists()  # it had no time to clean up
    assert run(path, folder / "out", pool=Here()).progress.done == 6
    assert not (folder / "out/.lock").exists()


def test_a_full_disk_is_one_message_and_what_is_stored_stays(folder, monkeypatch):
    path = write_sweep(folder, LAYER)
    replace, made = os.replace, []

    def full(source, target):
        if Path(target).parent.name == "points":
            if len(made) == 2:
                raise OSError(28, "No space left on device")
            made.append(target)
        replace(source, target)

    monkeypatch.setattr(store_module.os, "replace", full)
    with pytest.raises(OutputError, match=r"No space left on device.; make room and run the sweep"):
        run(path, folder / "out", pool=Here())
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    kept = {p.name for p in (folder / "out/points").iterdir()}
    assert len(kept) == 2 and all(name.endswith(".json") for name in kept)
    assert run(path, folder / "out", pool=Here()).progress.cached == 2


def test_files_that_change_under_way_fail_the_point(folder):
    path = write_sweep(folder, NETWORK)

    def change(jobs):
        with (folder / "mini.safetensors").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x01")

    summary = run(path, folder / "out", pool=Here(change))
    assert summary.progress.failed == 4
    assert "has changed since the sweep began" in next(iter(summary.progress.errors.values()))


def test_a_folder_without_results_is_told(folder):
    with pytest.raises(SpusimError, match="none: is no folder"):
        load_results(folder / "none")
    run(write_sweep(folder, LAYER), folder / "out", pool=Here())
    with pytest.raises(SpusimError, match="must be 64 hexadecimal digits"):
        load_results(folder / "out").record("../sweep")
    (folder / "out/results.parquet").write_bytes(b"no")
    with pytest.raises(SpusimError, match="cannot be read"):
        load_results(folder / "out")
    (folder / "out/results.parquet").unlink()
    with pytest.raises(SpusimError, match=r"has no results.parquet yet"):
        load_results(folder / "out")


def children(pid):
    """Return all processes below one."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(name), *children(int(name))]
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


LONG = """\
layer: {inputs: 512, outputs: 512, activation_density: 0.5, weight_density: 0.2, frames: 40}
arch: row64
grid: {core.queue.depth: {from: 1, to: 60, by: 1}}
"""


def start(*arguments, **more):
    command = [sys.executable, "-c", "from spusim.cli.main import main; main()", "sweep"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def wait_for(folder, count, process):
    end = time.monotonic() + 120
    while len(list((folder / "points").glob("*.json"))) < count:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)


def test_a_killed_worker_loses_no_point_and_ctrl_c_leaves_nobody_behind(folder):
    path = write_sweep(folder, LONG)
    out = folder / "out"
    process = start(path, "--jobs", "2", "-o", out, start_new_session=True)
    wait_for(out, 4, process)
    os.kill(max(children(process.pid)), signal.SIGKILL)
    wait_for(out, 20, process)
    below = children(process.pid)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    printed, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in told and "Traceback" not in told
    assert time.monotonic() - began < 20
    kept = len(list((out / "points").iterdir()))
    assert f"{kept} computed" in printed
    end = time.monotonic() + 20
    while any(map(alive, below)):
        assert time.monotonic() < end, "workers outlive the sweep"
        time.sleep(0.1)
    again = start(path, "--jobs", "2", "-o", out)
    printed, told = again.communicate(timeout=300)
    assert again.returncode == 0, told
    assert f"{60 - kept} computed, {kept} read from" in printed
    keys = [p.job.key for p in points_of(path)]
    assert sorted(keys) == sorted(p.stem for p in (out / "points").iterdir())
    assert load_results(out).table["key"].to_list() == keys
