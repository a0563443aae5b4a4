"""One core, one thread: import this before anything that imports numpy."""

import os

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def take_one_core() -> int:
    """Keep this process and its children to the last core it may use; return that core."""
    for name in THREAD_SETTINGS:
        os.environ[name] = "1"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


CORE = take_one_core()
