"""A run loads what it needs and no more; where its kernels are kept, it does not need numba."""

import subprocess
import sys

MAIN = """
import gc, sys
sys.modules.update(dict.fromkeys({blocked}))
sys.argv = ["spusim", *{words}]
from spusim.cli.main import main
try:
    main()
except SystemExit as leave:
    assert not leave.code, leave.code
"""
# what other runs need: to compile, to read images, plans, tables and sources, to draw, to show bars
ELSEWHERE = (
    "PIL", "altair", "dask", "matplotlib", "numba", "polars", "rich.progress", "scipy", "torch",
    "vcd", "spusim.experiments.sweep", "spusim.frontend.fqir.load",
    "spusim.golden", "spusim.machine.convolution", "spusim.source",
)  # fmt: skip


def process(blocked, words, then="", folder=None):
    code = MAIN.format(blocked=repr(blocked), words=repr(words)) + then
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False
    )


def test_a_run_with_kept_kernels_needs_no_numba(spusim, folder):
    wanted = spusim("run", "run.yaml", "--json").stdout  # which keeps them
    done = process(["numba"], ["run", "run.yaml", "--json"], folder=folder)
    assert done.stdout == wanted and not done.stderr


def test_a_run_loads_nothing_that_is_for_others(spusim, folder):
    spusim("run", "run.yaml")
    then = f"\nprint(sorted(set({ELSEWHERE!r}) & set(sys.modules)), file=sys.stderr)"
    assert process([], ["run", "run.yaml"], then, folder).stderr == "[]\n"


def test_garbage_is_looked_for_again_once_modules_are_loaded():
    then = "\nprint(gc.isenabled(), gc.get_freeze_count() > 1000, file=sys.stderr)"
    assert process([], ["list"], then).stderr == "True True\n"
