"""The server that a local pool's processes are forked from; started early, it loads beside us.

Nothing here takes long to load.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.forkserver import ensure_running

PRELOAD = "spusim.experiments.sweep.preload"
THREADS = (
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


def start_server() -> bool:
    """Start the server that a local pool's processes are forked from, unless it runs already.

    It loads what they need while the caller goes on, forks quickly and cleanly, and ends with this
    process. Returns False where there is no forking.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return False
    multiprocessing.get_context("forkserver").set_forkserver_preload([PRELOAD])
    resource_tracker.ensure_running()  # which lets signals through when it has started
    # Ctrl-C is for this process: the server inherits the mask, and hears of our end
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with one_thread():
            ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return True


@contextmanager
def one_thread() -> Iterator[None]:
    """Let what is started use one thread each."""
    set_before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in set_before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
