"""A process that dies half-way through its answer is noticed, and another takes its seat."""

import multiprocessing
import os
import signal
import struct
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from spusim.experiments.sweep.pools import LocalSeat

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


CTRL_C = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from multiprocessing import forkserver
from spusim.experiments.sweep.pools import local_pool
with local_pool(1) as pool:  # the server has begun to import what workers need
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGINT)
    print(pool.seats[0].executor.submit(sum, (1, 2)).result(60))
    assert server == forkserver._forkserver._forkserver_pid
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a fork server")
def test_what_processes_come_from_is_deaf_to_interrupts_while_it_loads():
    """Else a Ctrl-C soon after the start of a sweep shows where in numpy it was, at length."""
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr, done.returncode) == ("3\n", "", 0)
