"""Threads of a core: counts, armings, the ready queue (rules T21 to T23)."""

from collections import deque
from dataclasses import dataclass

from spusim.machine.errors import MachineError
from spusim.program import Thread


@dataclass
class ThreadState:
    """A thread's entry of the scoreboard."""

    thread: Thread
    count: int
    live: bool = False  # queued or running
    waiting_arming: bool = False

    def __post_init__(self) -> None:
        """Refuse a thread that no token could ever arm."""
        if self.thread.tokens < 1:
            raise MachineError(
                f"thread {self.thread.name} has tokens (={self.thread.tokens}); it must be at "
                "least 1 to be armed at all"
            )


class Scoreboard:
    """Counts of all threads of a core, and its ready queue."""

    def __init__(self, core: int, threads: tuple[Thread, ...]):
        self.core = core
        self.threads = [ThreadState(thread, thread.tokens) for thread in threads]
        self.ready: deque[int] = deque()
        self._tokens: list[int] = []

    def post(self, thread: int) -> None:
        """Note a token that arrives in this cycle; raises MachineError for an unknown thread."""
        if not 0 <= thread < len(self.threads):
            raise MachineError(
                f"core {self.core} got a token for thread {thread}; it has threads 0 to "
                f"{len(self.threads) - 1}"
            )
        self._tokens.append(thread)

    def apply(self) -> None:
        """Apply this cycle's tokens in ascending thread number (T22)."""
        for number in sorted(self._tokens):
            self._token(number)
        self._tokens.clear()

    def _token(self, number: int) -> None:
        state = self.threads[number]
        state.count -= 1
        if state.count:
            return
        state.count = state.thread.tokens
        if not state.live:
            state.live = True
            self.ready.append(number)
        elif state.waiting_arming:
            raise MachineError(
                f"core {self.core}, thread {state.thread.name}: armed a second time while one "
                "arming is already waiting (T21); let its producers wait for a token from it"
            )
        else:
            state.waiting_arming = True

    def ended(self, number: int) -> None:
        """Let a thread leave; an arming that waited puts it back into the ready queue."""
        state = self.threads[number]
        state.live = state.waiting_arming
        if state.waiting_arming:
            state.waiting_arming = False
            self.ready.append(number)

    def reset(self) -> None:
        """Start of a file (T31): counts go back, armings are dropped."""
        for state in self.threads:
            state.count = state.thread.tokens
            state.waiting_arming = False

    @property
    def quiet(self) -> bool:
        """Whether no thread is queued or running, and no token waits to be applied."""
        return not self._tokens and not any(state.live for state in self.threads)
