"""Whole processes: a run from the command line, imports, and the first compilation of all kernels.

Times but the last one's are processor time, user and system, which other work on the machine
changes least. Compiled modules are cached, as they are for whoever runs a thing twice.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.stopwatch import children_seconds, interleave

IMPORT_TARGET, RUN_TARGET, COMPILE_TARGET_S = 1.3, 3.0, 25.0
FRAMES = 610
ROUNDS = 9
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _command(*arguments: str) -> list[str]:
    """Return the installed `spusim`, beside the interpreter."""
    return [str(Path(sys.executable).with_name("spusim")), *arguments]


def _process(command: list[str], **settings: str) -> Callable[[], object]:
    env = ENVIRONMENT | settings
    return lambda: subprocess.run(command, check=True, capture_output=True, env=env)


def _python(code: str) -> Callable[[], object]:
    return _process([sys.executable, "-c", code])


def measure_imports(rounds: int = ROUNDS) -> list[Row]:
    """Time `import spusim` over `import numba`."""
    names = ("spusim", "spusim.api", "numba")
    seconds = interleave(
        {name: _python(f"import {name}") for name in names}, rounds, 1, children_seconds
    )
    numba = seconds["numba"]
    return [
        Row("`import spusim` / `import numba`", seconds["spusim"] / numba, "x", "<=",
            IMPORT_TARGET, f"{1e3 * seconds['spusim']:.0f} ms, numba {1e3 * numba:.0f} ms"),
        Row("`import spusim.api`, all that a run needs / `import numba`",
            seconds["spusim.api"] / numba, detail=f"{1e3 * seconds['spusim.api']:.0f} ms"),
    ]  # fmt: skip


def measure_run(rounds: int = ROUNDS) -> list[Row]:
    """Time `spusim run kws`, kernels cached, over `import numba`."""
    told = subprocess.run(_command("run", "kws", "--json"), check=True, capture_output=True)
    assert json.loads(told.stdout)["frames"] == FRAMES
    contestants = {
        "run": _process(_command("run", "kws")),
        "numba": _python("import numba"),
        "first call": _process([sys.executable, "-m", "benchmarks.first_call"]),
    }
    # the first calls, which may compile, are those that `interleave` does not time
    seconds = interleave(contestants, rounds, 1, children_seconds)
    run, numba, first = (seconds[name] for name in contestants)
    detail = f"{FRAMES} frames, {run:.2f} s; numba {numba:.2f} s, with a first call {first:.2f} s"
    return [
        Row("`spusim run kws`, cached / `import numba`", run / numba, "x", "<=", RUN_TARGET,
            detail),
        Row("numba's own first cached call / `import numba`", first / numba),
    ]  # fmt: skip


def measure_processes() -> list[Row]:
    """Time imports and a run from the command line."""
    return measure_imports() + measure_run()


def measure_compilation() -> list[Row]:
    """Time what a machine that has never run spusim spends on compiling every kernel."""
    command = [sys.executable, "-m", "benchmarks.all_kernels"]
    with tempfile.TemporaryDirectory() as folder:
        run = _process(command, NUMBA_CACHE_DIR=folder)
        (first, used), (again, _) = _timed(run), _timed(run)
    detail = f"{first:.0f} s, {used:.0f} s of processor time; the same again {again:.1f} s"
    return [
        Row("first compilation of all kernels", first - again, "s", "<=", COMPILE_TARGET_S, detail)
    ]


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall-clock and processor seconds of a process."""
    began, used = time.perf_counter(), children_seconds()
    call()
    return time.perf_counter() - began, children_seconds() - used
