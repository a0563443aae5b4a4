"""A core: the sequencer issues threads to engine, vector unit and router port (T21 to T26).

Threads are executed ahead of time by the compiled interpreter, which gives every instruction's
duration; here they are issued in time. While one thread is alone, the time up to its next
synchronising instruction is one sum; otherwise each issue is an event of its own.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import simpy

from spusim.arch.spec import Arch
from spusim.kernels.layout import C, Op, T, Unit
from spusim.kernels.thread import next_instruction
from spusim.machine.contention import SharedPorts
from spusim.machine.events import CORES, Alarm
from spusim.machine.flight import Flight, Interpreter
from spusim.machine.load import LoadedCore
from spusim.machine.occupancy import NEVER, Occupancy
from spusim.machine.port import RouterPort
from spusim.machine.router import Message, Router
from spusim.machine.sequencer import Scoreboard

UNIT_CAUSE = {Unit.ENGINE: "engine", Unit.VECTOR: "vector", Unit.ROUTER: "router"}


class Core:
    """One core of the SPU."""

    def __init__(
        self, env: simpy.Environment, number: int, loaded: LoadedCore, arch: Arch, router: Router
    ):
        self._env, self.number, self.loaded = env, number, loaded
        self._dispatch_cycles = arch.core.pipeline.dispatch_cycles
        self._contexts = arch.core.sequencer.contexts
        self._alarm = Alarm(env, CORES, self._cycle)
        self._interpreter = Interpreter(number, loaded)
        self.shared = SharedPorts(loaded) if arch.core.ports == "shared" else None
        self._occupancy = Occupancy(arch.core.data_memory.banks, self.shared is None)
        self.port = RouterPort(
            env, number, loaded, self._interpreter, router, self._occupancy, self.shared,
            self._alarm.sooner,
        )  # fmt: skip
        self.scoreboard = Scoreboard(number, loaded.image.threads)
        self.flights: list[Flight] = []
        self._accounted = 0
        self._cause = "idle"
        self.sequencer_cycles: Counter[str] = Counter()
        self.vector_cycles: Counter[str] = Counter()
        self.last_end = 0
        self.post_to: Callable[[int, int], None] = lambda core, thread: None
        self.on_quiet: Callable[[], None] = lambda: None

    def token(self, thread: int) -> None:
        """Take a token in this cycle."""
        self.scoreboard.post(thread)
        self._alarm.sooner(int(self._env.now))

    def deliver(self, message: Message) -> None:
        """Take the token of a message that now stands in its channel."""
        self.token(message.thread)

    @property
    def quiet(self) -> bool:
        """Whether no thread is queued, running, or about to be."""
        return not self.flights and self.scoreboard.quiet

    def close(self, end: int) -> None:
        """Attribute the cycles up to the end of the run."""
        self._account(end)

    def _cycle(self) -> None:
        """The end of one cycle: complete, issue, count tokens, dispatch."""
        now = int(self._env.now)
        self._account(now)
        self._complete(now)
        self.port.receive(now)
        issued = self._issue(now)
        self.sequencer_cycles["busy" if issued else self._waiting_for(now)] += 1
        self._accounted = now + 1
        self.scoreboard.apply()
        self._dispatch(now)
        self._cause = self._waiting_for(now + 1)
        self._sleep(now)
        if self.quiet:
            self.on_quiet()

    def _account(self, now: int) -> None:
        """Attribute the sequencer's cycles before `now`, and issue what a lone thread did in them."""
        if self._alone:
            flight = self.flights[0]
            while flight.has_step and flight.ready_at < now:
                self._attribute(flight.ready_at)
                self.sequencer_cycles["busy"] += 1
                self._accounted += 1
                self._issue_step(flight, flight.ready_at)
                self._cause = self._waiting_for(self._accounted)
        self._attribute(now)

    def _attribute(self, until: int) -> None:
        if until > self._accounted:
            self.sequencer_cycles[self._cause] += until - self._accounted
            self._accounted = until

    @property
    def _alone(self) -> bool:
        return len(self.flights) == 1 and self.shared is None

    def _complete(self, now: int) -> None:
        """Free what completes in this cycle."""
        for unit in self.shared.advance(now) if self.shared else ():
            self._occupancy.take(unit, 0, now)
            for flight in self.flights:
                if flight.running == unit and flight.ready_at == NEVER:
                    flight.ready_at = now
        for flight in [f for f in self.flights if f.ended and f.ready_at <= now]:
            self.flights.remove(flight)
            self.scoreboard.ended(flight.number)
            self.last_end = now

    def _dispatch(self, now: int) -> None:
        """Move one thread from the ready queue to a free context (T23)."""
        if not self.scoreboard.ready or len(self.flights) >= self._contexts:
            return
        number = self.scoreboard.ready.popleft()
        name = self.loaded.image.threads[number].name
        flight = Flight(number, name, now + self._dispatch_cycles)
        self._interpreter.start(flight)
        self.flights.append(flight)

    def _waiting_for(self, now: int) -> str:
        """What the oldest thread in flight waits for in a cycle without an issue (T26)."""
        if not self.flights:
            return "idle"
        flight = self.flights[0]
        if flight.ready_at > now or flight.ended:
            return UNIT_CAUSE[flight.running] if flight.running else "dispatch"
        return "unit" if self._occupancy.unit_free_at(self._unit(flight)) > now else "banks"

    def _sleep(self, now: int) -> None:
        """Ring at the next cycle in which this core can do something by itself."""
        times = [self._next_time(flight) for flight in self.flights]
        if self.scoreboard.ready and len(self.flights) < self._contexts:
            times.append(now + 1)
        if self.shared is not None and (completion := self.shared.next_completion()) is not None:
            times.append(completion)
        earliest = min(times, default=NEVER)
        self._alarm.set(None if earliest >= NEVER else max(earliest, now + 1))

    def _next_time(self, flight: Flight) -> int:
        if flight.ready_at == NEVER or flight.ended:
            return flight.ready_at
        self._prepare(flight)
        if self._alone:
            return flight.ready_at + flight.cycles_ahead
        free = self._occupancy.unit_free_at(self._unit(flight))
        return max(flight.ready_at, free, self._occupancy.banks_free_at(self._banks(flight)))

    def _prepare(self, flight: Flight) -> None:
        """Have the next instruction at hand: executed ahead, or standing before a sync."""
        if self.shared is None and not flight.has_step and not flight.ended:
            if not self._interpreter.synchronising(flight):
                self._interpreter.run(flight)

    def _unit(self, flight: Flight) -> Unit:
        if flight.has_step:
            return Unit(flight.steps[flight.at][T.UNIT])
        return Unit(int(self._interpreter.row(flight)[1]))

    def _banks(self, flight: Flight) -> int:
        if flight.has_step:
            return flight.steps[flight.at][T.BANKS]
        row = self._interpreter.row(flight)
        return self.port.banks(flight, row) if row[0] in (Op.SEND, Op.RECV) else 0

    def _issue(self, now: int) -> bool:
        """Issue at most one instruction: that of the oldest thread that can (T24)."""
        for flight in self.flights:
            if flight.ended or flight.ready_at > now:
                continue
            self._prepare(flight)
            if self._occupancy.unit_free_at(self._unit(flight)) > now:
                continue
            if self._occupancy.banks_free_at(self._banks(flight)) > now:
                continue
            self._issue_one(flight, now)
            return True
        return False

    def _issue_one(self, flight: Flight, now: int) -> None:
        if flight.has_step:
            self._issue_step(flight, now)
            return
        row = self._interpreter.row(flight)
        if row[0] in (Op.SEND, Op.RECV):
            self.port.issue(flight, row, now)
        elif row[0] in (Op.END, Op.POST):
            self._issue_control(flight, row, now)
        else:
            self._issue_shared(flight, row, now)

    def _issue_step(self, flight: Flight, now: int) -> None:
        """Let an executed instruction occupy its unit and banks for its duration."""
        unit, cycles, banks, _ = flight.steps[flight.at]
        flight.at += 1
        self._occupy(flight, Unit(unit), banks, now + cycles)
        if unit == Unit.VECTOR:
            self.vector_cycles["busy"] += cycles

    def _occupy(self, flight: Flight, unit: Unit, banks: int, until: int) -> None:
        flight.running = None if unit == Unit.SEQUENCER else unit
        flight.ready_at = until
        self._occupancy.take(unit, banks, until)

    def _issue_control(self, flight: Flight, row: np.ndarray, now: int) -> None:
        """Run `end` or `post` on the sequencer (T21, T25)."""
        next_instruction(flight.context)
        self.loaded.arrays.counters[C.INSTRUCTION] += 1
        self._occupy(flight, Unit.SEQUENCER, 0, now + 1)
        if row[0] == Op.END:
            flight.ended = True
        elif row[2] == self.number:
            self.scoreboard.post(int(row[3]))
        else:
            self.post_to(int(row[2]), int(row[3]))

    def _issue_shared(self, flight: Flight, row: np.ndarray, now: int) -> None:
        """Execute one instruction's values; its unit is stepped from this cycle on (T19)."""
        assert self.shared is not None
        unit = Unit(int(row[1]))
        begin = self.shared.plan(unit, flight.context, row)
        self._interpreter.run(flight, 1)
        flight.at = len(flight.steps)
        self._occupy(flight, unit, 0, now + 1 if unit == Unit.SEQUENCER else NEVER)
        begin()

    def waits(self, flight: Flight) -> str:
        """Say what a flight waits for, for a deadlock report."""
        row = self._interpreter.row(flight)
        return f"thread {flight.name} waits for {self._waiting_for(NEVER - 1)} before pc {row[0]}"
