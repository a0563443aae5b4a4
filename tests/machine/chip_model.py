"""The chip cycle by cycle in plain Python: rules T18 and T21 to T32 with reserved ports.

Nothing is skipped and nothing is predicted: every cycle visits every thread, port and message.
What one instruction does to memory, how long its unit takes and which banks it holds comes from
the machine's kernels (checked elsewhere); when it issues, and what everybody waits for, from here.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from spusim.arch import Arch
from spusim.kernels.layout import Op, T, Unit, X
from spusim.kernels.thread import address_offset, next_instruction, run_thread, start_thread
from spusim.machine.host import pack_frames
from spusim.machine.load import load_core
from spusim.program import HOST, Program

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


class ChipModel:
    """Cores, router and host; `run` gives what is comparable with a RunResult."""

    def __init__(self, program: Program, arch: Arch, frames: np.ndarray, starts, period=None):
        self.program, self.arch, self.period = program, arch, period
        self.cores = [Core(c, program, arch) for c in range(arch.cores)]
        nodes = [*range(arch.cores), HOST]
        self.out_free, self.in_free = dict.fromkeys(nodes, 0), dict.fromkeys(nodes, 0)
        self.messages: list[Message] = []
        self.words = pack_frames(frames, program)
        self.bounds = [*starts, len(frames)]
        self.sent = self.done = self.file = 0
        self.began, self.ended = [0] * len(frames), [0] * len(frames)
        self.missing: set[tuple[int, int]] = set()
        width = max(p.offset + p.elements for p in program.outputs)
        self.outputs = np.zeros((len(frames), width), np.int64)
        self.start = 0
        self.host: Counter[str] = Counter()

    def run(self, limit: int = 100_000) -> int:
        """Run all files; return the last cycle."""
        now = 0
        self.begin_file(now)
        while now < limit:
            self.deliver(now)
            for core in self.cores:
                self.core_cycle(core, now)
            self.arbitrate(now)
            if self.done == self.bounds[self.file + 1] and self.quiet():
                self.file += 1
                if self.file == len(self.bounds) - 1:
                    return now
                self.begin_file(now + 1)
            now += 1
        raise AssertionError("the model does not end")

    def quiet(self) -> bool:
        """T31: nothing runs, and nothing is on its way."""
        return not self.messages and all(core.quiet for core in self.cores)

    def begin_file(self, now: int) -> None:
        """T31; called at the end of the cycle before, or at 0."""
        self.start = now
        for core in self.cores:
            core.reset()
        for c, thread in self.program.init_threads:
            self.cores[c].tokens.append(thread)
        self.next_request = now

    def deliver(self, now: int) -> None:
        """What arrives in this cycle, and what the host does about it."""
        for core in self.cores:
            for entry in [e for e in core.returns if e[0] == now]:
                core.returns.remove(entry)
                core.taken[entry[1]] -= entry[2]
        for message in [m for m in self.messages if m.arrives == now]:
            self.messages.remove(message)
            for node in message.destinations:
                if node == HOST:
                    self.take_output(message, now)
                    continue
                self.cores[node].tokens.append(message.thread)
                if message.words:
                    queue = self.cores[node].channels.setdefault(message.channel, deque())
                    queue.append(message)
        if self.next_request is not None and self.next_request <= now:
            self.request_frame(now)

    def request_frame(self, now: int) -> None:
        """Ask for the next frame's transfer."""
        port, data = self.program.input, self.words[self.sent]
        self.messages.append(
            Message(HOST, port.cores, port.channel, len(data), port.thread, data.ravel(), now)
        )
        self.sent += 1
        self.next_request = None

    def take_output(self, message: Message, now: int) -> None:
        """Store a port's elements; the last of a frame ends it."""
        ports = {(p.core, p.channel): p for p in self.program.outputs}
        self.missing = self.missing or set(ports)
        self.missing.remove((message.sender, message.channel))
        port = ports[message.sender, message.channel]
        values = message.data.view(f"<i{port.bits // 8}")[: port.elements]
        self.outputs[self.done, port.offset : port.offset + port.elements] = values
        if self.missing:
            return
        self.ended[self.done] = now
        self.done += 1
        if self.period is None and self.sent < self.bounds[self.file + 1]:
            self.next_request = now

    def core_cycle(self, core: Core, now: int) -> None:
        """The end of a core's cycle."""
        core.retire(now)
        self.receive(core, now)
        core.sequencer["busy" if self.issue(core, now) else core.cause(now)] += 1
        core.apply_tokens()
        core.dispatch(now)

    def issue(self, core: Core, now: int) -> bool:
        """T24: the oldest that can."""
        for flight in core.flights:
            if flight.ended or flight.ready_at > now:
                continue
            unit, cycles, mask = core.prepare(flight)
            if core.unit_free[unit] > now or any(core.bank_free[b] > now for b in core.banks(mask)):
                continue
            flight.step = None
            flight.running = None if unit == Unit.SEQUENCER else unit
            if unit == Unit.ROUTER:
                self.issue_transfer(core, flight, mask, now)
                return True
            control, flight.control = flight.control, False
            flight.ready_at = now + cycles
            core.occupy(unit, mask, now + cycles)
            for bank in core.banks(mask):
                core.held[bank] += cycles
            core.vector += cycles if unit == Unit.VECTOR else 0
            if control:
                self.control(core, flight, core.row(flight), now)
            return True
        return False

    def control(self, core: Core, flight: Flight, row: np.ndarray, now: int) -> None:
        """`end` and `post`."""
        next_instruction(flight.context)
        if row[0] == Op.END:
            flight.ended = True
        elif row[2] == core.number:
            core.tokens.append(int(row[3]))
        else:
            arrives = now + 1 + self.arch.link.hop_cycles
            self.messages.append(
                Message(core.number, (int(row[2]),), 0, 0, int(row[3]), np.zeros(0), now,
                        granted=now, arrives=arrives)
            )  # fmt: skip

    def issue_transfer(self, core: Core, flight: Flight, mask: int, now: int) -> None:
        """Begin a send or recv."""
        row = core.row(flight)
        address, words = core.span(flight, row)
        core.occupy(Unit.ROUTER, mask, FOREVER)
        flight.ready_at = FOREVER
        next_instruction(flight.context)
        if row[0] == Op.RECV:
            core.receiving = (flight, int(row[2]), address, words, mask, now)
            self.receive(core, now)
            return
        width = self.program.word_bits // 8
        data = core.arrays.memory[address * width : (address + words) * width].copy()
        nodes = tuple(n for n in range(HOST + 1) if int(row[2]) >> n & 1)
        self.messages.append(
            Message(core.number, nodes, int(row[3]), words, int(row[6]), data, now, flight, mask)
        )

    def receive(self, core: Core, now: int) -> None:
        """T30: take the awaited message if it is there."""
        if core.receiving is None:
            return
        flight, channel, address, words, mask, issued = core.receiving
        if not core.channels.get(channel):
            return
        message = core.channels[channel].popleft()
        assert message.words == words
        width = self.program.word_bits // 8
        core.arrays.memory[address * width : (address + words) * width] = message.data
        core.receiving = None
        core.port["busy"] += words
        core.port["message"] += now - issued
        core.returns.append((now + words, channel, words))
        self.complete(core, flight, mask, issued, now + words)

    def complete(self, core: Core, flight: Flight, mask: int, issued: int, done: int) -> None:
        """The end of a transfer is known."""
        core.occupy(Unit.ROUTER, mask, done)
        flight.ready_at = done
        for bank in core.banks(mask):
            core.held[bank] += done - issued

    def arbitrate(self, now: int) -> None:
        """T28."""
        for message in sorted(
            (m for m in self.messages if m.granted is None), key=lambda m: m.sender
        ):
            ports = [self.in_free[node] for node in message.destinations]
            if max(self.out_free[message.sender], *ports) <= now and self.room(message):
                self.grant(message, now)

    def room(self, message: Message) -> bool:
        """Whether all channels have room; for the host's, are empty."""
        for node in message.destinations:
            if node == HOST:
                continue
            taken = self.cores[node].taken[message.channel]
            if taken + message.words > self.arch.link.channel_words:
                return False
            if taken and message.sender == HOST:
                return False
        return True

    def grant(self, message: Message, now: int) -> None:
        """T27 to T30."""
        link = message.sender == HOST or HOST in message.destinations
        cycles = message.words * (self.arch.link.host_cycles_per_word if link else 1)
        message.granted, free = now, now + 1 + cycles
        message.arrives = free + self.arch.link.hop_cycles
        self.out_free[message.sender] = free
        for node in message.destinations:
            self.in_free[node] = free
            if node != HOST:
                self.cores[node].taken[message.channel] += message.words
        self.host["in"] += cycles * (HOST in message.destinations)
        if message.sender == HOST:
            self.host["out"] += cycles
            self.host["blocked"] += now - message.requested
            self.began[self.sent - 1] = now + 1
            if self.period is not None and self.sent < self.bounds[self.file + 1]:
                due = self.start + (self.sent - self.bounds[self.file]) * self.period
                self.next_request = max(due, now + 1)  # one request at a time
            return
        core, flight = self.cores[message.sender], message.flight
        assert flight is not None
        core.port["busy"] += free - now
        core.port["blocked"] += now - message.requested
        self.complete(core, flight, message.banks, message.requested, free)

    def figures(self) -> dict[str, object]:
        """Run, and return what `comparable` takes from a RunResult."""
        cycles = self.run()
        units = {}
        for c, core in enumerate(self.cores):
            units[f"core{c}.sequencer"] = _counted(core.sequencer, cycles)
            units[f"core{c}.router"] = _counted(core.port, cycles)
            units[f"core{c}.vector"] = _counted(Counter(busy=core.vector), cycles)
            for bank, held in enumerate(core.held):
                units[f"core{c}.data_memory.bank{bank}"] = held
        host_out = Counter(busy=self.host["out"], blocked=self.host["blocked"])
        units["host.out"] = _counted(host_out, cycles)
        units["host.in"] = _counted(Counter(busy=self.host["in"]), cycles)
        frame_cycles = [e - b for b, e in zip(self.began, self.ended, strict=True)]
        return {
            "cycles": cycles, "frame_cycles": frame_cycles, "outputs": self.outputs.tolist(),
            "units": units,
        }  # fmt: skip


def _counted(causes: Counter[str], cycles: int) -> dict[str, int]:
    """Fill up with idle cycles, and leave out zeros."""
    rest = cycles - sum(n for name, n in causes.items() if name != "idle")
    return {name: n for name, n in {**causes, "idle": rest}.items() if n}


def comparable(result) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """Return the figures of a RunResult that the model has too."""
    units: dict[str, object] = {}
    for unit, causes in result.stalls.items():
        if ".bank" in unit:
            units[unit] = causes["busy"] + causes.get("held", 0)
        elif ".pe" not in unit and ".scanner" not in unit:
            units[unit] = {name: n for name, n in causes.items() if n}
    return {
        "cycles": result.cycles, "frame_cycles": result.frame_cycles.tolist(),
        "outputs": result.outputs.tolist(), "units": units,
    }  # fmt: skip
