"""Threads in flight, messages, and a core's state and sequencer: the parts of `chip_model`."""

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from spusim.arch import Arch
from spusim.kernels.layout import Op, T, Unit, X
from spusim.kernels.thread import address_offset, run_thread, start_thread
from spusim.machine.load import load_core
from spusim.program import Program

UNIT_CAUSES = {Unit.ENGINE: "engine", Unit.VECTOR: "vector", Unit.ROUTER: "router"}
FOREVER = 1 << 50


@dataclass
class Flight:
    """A thread in flight."""

    thread: int
    ready_at: int
    context: np.ndarray = field(default_factory=lambda: np.zeros(X.COUNT, np.int64))
    step: tuple[int, int, int] | None = None  # unit, cycles, banks of its next instruction
    control: bool = False  # whether that is an `end` or `post`
    running: Unit | None = None
    ended: bool = False


@dataclass
class Message:
    """Words, or (without any) a token, on their way."""

    sender: int
    destinations: tuple[int, ...]
    channel: int
    words: int
    thread: int
    data: np.ndarray
    requested: int
    flight: Flight | None = None
    banks: int = 0
    granted: int | None = None
    arrives: int = FOREVER


class Core:
    """A core's sequencer and router port."""

    def __init__(self, number: int, program: Program, arch: Arch):
        self.number, self.arch = number, arch
        self.loaded = load_core(program.cores[number], program, arch)
        self.arrays, self.threads = self.loaded.arrays, program.cores[number].threads
        self.steps = np.zeros((1, T.COUNT), np.int64)
        self.unit_free = dict.fromkeys(Unit, 0)
        self.bank_free = [0] * arch.core.data_memory.banks
        self.held = [0] * arch.core.data_memory.banks
        self.ready: deque[int] = deque()
        self.flights: list[Flight] = []
        self.live: set[int] = set()
        self.waiting: set[int] = set()
        self.tokens: list[int] = []
        self.channels: dict[int, deque[Message]] = {}
        self.taken: Counter[int] = Counter()
        self.returns: list[tuple[int, int, int]] = []  # cycle, channel, words
        self.receiving: tuple[Flight, int, int, int, int, int] | None = None
        self.sequencer: Counter[str] = Counter()
        self.port: Counter[str] = Counter()
        self.vector = 0
        self.reset()

    def reset(self) -> None:
        """Begin a file."""
        self.counts = [thread.tokens for thread in self.threads]
        self.waiting.clear()
        self.channels.clear()
        self.taken.clear()

    @property
    def quiet(self) -> bool:
        """Whether no thread is queued, running, or about to be."""
        return not (self.flights or self.ready or self.tokens)

    def row(self, flight: Flight) -> np.ndarray:
        """Return the code row of the next instruction."""
        return self.loaded.arrays.code[flight.context[X.PC]]

    def prepare(self, flight: Flight) -> tuple[int, int, int]:
        """Return unit, cycles and banks of the next instruction, executing it if it has values."""
        if flight.step is None:
            row = self.row(flight)
            unit = Unit(int(row[1]))
            if unit == Unit.ROUTER:
                address, words = self.span(flight, row)
                mask = 0
                for word in range(words):
                    mask |= 1 << (address + word) % len(self.bank_free)
                flight.step = (unit, 0, mask)
            elif row[0] in (Op.END, Op.POST):
                flight.step, flight.control = (unit, 1, 0), True
            else:
                count, fault = run_thread(self.loaded.state, flight.context, self.steps, 1)
                assert count == 1 and not fault
                step = self.steps[0]
                flight.step = (Unit(int(step[T.UNIT])), int(step[T.CYCLES]), int(step[T.BANKS]))
        return flight.step

    def span(self, flight: Flight, row: np.ndarray) -> tuple[int, int]:
        """Return address and words of a send or recv."""
        at = 4 if row[0] == Op.SEND else 3
        return int(row[at] + address_offset(flight.context)), int(row[at + 1])

    def banks(self, mask: int) -> list[int]:
        """Return the banks of a mask."""
        return [bank for bank in range(len(self.bank_free)) if mask >> bank & 1]

    def occupy(self, unit: Unit, mask: int, until: int) -> None:
        """Let a unit and banks be taken until a cycle."""
        self.unit_free[unit] = until
        for bank in self.banks(mask):
            self.bank_free[bank] = until

    def apply_tokens(self) -> None:
        """T21, T22."""
        for thread in sorted(self.tokens):
            self.counts[thread] -= 1
            if self.counts[thread]:
                continue
            self.counts[thread] = self.threads[thread].tokens
            if thread not in self.live:
                self.live.add(thread)
                self.ready.append(thread)
            else:
                assert thread not in self.waiting
                self.waiting.add(thread)
        self.tokens.clear()

    def retire(self, now: int) -> None:
        """Let threads leave that end in this cycle."""
        for flight in [f for f in self.flights if f.ended and f.ready_at <= now]:
            self.flights.remove(flight)
            self.live.discard(flight.thread)
            if flight.thread in self.waiting:
                self.waiting.discard(flight.thread)
                self.live.add(flight.thread)
                self.ready.append(flight.thread)

    def dispatch(self, now: int) -> None:
        """T23."""
        if self.ready and len(self.flights) < self.arch.core.sequencer.contexts:
            thread = self.ready.popleft()
            flight = Flight(thread, now + self.arch.core.pipeline.dispatch_cycles)
            start_thread(flight.context, self.threads[thread].entry)
            self.flights.append(flight)

    def cause(self, now: int) -> str:
        """T26, for a cycle without an issue."""
        if not self.flights:
            return "idle"
        oldest = self.flights[0]
        if oldest.ready_at > now:
            return UNIT_CAUSES[oldest.running] if oldest.running else "dispatch"
        return "unit" if self.unit_free[self.prepare(oldest)[0]] > now else "banks"
