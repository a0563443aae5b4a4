"""Where compiled kernels are kept: a folder for each file, named by all that its code depends on.

A file's folder is named by the contents of the file, of all kernel files that it names in turn, and
of those that every kernel depends on: what compiles and loads it, and the handles that kernels
share. In it each kernel has an object file for each kind of arguments, processor, and version of
what made it. A change then costs the compilation of what it touches, and nothing else.
"""

import functools
import hashlib
import inspect
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from spusim.kernels.loading import Compiled

PACKAGE = "spusim.kernels"
SOURCES = Path(__file__).resolve().parent
# what compiles, calls and loads kernels, and handles, whose types reach kernels without an import
EVERY = ("chip", "compiling", "core", "declare", "entry", "handles", "loading")
NAMED = re.compile(rf"\b{re.escape(PACKAGE)}\.(\w+)")
SUFFIX = ".kernel"
FORMAT = 1
_CACHE_DIR = "NUMBA_CACHE_DIR"


def _source(module: str) -> Path:
    return SOURCES / f"{module}.py"


@functools.cache
def _named(source: Path) -> frozenset[str]:
    """Return the kernel files that a file names itself."""
    # a pattern and not a parser, which would take longer than all that is imported
    names = NAMED.findall(source.read_text())
    return frozenset(name for name in names if _source(name).exists())


def depends_on(source: Path) -> set[Path]:
    """Return a file with kernels and all whose contents decide what its compiled code does."""
    found, waiting = set[Path](), [source, *map(_source, EVERY)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(map(_source, _named(path)))
    return found


@functools.cache
def _contents(source: Path) -> bytes:
    return hashlib.sha256(source.read_bytes()).digest()


@functools.cache
def _numba_version() -> bytes:
    """Return what tells numba's version, without importing it."""
    found = PathFinder.find_spec("numba")
    for folder in (found and found.submodule_search_locations) or ():
        version = Path(folder) / "_version.py"
        if version.exists():
            return version.read_bytes()
    import numba

    return str(numba.__version__).encode()


@functools.cache
def fingerprint(source: Path) -> str:
    """Return 16 hexadecimal digits that change with whatever a file's compiled code depends on."""
    digest = hashlib.sha256(_numba_version())
    for path in sorted(depends_on(source)):
        digest.update(path.name.encode() + _contents(path))
    return digest.hexdigest()[:16]


@functools.cache
def _made_for() -> str:
    """Return what else decides: the processor, and the versions and settings of what compiles."""
    features = llvm.get_host_cpu_features().flatten()
    settings = sorted(
        item
        for item in os.environ.items()
        if item[0].startswith("NUMBA_") and item[0] != _CACHE_DIR
    )
    versions = (FORMAT, llvm.llvm_version_info, sys.implementation.cache_tag, np.__version__)
    return repr((versions, llvm.get_host_cpu_name(), features, settings))


@functools.cache
def _root() -> Path | None:
    """Numba's own setting, else beside the sources where that can be written, else the user's.

    None for a user without a home, as in a container that is run under any number. A folder that
    others can write to will not do: what lies in it is run.
    """
    if os.environ.get(_CACHE_DIR):
        return Path(os.environ[_CACHE_DIR])
    beside = SOURCES / "__pycache__"
    if os.access(beside if beside.exists() else SOURCES, os.W_OK):
        return beside / "kernels"
    try:
        users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return users / "spusim" / "kernels"


def folder(source: Path) -> Path | None:
    """Return where the compiled kernels of a file are kept; None: nowhere."""
    root = _root()
    return root / f"{source.stem}-{fingerprint(source)}" if root else None


@functools.cache
def _clear_stale(folder: Path) -> None:
    """Remove what the file's contents of former times were compiled to."""
    stem = folder.name.rpartition("-")[0]
    for stale in folder.parent.glob(f"{stem}-*"):
        if stale != folder and stale.name.rpartition("-")[0] == stem:
            shutil.rmtree(stale, ignore_errors=True)


def place_of(function: Callable[..., Any], kinds: str) -> Path | None:
    """Return where a kernel is kept for arguments of these kinds; None: nowhere."""
    source = Path(inspect.getfile(function)).resolve()
    if not source.exists():
        return None  # typed in, so that nothing tells when it changes
    kept = folder(source)
    if kept is None:
        return None
    name = function.__qualname__.replace("<locals>.", "")
    told = f"{function.__qualname__}|{kinds}|{_made_for()}"
    return kept / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}{SUFFIX}"


def read(place: Path | None) -> Compiled | None:
    """Return a kernel that is kept, None for one that is not, or that was damaged since."""
    try:
        digest, _, content = place.read_bytes().partition(b"\n") if place else (b"", b"", b"")
        if digest != hashlib.sha256(content).hexdigest().encode():
            return None
    except OSError:
        return None
    head, _, code = content.partition(b"\n")
    return Compiled(**json.loads(head), code=code)


def write(place: Path | None, compiled: Compiled) -> None:
    """Keep a kernel, whole or not at all; where that cannot be, it is compiled again next time.

    In the file are the SHA-256 of what follows, a line on arguments and results, and the object.
    """
    if place is None:
        return
    head = compiled._asdict()
    code = head.pop("code")
    content = json.dumps(head).encode() + b"\n" + code
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        beside.replace(place)
        _clear_stale(place.parent)
    except OSError:
        return  # no permission, no space: the kernel runs all the same
    finally:
        with suppress(OSError):
            beside.unlink()


def compiled() -> bool:
    """Whether the kernels have been compiled on this machine already."""
    kept = folder(_source("advance"))
    return kept is not None and any(kept.glob(f"*{SUFFIX}"))
