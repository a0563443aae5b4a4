"""A streaming frame: ours against a loop in PyTorch, both as the slope between two runs."""

import time
from collections.abc import Callable
from typing import Protocol

from benchmarks.rows import Row
from benchmarks.stopwatch import interleave

FEW = 5  # frames of the short run; the slope between it and the whole stream is a frame's time
ROUNDS = 25


class Contest(Protocol):
    """Two simulations of the same frames; `check` asserts that they agree."""

    frames: int

    def ours(self, count: int) -> object:
        """Run the first `count` frames: values and cycles."""

    def theirs(self, count: int) -> object:
        """Run the first `count` frames in PyTorch: values."""

    def check(self) -> None:
        """Assert that both compute the same."""


def frame_row(
    contest: Contest, name: str, target: float, stretch: float | None = None, rounds: int = ROUNDS
) -> Row:
    """Time a frame of ours over one of PyTorch's."""
    contest.check()
    contestants: dict[str, Callable[[], object]] = {
        "theirs": lambda: contest.theirs(contest.frames),
        "theirs, few": lambda: contest.theirs(FEW),
        "ours": lambda: contest.ours(contest.frames),
        "ours, few": lambda: contest.ours(FEW),
    }
    seconds = interleave(contestants, rounds, 1, time.process_time)
    ours, theirs = (
        (seconds[name] - seconds[f"{name}, few"]) / (contest.frames - FEW)
        for name in ("ours", "theirs")
    )
    detail = f"ours {1e6 * ours:.1f} us, PyTorch {1e6 * theirs:.1f} us"
    return Row(name, ours / theirs, "x", "<=", target, detail, stretch)
