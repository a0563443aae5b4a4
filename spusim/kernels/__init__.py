"""Compiled kernels: numba only, arrays in, arrays out.

Numba renews a cached function when its own file has changed, not when one that it calls or a
constant that it uses has. So the cache is kept in a folder named by the contents of all kernels.
"""

import hashlib
import os
import shutil
from pathlib import Path

import numba

_SOURCES = Path(__file__).resolve().parent


def _fingerprint() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(_SOURCES.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    """Beside the sources where that can be written, else in the user's cache folder."""
    beside = _SOURCES / "__pycache__"
    if os.access(beside if beside.exists() else _SOURCES, os.W_OK):
        return beside
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spusim"


def _use_cache() -> Path:
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR)
    folder = _cache_root() / f"kernels-{_fingerprint()}"
    for stale in folder.parent.glob("kernels-*"):
        if stale != folder:
            shutil.rmtree(stale, ignore_errors=True)
    numba.config.CACHE_DIR = str(folder)
    return folder


CACHE = _use_cache()


def compiled() -> bool:
    """Whether the kernels have been compiled on this machine already."""
    return any(CACHE.rglob("advance*.nbi"))
