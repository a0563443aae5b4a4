"""A process that dies half-way through its answer is noticed, and another takes its seat."""

import multiprocessing
import os
import signal
import struct
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
