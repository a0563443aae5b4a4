"""Interleaved timing: noise of the machine hits every contestant alike."""

import resource
import time
from collections.abc import Callable

import numpy as np

Contestants = dict[str, Callable[[], object]]


def children_seconds() -> float:
    """Return the processor time of all children that have ended, which other work changes least."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def interleave(
    contestants: Contestants,
    rounds: int,
    calls: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return each contestant's median seconds a call, of `rounds` rows of `calls` calls.

    The contestants' order is drawn anew for every round. The first call of a row finds the caches
    full of what came before and is left out, unless it is the only one. Everything has run once.
    """
    rng = np.random.default_rng(1)
    orders = [rng.permutation(list(contestants)).tolist() for _ in range(rounds)]
    seconds = _measure(contestants, orders, calls, clock)
    return {
        name: float(np.median(times[:, min(1, calls - 1) :])) for name, times in seconds.items()
    }


def alternate(contestants: Contestants, rounds: int) -> dict[str, float]:
    """Return each contestant's median seconds, one call each in turn, always in the same order."""
    seconds = _measure(contestants, [list(contestants)] * rounds, 1, time.perf_counter)
    return {name: float(np.median(times)) for name, times in seconds.items()}


def _measure(
    contestants: Contestants, orders: list[list[str]], calls: int, clock: Callable[[], float]
) -> dict[str, np.ndarray]:
    """Return seconds (rounds, calls) of every contestant."""
    for call in contestants.values():
        call()
    seconds = {name: np.empty((len(orders), calls)) for name in contestants}
    for number, order in enumerate(orders):
        for name in order:
            for k in range(calls):
                began = clock()
                contestants[name]()
                seconds[name][number, k] = clock() - began
    return seconds
