"""Sweeps: what scheduling and storing cost, two processes against one, and the first point.

`python -m benchmarks.sweeps`, on two cores or more. A thousand points of the keyword spotter at 50
frames, on machines that differ in queue and scanner.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.show import as_table, make_console, save_csv
from spusim.experiments.sweep.file import load_sweep
from spusim.experiments.sweep.parts import open_parts
from spusim.experiments.sweep.points import make_points
from spusim.experiments.sweep.pools import local_pool
from spusim.experiments.sweep.run import run_sweep
from spusim.experiments.sweep.server import THREADS, start_server
from spusim.experiments.sweep.worker import measure

OUTPUT = Path("out/bench")
SWEEP = """\
target: kws
stream: random:density=0.5,frames={frames},seed=1
baseline: false
grid:
  core.queue.depth: {{from: 1, to: {depths}, by: 1}}
  core.scanner.width: {{from: 1, to: 20, by: 1}}
"""
POINTS = 1000
FRAMES = 50
# of the comparison in the table of `benchmarks.speed`: points of a tenth of a second, beside which
# the two processes' start is little
FEWER_POINTS, MORE_FRAMES = 200, 2000
PAIRS = 3  # of a sweep on one process and one on two
SAMPLE = 5  # every so-many-th point is also computed in a plain loop
OVERHEAD_TARGET, PROCESSES_TARGET, FIRST_TARGET_S = 15.0, 1.8, 5.0


def write_sweep(folder: str | Path, points: int, frames: int) -> Path:
    """Write the sweep's file with so many points, a multiple of 20, of so many frames."""
    path = Path(folder) / "bench.yaml"
    path.write_text(SWEEP.format(depths=points // 20, frames=frames))
    return path


def timed_sweep(path: Path, jobs: int, number: int = 0) -> float:
    """Run the sweep anew on so many processes; return seconds from its file to its table."""
    began = time.perf_counter()
    sweep = load_sweep(path)
    parts = open_parts(sweep)
    points = make_points(parts)
    folder = path.parent / f"jobs{jobs}_{number}"
    summary = run_sweep(sweep, parts, points, folder, lambda: local_pool(jobs))
    assert summary.progress.done == len(points)
    return time.perf_counter() - began


def first_point(path: Path) -> float:
    """Return the seconds from the command to the first point's file, kernels being compiled."""
    folder = path.parent / "first"
    command = [str(Path(sys.executable).with_name("spusim")), "sweep", str(path), "-o", str(folder)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any((folder / "points").glob("*.json")):
        assert process.poll() is None
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    return seconds


def plain_loop(path: Path) -> float:
    """Return the seconds of computing all points one after the other, from every SAMPLE-th."""
    jobs = [point.job for point in make_points(open_parts(load_sweep(path)))]
    measure(jobs[0])  # opens the network and loads kernels
    began = time.perf_counter()
    for job in jobs[::SAMPLE]:
        measure(job)
    return (time.perf_counter() - began) * SAMPLE


def measure_sweeps() -> list[Row]:
    """Time the sweep on one and on two processes, and a plain loop before, between and after."""
    for name in THREADS:
        os.environ[name] = "1"
    start_server()  # as the command does: what its processes load, it loads beside this one
    with tempfile.TemporaryDirectory() as folder:
        path = write_sweep(folder, POINTS, FRAMES)
        loops = [plain_loop(path)]
        one = timed_sweep(path, 1)
        loops.append(plain_loop(path))
        two = timed_sweep(path, 2)
        loops.append(plain_loop(path))
        first = first_point(path)
    loop = (loops[0] + loops[1]) / 2  # around the run on one process
    every = ", ".join(f"{seconds:.1f}" for seconds in loops)
    told = f"sweep {one:.1f} s, plain loop {loop:.1f} s (of {every})"
    return [
        Row(f"scheduling and storing, {POINTS} points", 100 * (1 - loop / one), "%", "<=",
            OVERHEAD_TARGET, told),
        Row("two processes / one", one / two, "x", ">=", PROCESSES_TARGET,
            f"{one:.1f} s, {two:.1f} s"),
        Row("`spusim sweep` of 1,000 points, first one finished", first, "s", "<=", FIRST_TARGET_S,
            "from the command on"),
    ]  # fmt: skip


def measure_two_processes() -> list[Row]:
    """Time a sweep of 200 points on one process and on two, in turn; medians."""
    told = subprocess.run([sys.executable, "-m", "benchmarks.two_processes"], check=True,
                          stdout=subprocess.PIPE, encoding="utf-8")  # fmt: skip
    one, two = map(float, told.stdout.split())
    return [
        Row(f"two processes / one, sweep of {FEWER_POINTS} points", one / two, "x", ">=",
            PROCESSES_TARGET, f"{one:.1f} s, {two:.1f} s")
    ]  # fmt: skip


def main() -> None:
    """Measure, print and save."""
    rows = measure_sweeps()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    save_csv(rows, OUTPUT / "sweeps.csv")
    make_console().print(as_table(rows, "Sweeps, in wall-clock time"))


if __name__ == "__main__":
    main()
