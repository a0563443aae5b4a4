"""Interleaved timing: noise of the machine hits every contestant alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Median seconds of a call: in a row of calls, and the first after the others' turns."""

    warm: float
    first: float


def interleave(
    contestants: dict[str, Callable[[], object]], rounds: int, calls: int
) -> dict[str, Timing]:
    """Time each contestant `calls` times in a row, `rounds` times over, in rotating order.

    The first call of a row finds the caches full of the others' data, and is kept apart; where
    there is only one call in a row it counts as both. Everything has run once before.
    """
    for call in contestants.values():
        call()
    names = list(contestants)
    seconds = {name: np.empty((rounds, calls)) for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            _row(contestants[name], seconds[name][number])
    return {name: _summary(times) for name, times in seconds.items()}


def _row(call: Callable[[], object], seconds: np.ndarray) -> None:
    for k in range(len(seconds)):
        began = time.perf_counter_ns()
        call()
        seconds[k] = (time.perf_counter_ns() - began) * 1e-9


def _summary(seconds: np.ndarray) -> Timing:
    warm = seconds[:, 1:] if seconds.shape[1] > 1 else seconds
    return Timing(float(np.median(warm)), float(np.median(seconds[:, 0])))
