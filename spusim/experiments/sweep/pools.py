"""Where points are computed: processes of this machine, or the workers of a Dask cluster.

Both give an executor of `concurrent.futures`; what differs is how they start, break and end.
"""

import fcntl
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from types import ModuleType
from typing import Any, Protocol

from spusim.errors import SpusimError
from spusim.experiments.sweep.identity import Versions, versions
from spusim.experiments.sweep.server import deaf_to_interrupts, one_thread, start_server
from spusim.experiments.sweep.worker import start_process

ANSWER_S = 10.0  # a scheduler has to answer
COUNT_S = 2.0  # between looks at how many workers there are
PIPE_BYTES = 1 << 20  # of answers that wait for us, while their process computes on


class PoolError(SpusimError):
    """Workers that cannot be had, or are not to be trusted."""


class Seat(Protocol):
    """An executor and how many jobs it runs at once."""

    @property
    def executor(self) -> Executor:
        """The executor; another one after `restart`."""

    def slots(self) -> int:
        """Return how many jobs run at once."""

    def restart(self) -> None:
        """Replace workers that died."""


class Pool(Protocol):
    """Seats for jobs."""

    @property
    def seats(self) -> Sequence[Seat]:
        """The seats, whose number does not change."""

    def check(self) -> None:
        """Raise PoolError if the pool is gone for good."""


class LoneProcess(ProcessPoolExecutor):
    """One process, whose death is always noticed, even in the middle of writing a result.

    The pool itself keeps the writing end of the result pipe open. If the process dies with half a
    message written, the pool's thread then waits for the other half for ever, since the pipe
    never ends; so our end is closed as soon as the process has inherited its own.
    """

    def __init__(self, context: BaseContext):
        super().__init__(1, context, start_process)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Submit a call; the first one starts the process."""
        results: Any = self._result_queue
        if results._writer.closed:
            return super().submit(fn, *args, **kwargs)
        _enlarge(results._writer.fileno())
        with _bare_main(), deaf_to_interrupts():  # it is started wholly, so that it can be ended
            future = super().submit(fn, *args, **kwargs)
        results._writer.close()
        return future


class LocalSeat:
    """One process of this machine; alone in its executor, so that a death is known to be its."""

    def __init__(self, context: BaseContext):
        self._context = context
        self.executor: Executor = self._start()

    def slots(self) -> int:
        """Return 1."""
        return 1

    def restart(self) -> None:
        """Start another process."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self._start()

    def _start(self) -> Executor:
        return LoneProcess(self._context)


class LocalPool:
    """Processes of this machine, of one thread each."""

    def __init__(self, jobs: int):
        self._before = set(multiprocessing.active_children())
        context = multiprocessing.get_context("forkserver" if start_server() else "spawn")
        self.seats = [LocalSeat(context) for _ in range(jobs)]

    def check(self) -> None:
        """Nothing to check: what breaks can be restarted."""

    def stop(self) -> None:
        """End all processes at once, whatever they are doing."""
        for seat in self.seats:
            seat.executor.shutdown(wait=False, cancel_futures=True)
        processes = set(multiprocessing.active_children()) - self._before
        for process in processes:
            process.terminate()
        for process in processes:  # which take milliseconds to end, all at once
            process.join()


class DaskSeat:
    """All workers of a Dask cluster; Dask itself moves the jobs of one that dies."""

    def __init__(self, client: Any):
        self._client = client
        self._slots, self._looked = 1, float("-inf")
        self.executor: Executor = client.get_executor(pure=False)

    def slots(self) -> int:
        """Return the number of the workers' threads, which changes as workers come and go."""
        if time.monotonic() - self._looked > COUNT_S:
            self._slots = sum(self._client.nthreads().values()) or self._slots
            self._looked = time.monotonic()
        return self._slots

    def restart(self) -> None:
        """Nothing to restart: the cluster looks after its workers."""


class DaskPool:
    """A Dask cluster."""

    def __init__(self, address: str, client: Any):
        self._address, self._client = address, client
        self.seats = [DaskSeat(client)]

    def check(self) -> None:
        """Raise PoolError if the scheduler is gone."""
        if self._client.status != "running":
            raise PoolError(
                f"scheduler {self._address}: went away; what was computed is stored, so start it "
                "and run the sweep again"
            )


@contextmanager
def _bare_main() -> Iterator[None]:
    """Start processes that do not load again the program that starts them: they need none of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _enlarge(pipe: int) -> None:
    """Let a pipe hold more, where the system has a call for it and allows it."""
    call = getattr(fcntl, "F_SETPIPE_SZ", None)
    if call is not None:
        with suppress(OSError):
            fcntl.fcntl(pipe, call, PIPE_BYTES)


@contextmanager
def local_pool(jobs: int) -> Iterator[LocalPool]:
    """Give a pool of processes; they are gone afterwards."""
    with one_thread():
        pool = LocalPool(jobs)
        try:
            yield pool
        finally:
            pool.stop()


@contextmanager
def dask_pool(address: str, tell: Callable[[str], None]) -> Iterator[DaskPool]:
    """Give the workers of a Dask scheduler. Raises PoolError.

    tell: takes a line for people, e.g. that there are no workers yet.
    """
    try:
        from distributed import Client
    except ImportError:
        raise PoolError(
            "--scheduler takes Dask, which is not installed; pip install 'spusim[cluster]'"
        ) from None
    make_client: Any = Client  # which is untyped
    # its own accounts of lost connections would come on top of our one message
    for name in [n for n in logging.root.manager.loggerDict if n.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = make_client(address, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise PoolError(
            f"scheduler {address}: does not answer ({_first_line(error)}); check the address, and "
            "that `dask scheduler` runs there"
        ) from None
    try:
        if not client.nthreads():
            tell(f"waiting for workers of {address}")
            client.wait_for_workers(1)
        check_versions(address, _versions_of(address, client))
        yield DaskPool(address, client)
    finally:
        client.close(timeout=1)


def check_versions(where: str, found: dict[str, Versions]) -> None:
    """Raise PoolError for a worker with another spusim than ours."""
    for worker, theirs in found.items():
        if theirs != versions():
            raise PoolError(
                f"{where}: worker {worker} has {theirs}, this is {versions()}; install the same "
                "on both"
            )


def _versions_of(address: str, client: Any) -> dict[str, Versions]:
    try:
        found: dict[str, Versions] = client.run(versions)
    except ImportError as error:
        raise PoolError(
            f"scheduler {address}: a worker cannot import spusim ({error}); install it there"
        ) from None
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
