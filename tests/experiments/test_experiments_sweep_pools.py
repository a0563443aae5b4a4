"""A process that dies half-way through its answer is noticed, and another takes its seat."""

import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from spusim.arch import load_arch
from spusim.experiments.layers import RandomLinear
from spusim.experiments.pool import own_cores
from spusim.experiments.sweep.jobs import Job
from spusim.experiments.sweep.pools import LocalSeat, local_pool
from spusim.experiments.sweep.worker import run_jobs

SOON_S = 60


def die_while_answering() -> None:
    """Write the head of a long message to the result pipe, then get killed."""
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    os.write(frame.f_locals["result_queue"]._writer.fileno(), struct.pack("!i", 1000) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_killed_while_answering_breaks_its_pool_and_can_be_replaced():
    seat = LocalSeat(multiprocessing.get_context("spawn"))
    try:
        with pytest.raises(BrokenProcessPool):
            seat.executor.submit(die_while_answering).result(SOON_S)
        seat.restart()
        assert seat.executor.submit(sum, (1, 2)).result(SOON_S) == 3
        assert seat.executor.submit(sum, (3, 4)).result(SOON_S) == 7  # closing twice is harmless
    finally:
        seat.executor.shutdown(wait=False, cancel_futures=True)


def test_a_message_names_the_process_that_computed():
    job = Job("key", {}, load_arch("tiny"), False, RandomLinear(4, 4, 0.5, 0.5))
    with local_pool(2) as pool:
        for seat in pool.seats:
            pid = seat.executor.submit(os.getpid).result(SOON_S)
            (outcome,) = seat.executor.submit(run_jobs, [job]).result(SOON_S)
            assert outcome.where == f"{socket.gethostname()}:{pid}"


PROGRAM = """
import os
from spusim.experiments.sweep.pools import local_pool
print("loaded", __name__, flush=True)  # and no guard: whoever loads it runs it
with local_pool(2) as pool:
    for seat in pool.seats:
        assert seat.executor.submit(os.getpid).result(60) != os.getpid()
"""


def test_processes_do_not_load_the_program_that_starts_them(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, tmp_path / "program.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("loaded __main__\n", "")


def answer_of(size: int) -> bytes:
    return bytes(size)


def test_answers_larger_than_the_pipe_arrive():
    with local_pool(1) as pool:
        sizes = [1 << 22, 1, 1 << 20, 1 << 16]
        futures = [pool.seats[0].executor.submit(answer_of, size) for size in sizes]
        assert [len(future.result(SOON_S)) for future in futures] == sizes


ALONE = """
import os, signal, sys, time
from spusim.experiments.sweep.server import start_server
start_server()
heavy = {'numpy', 'pydantic', 'rich', 'polars'} & set(sys.modules)
from multiprocessing.forkserver import _forkserver
print(sorted(heavy), _forkserver._forkserver_pid, flush=True)
os.kill(_forkserver._forkserver_pid, signal.SIGINT)
from spusim.experiments.sweep.pools import local_pool
if __name__ == "__main__":
    with local_pool(1) as pool:
        told = pool.seats[0].executor.submit(os.getppid).result(60)
    print(told, flush=True)
"""


def test_the_server_is_started_before_anything_large_is_loaded_and_is_deaf_to_ctrl_c():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    heavy, pid = first.split()
    assert (heavy, pid) == ("[]", second), done.stderr
    assert done.stderr == ""


PRELOADED = """
import gc, sys
from spusim.experiments.sweep import preload
print(gc.isenabled(), gc.get_freeze_count() > 10_000, {'polars', 'numba'} & set(sys.modules))
"""


def test_what_processes_inherit_is_loaded_and_nothing_is_compiled_for_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PRELOADED],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},  # where no kernel is kept
    )
    assert done.stdout == "True True set()\n", done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_as_many_processes_as_cores_that_may_be_used(monkeypatch):
    cores = own_cores()
    assert 1 <= cores <= os.cpu_count()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert own_cores() == 7
