"""Tokens and messages: what arms threads, and what their `recv` takes (T21, T29, T30)."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from spusim.golden.errors import CodeError, DoubleArmingError, UnknownError
from spusim.golden.races import Races, Stamp
from spusim.program import CoreImage, Thread


@dataclass(frozen=True)
class Message:
    """Whole words on their way: (n,) uint8, and the event that sent them."""

    data: np.ndarray
    sent: Stamp


@dataclass
class ThreadState:
    """A thread's scoreboard entry. `tokens` are those of the arming under way."""

    core: int
    number: int
    spec: Thread
    tokens: list[Stamp] = field(default_factory=list)
    armed_by: tuple[Stamp, ...] = ()  # tokens of the latest arming
    waiting: tuple[Stamp, ...] | None = None  # tokens of the one arming that may wait
    active: bool = False  # queued or running
    resume: int = 0  # instruction with which it goes on when it is dispatched (T59)

    @property
    def name(self) -> str:
        """The words that tell it in errors."""
        return f"core {self.core} thread {self.number} ({self.spec.name})"


@dataclass(frozen=True)
class Arming:
    """An entry of the ready queue: a thread, and the tokens that armed it."""

    thread: ThreadState
    tokens: tuple[Stamp, ...]


class Scoreboard:
    """All threads of the chip, and their common FIFO ready queue."""

    def __init__(self, cores: tuple[CoreImage, ...], races: Races) -> None:
        self.ready: deque[Arming] = deque()
        self._races = races
        self.threads = [
            [ThreadState(c, n, spec) for n, spec in enumerate(image.threads)]
            for c, image in enumerate(cores)
        ]
        for thread in self.all_threads():
            if thread.spec.tokens < 1:
                raise CodeError(
                    f"{thread.name} is armed by {thread.spec.tokens} tokens; it needs at least one"
                )

    def all_threads(self) -> list[ThreadState]:
        """Return every thread, core by core."""
        return [thread for core in self.threads for thread in core]

    def reset(self) -> None:
        """Set every count back to N, as at the start of a file (T31); all threads are idle."""
        for thread in self.all_threads():
            thread.tokens, thread.armed_by, thread.waiting = [], (), None
            thread.resume = thread.spec.entry

    def thread(self, core: int, number: int) -> ThreadState:
        """Return a thread; raises UnknownError if there is none."""
        if core >= len(self.threads) or number >= len(self.threads[core]):
            raise UnknownError(
                f"core {core} thread {number} does not exist; the program has "
                f"{[len(threads) for threads in self.threads]} threads on its cores"
            )
        return self.threads[core][number]

    def post(self, core: int, number: int, token: Stamp) -> None:
        """Subtract one from a thread's count, and arm it at zero (T21).

        Raises UnknownError, DoubleArmingError, RaceError.
        """
        thread = self.thread(core, number)
        self._races.token(thread.armed_by, token, thread.name)
        thread.tokens.append(token)
        if len(thread.tokens) == thread.spec.tokens:
            self._arm(thread)

    def ended(self, thread: ThreadState) -> None:
        """Let a thread that has ended run again if an arming waits for it."""
        thread.active = False
        if thread.waiting is not None:
            waiting, thread.waiting = thread.waiting, None
            self._enqueue(thread, waiting)

    def _arm(self, thread: ThreadState) -> None:
        thread.armed_by, thread.tokens = tuple(thread.tokens), []
        if not thread.active:
            self._enqueue(thread, thread.armed_by)
        elif thread.waiting is None:
            thread.waiting = thread.armed_by
        else:
            raise DoubleArmingError(
                f"{thread.name} is armed again while it is active and an arming already waits; at "
                "most one may wait (T21): let the thread's end post to what arms it"
            )

    def _enqueue(self, thread: ThreadState, tokens: tuple[Stamp, ...]) -> None:
        thread.active = True
        self.ready.append(Arming(thread, tokens))
