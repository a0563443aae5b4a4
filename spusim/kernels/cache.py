"""Where compiled kernels are kept: a folder for each file, named by all that its code depends on.

Numba renews a cached function when its own file has changed, not when one that it calls or a
constant that it uses has. So a file's folder is named by the contents of the file, of all kernel
files that it imports in turn, and of those that define the handles which kernels share. A change
then costs the compilation of what it touches, and nothing else.
"""

import functools
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import UserProvidedCacheLocator

PACKAGE = "spusim.kernels"
SOURCES = Path(__file__).resolve().parent
HANDLES = ("borrow",)  # what its types compile to reaches kernels without an import
IMPORT = re.compile(rf"^\s*from {re.escape(PACKAGE)}\.([\w.]+) import", re.MULTILINE)
LOCATORS = f"{PACKAGE}.cache.KernelLocator,numba.core.caching.InTreeCacheLocator"


@functools.cache
def _imported(module: str) -> frozenset[str]:
    """Return the kernel files that a kernel file imports itself."""
    # a pattern and not a parser, which would take longer than all that is imported
    return frozenset(IMPORT.findall((SOURCES / f"{module}.py").read_text()))


def depends_on(module: str) -> set[str]:
    """Return a kernel file and all whose contents decide what its compiled code does."""
    found, waiting = set[str](), [module, *HANDLES]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_imported(name))
    return found


@functools.cache
def fingerprint(module: str) -> str:
    """Return 16 hexadecimal digits that change with whatever a file's compiled code depends on."""
    digest = hashlib.sha256(numba.__version__.encode())
    for name in sorted(depends_on(module)):
        digest.update((SOURCES / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _root() -> Path:
    """Numba's own setting, else beside the sources where that can be written, else the user's."""
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR)
    beside = SOURCES / "__pycache__"
    if os.access(beside if beside.exists() else SOURCES, os.W_OK):
        return beside / "kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spusim" / "kernels"


def folder(module: str) -> Path:
    """Return where the compiled functions of a kernel file are kept."""
    return _root() / f"{module}-{fingerprint(module)}"


@functools.cache
def _clear_stale(module: str) -> None:
    for stale in _root().glob(f"{module}-*"):
        if stale != folder(module):
            shutil.rmtree(stale, ignore_errors=True)


class KernelLocator(UserProvidedCacheLocator):  # type: ignore[misc]  # numba has no types
    """Tells numba where a kernel's cache is, and by what to know that it is stale."""

    def __init__(self, py_func: Callable[..., Any], py_file: str):
        # numba names both where it cannot keep a function, as with NUMBA_OPT=0
        self._py_file, self._lineno = py_file, py_func.__code__.co_firstlineno
        self._module = Path(py_file).stem
        _clear_stale(self._module)

    def get_cache_path(self) -> str:
        """Return the folder of the function's file."""
        return str(folder(self._module))

    def get_source_stamp(self) -> str:
        """Return what must be equal for a cached function to be used."""
        return fingerprint(self._module)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "KernelLocator | None":
        """Return the locator of a kernel's function, None for any other function."""
        if Path(py_file).resolve().parent != SOURCES:
            return None
        self = cls(py_func, py_file)
        try:
            self.ensure_cache_path()
        except OSError:
            return None
        return self


def compiled() -> bool:
    """Whether the kernels have been compiled on this machine already."""
    return any(folder("advance").glob("*.nbi"))
