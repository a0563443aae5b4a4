"""The chip cycle by cycle in plain Python: rules T18 and T21 to T32 with reserved ports.

Nothing is skipped and nothing is predicted: every cycle visits every thread, port and message.
What one instruction does to memory, how long its unit takes and which banks it holds comes from
the machine's kernels (checked elsewhere); when it issues, and what everybody waits for, from here.
"""

from collections import Counter, deque

import numpy as np
from chip_parts import FOREVER, Core, Flight, Message

from spusim.arch import Arch
from spusim.kernels.layout import Op, Unit
from spusim.kernels.thread import next_instruction
from spusim.machine.host import pack_frames
from spusim.program import HOST, Program


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
        waits = max(message.requested + 1, self.out_free[message.sender])
        self.out_free[message.sender] = free
        for node in message.destinations:
            self.in_free[node] = free
            if node != HOST:
                self.cores[node].taken[message.channel] += message.words
        self.host["in"] += cycles * (HOST in message.destinations)
        if message.sender == HOST:
            self.host["out"] += cycles
            self.host["blocked"] += now + 1 - waits
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
