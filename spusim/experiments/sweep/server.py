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
    with deaf_to_interrupts(), one_thread():
        ensure_running()  # it hears of our end, all the same
    return True


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Have what is started here never hear Ctrl-C, also not while it loads; we hear it after."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which lets signals through when it has started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
