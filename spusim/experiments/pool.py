"""Work on several cores: processes that are gone at once when somebody presses Ctrl-C."""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

_LOOK_S = 0.2  # a wait without end is not ended by Ctrl-C where another thread takes the signal


def own_cores() -> int:
    """Return how many cores this process may use, or how many there are where nobody says."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Offer a pool of `jobs` processes; end them at once if the body fails."""
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_quiet)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def finished(futures: Iterable["Future[Any]"]) -> Iterator["Future[Any]"]:
    """Yield futures as they finish."""
    left = set(futures)
    while left:
        done, left = wait(left, _LOOK_S, FIRST_COMPLETED)
        yield from done


def _quiet() -> None:
    """Leave Ctrl-C to the process that started this one, which ends it."""
    if os.name == "posix":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
