"""Whole processes: a run from the command line, and imports."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.stopwatch import interleave

RUN_TARGET_S = 3.0
FRAMES = 610
RUNS, IMPORTS = 5, 11


def _command(*arguments: str) -> list[str]:
    """Return the installed `spusim`, beside the interpreter."""
    return [str(Path(sys.executable).with_name("spusim")), *arguments]


def _process(command: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def _import(module: str) -> Callable[[], object]:
    return _process([sys.executable, "-c", f"import {module}"])


def measure_processes() -> list[Row]:
    """Time `spusim run kws` from its second call on, and imports of spusim and numba."""
    told = subprocess.run(_command("run", "kws", "--json"), check=True, capture_output=True)
    assert json.loads(told.stdout)["frames"] == FRAMES
    # the first call, which may compile, is the one that `interleave` does not time
    run = interleave({"run": _process(_command("run", "kws"))}, RUNS, 1)["run"]
    imports = interleave({m: _import(m) for m in ("spusim", "numba")}, IMPORTS, 1)
    ours, numba = imports["spusim"], imports["numba"]
    return [
        Row("`spusim run kws`, second call", run, "s", "<=", RUN_TARGET_S, f"{FRAMES} frames"),
        Row("import spusim / import numba", ours / numba,
            detail=f"spusim {ours:.2f} s, numba {numba:.2f} s"),
    ]  # fmt: skip
