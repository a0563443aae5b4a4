"""A sweep on a real Dask scheduler with worker processes, on this machine."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sweeps import contents, points_of, run, write_sweep

from spusim.experiments.sweep import pools
from spusim.experiments.sweep.identity import versions
from spusim.experiments.sweep.pools import PoolError, dask_pool

pytest.importorskip("distributed", reason="Dask is the extra [cluster]")

SWEEP = """\
layer: {inputs: 256, outputs: 256, activation_density: 0.5, weight_density: 0.2, frames: 60}
arch: row64
grid: {core.queue.depth: {from: 1, to: 80, by: 1}}
"""


def started(*words):
    """Start `dask ...`; it is not to write where the tests run, nor to outlive them."""
    command = [sys.executable, "-m", "dask", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def killed(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def scheduler():
    """A scheduler's address and process."""
    port = free_port()
    words = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with killed(started("scheduler", *words)) as process:
        end = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < end
            time.sleep(0.1)
        yield f"tcp://127.0.0.1:{port}", process


def worker(address, folder):
    return started(
        "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
        "--local-directory", str(folder),
    )  # fmt: skip


def on(address, lines=None):
    tell = (lambda line: None) if lines is None else lines.append
    return lambda: dask_pool(address, tell)


class Watch:
    """Does something once when so many points are done."""

    def __init__(self, count, action):
        self._count, self._action = count, action
        self.seen = []

    def __call__(self, progress):
        self.seen.append(progress.done)
        if self._action and progress.done >= self._count:
            action, self._action = self._action, None
            action()


def test_two_workers_one_of_them_killed_lose_no_point_and_count_none_twice(scheduler, tmp_path):
    address, _ = scheduler
    path = write_sweep(tmp_path, SWEEP)
    lines = []
    with killed(worker(address, tmp_path / "a")) as one, killed(worker(address, tmp_path / "b")):
        watch = Watch(10, one.kill)
        summary = run(path, tmp_path / "dask", pool=on(address, lines), watch=watch)
    assert one.returncode == -signal.SIGKILL
    assert (summary.progress.done, summary.progress.failed) == (80, 0)
    assert max(watch.seen) == 80 and watch.seen == sorted(watch.seen)
    run(path, tmp_path / "local", jobs=1)
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")


def test_a_scheduler_that_dies_is_one_message_and_what_was_computed_stays(scheduler, tmp_path):
    address, process = scheduler
    path, out = write_sweep(tmp_path, SWEEP), tmp_path / "out"
    gone = pytest.raises(PoolError, match=f"scheduler {address}: went away; what was computed")
    with killed(worker(address, tmp_path / "a")), gone:
        run(path, out, pool=on(address), watch=Watch(5, process.kill))
    kept = len(list((out / "points").glob("*.json")))
    assert 5 <= kept < 80
    again = run(path, out, jobs=1)
    assert (again.progress.cached, again.progress.done) == (kept, 80 - kept)


def test_a_scheduler_that_does_not_answer_is_told_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "ANSWER_S", 1.0)
    address = f"tcp://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(PoolError, match=rf"{address}: does not answer .*; check the address"):
        run(write_sweep(tmp_path, SWEEP), tmp_path / "out", pool=on(address))
    assert time.monotonic() - began < 30
    with pytest.raises(PoolError, match=r"scheduler nonsense: does not answer"):
        run(write_sweep(tmp_path, SWEEP), tmp_path / "out", pool=on("nonsense"))


def test_no_workers_yet_is_told_and_another_version_is_refused(scheduler, tmp_path, monkeypatch):
    address, _ = scheduler
    lines: list[str] = []
    other = pytest.raises(PoolError, match=r"has spusim .*, this is spusim .* code 0000")
    with killed(worker(address, tmp_path / "a")), other:
        ours = replace(versions(), code="0" * 64)
        monkeypatch.setattr(pools, "versions", lambda: ours)
        monkeypatch.setattr(pools, "_versions_of", lambda a, client: client.run(versions))
        run(write_sweep(tmp_path, SWEEP), tmp_path / "out", pool=on(address, lines))
    assert lines in ([], [f"waiting for workers of {address}"])
    assert not list((tmp_path / "out/points").iterdir())
    assert points_of(tmp_path / "s.yaml")


def test_dask_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    missing = pytest.raises(PoolError, match=r"pip install 'spusim\[cluster\]'")
    with missing, dask_pool("tcp://127.0.0.1:1", lambda line: None):
        raise AssertionError("there is no pool")
