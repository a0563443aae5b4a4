"""One core, one thread: import this before anything that imports numpy."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ALL_CORES = os.sched_getaffinity(0)


def take_one_core() -> int:
    """Keep this process and its children to the last core it may use; return that core."""
    for name in THREAD_SETTINGS:
        os.environ[name] = "1"
    core = max(ALL_CORES)
    os.sched_setaffinity(0, {core})
    return core


CORE = take_one_core()


@contextmanager
def all_cores() -> Iterator[None]:
    """Give this process and the children that it starts meanwhile all cores again."""
    os.sched_setaffinity(0, ALL_CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, {CORE})
