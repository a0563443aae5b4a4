"""What a kernel's cache depends on: its file, all that it imports, the shared handles, no more."""

import re
import shutil
import subprocess
import sys

import pytest

from spusim.kernels.arithmetic import fold
from spusim.kernels.cache import HANDLES, SOURCES, KernelLocator, depends_on

MODULES = sorted(path.stem for path in SOURCES.glob("*.py"))
TRY = """
from spusim.kernels.cache import fingerprint
print(fingerprint("arithmetic"), fingerprint("conv_scan"), fingerprint("conv_values"))
"""


def prints(tree):
    done = subprocess.run(
        [sys.executable, "-c", TRY], cwd=tree, capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(tree), "PATH": ""},
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize("module", MODULES)
def test_dependencies_are_closed_and_hold_what_is_imported(module):
    found = depends_on(module)
    imported = re.findall(
        r"^\s*from spusim\.kernels\.(\w+) import", (SOURCES / f"{module}.py").read_text(), re.M
    )
    assert {module, *imported} <= found
    assert all(depends_on(other) <= found for other in found)


def test_every_file_that_defines_a_handle_counts_for_all():
    says = re.compile(r"^define_uncounted\(", re.M)
    defines = {m for m in MODULES if says.search((SOURCES / f"{m}.py").read_text())}
    used_elsewhere = {d for d in defines if any(d in depends_on(m) for m in MODULES if m != d)}
    assert used_elsewhere == set(HANDLES) - {"borrow"}  # which defines their kind


def test_a_change_reaches_those_that_depend_on_it_and_no_others(tmp_path):
    shutil.copytree(
        SOURCES.parent, tmp_path / "spusim", ignore=shutil.ignore_patterns("__pycache__")
    )
    before = prints(tmp_path)
    changed = tmp_path / "spusim/kernels/arithmetic.py"
    changed.write_text(changed.read_text() + "\nNEW = 1\n")
    after = prints(tmp_path)
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, False]


def test_numba_can_name_the_file_of_what_it_cannot_cache():
    locator = KernelLocator.from_function(fold.py_func, fold.py_func.__code__.co_filename)
    # numba's CacheImpl.check_cachable warns with these two
    assert locator is not None
    assert (locator._py_file, locator._lineno) == (
        fold.py_func.__code__.co_filename,
        fold.py_func.__code__.co_firstlineno,
    )
