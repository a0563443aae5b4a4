"""Threads of a core: who waits for what, and the instructions of each.

A frame runs through a core as a chain of threads: `frame` takes the host's message and computes
up to the first exchange; each exchange with another core starts the next thread, which needs a
token from the core's own previous thread and one from each message. The chain's last thread posts
`ready`, without which the next frame does not start, and so does `init` at the start of a file.

Tokens have no sender's name on them: a core that ran a frame ahead would be counted in the place
of one that is late. So cores that exchange anything, or of which one sends no output, meet at the
end of a frame in the thread `barrier` of core 0, which then posts `ready` to all of them.
"""

from dataclasses import dataclass

from spusim.compiler.code import Op, ThreadCode, op
from spusim.compiler.distribution import Distribution, Run
from spusim.compiler.lowering import Site, lower, lower_fill, lower_move
from spusim.compiler.memory import Vector
from spusim.network.records import Constant, Cut, Join
from spusim.program import HOST

INIT, FRAME = 0, 1
HOST_CHANNEL = 0


def sender_channel(core: int) -> int:
    """Return the channel in which every core finds a core's messages."""
    return 1 + core


@dataclass(frozen=True)
class Threading:
    """Who has which thread; numbers are the same on all cores, so that one `send` reaches all."""

    plan: Distribution
    numbers: dict[int, int]  # phase that an exchange leads to -> thread
    names: dict[int, str]  # phase -> the thread's name
    workers: tuple[int, ...]  # cores with any work
    starters: tuple[int, ...]  # cores that a frame's input starts

    @property
    def meets(self) -> bool:
        """Whether cores meet when a frame ends: one could run ahead of another otherwise."""
        return bool(self.numbers) or {*self.workers} > {run.sender for run in self.plan.output}

    @property
    def barrier(self) -> int:
        """Number of the thread `barrier` of core 0, where cores exchange anything."""
        return FRAME + 1 + len(self.numbers)

    def received(self, core: int, phase: int) -> tuple[Run, ...]:
        """Return the messages that a core takes when a phase begins, in the order of sending."""
        if not phase:
            return ()
        runs = self.plan.exchanges[phase - 1]
        return tuple(
            run for sender in self.workers for run in runs
            if run.sender == sender and core in run.receivers
        )  # fmt: skip

    def ready_target(self, core: int) -> tuple[int, int]:
        """Return (core, thread) to which a core posts that its frame has ended."""
        return (0, self.barrier) if self.meets else (core, FRAME)


def plan_threading(plan: Distribution) -> Threading:
    """Give the threads that exchanges start their numbers, in the order of the frame."""
    phases = [phase + 1 for phase, runs in enumerate(plan.exchanges) if runs]
    starters = {core for cores in plan.held[plan.graph.network.input.name] for core in cores}
    receivers = {core for runs in plan.exchanges for run in runs for core in run.receivers}
    return Threading(
        plan,
        {phase: FRAME + 1 + number for number, phase in enumerate(phases)},
        {phase: _name(plan, phase) for phase in phases},
        tuple(sorted(starters | receivers)),
        tuple(sorted(starters)),
    )


def _name(plan: Distribution, phase: int) -> str:
    """Return the layer with which a phase begins, else what is exchanged before it."""
    for node in plan.graph.network.nodes:
        if plan.phases[node.name] == phase and not isinstance(node, Constant | Join | Cut):
            return node.layer
    return plan.exchanges[phase - 1][0].root


def core_threads(threading: Threading, site: Site) -> list[ThreadCode]:
    """Return a core's threads in the order of their numbers."""
    core = site.space.core
    if core not in threading.workers:
        return [ThreadCode("init", 1, ())]
    chain = _Chain(threading, site)
    chain.run()
    target, thread = threading.ready_target(core)
    ready = op("post", "ready for the next frame", core=target, thread=thread)
    chain.ops[chain.current].append(ready)
    bodies = {INIT: ("init", 1, [*init_ops(site), ready])}
    if FRAME in chain.ops:
        bodies[FRAME] = ("frame", 2, chain.ops[FRAME])
    for phase, number in threading.numbers.items():
        if number in chain.ops:
            bodies[number] = (threading.names[phase], chain.tokens[number], chain.ops[number])
    if threading.meets and core == 0:
        bodies[threading.barrier] = ("barrier", len(threading.workers), _barrier_ops(threading))
    return [
        ThreadCode(bodies[n][0], bodies[n][1], tuple(bodies[n][2]))
        if n in bodies
        else ThreadCode("unused", 1, None)
        for n in range(max(bodies) + 1)
    ]


def _barrier_ops(threading: Threading) -> list[Op]:
    # Whoever sends an output is posted last: once it has left, all tokens are on their way.
    senders = {run.sender for run in threading.plan.output}
    return [
        op("post", "all are ready for the next frame", core=core, thread=FRAME)
        for core in sorted(threading.starters, key=lambda core: (core in senders, core))
    ]


def init_ops(site: Site) -> list[Op]:
    """Return what a core does when a file starts."""
    places = site.places
    fills = [each for fill in places.fills for each in lower_fill(fill)]
    return fills + [each for move in places.restores for each in lower_move(move)]


class _Chain:
    """A core's way through a frame; `ops` and `tokens` are those of each of its threads."""

    def __init__(self, threading: Threading, site: Site) -> None:
        self.threading, self.site, self.plan = threading, site, threading.plan
        self.core = site.space.core
        self.ops: dict[int, list[Op]] = {}
        self.tokens: dict[int, int] = {}
        self.current = INIT
        self.sent: set[int] = set()  # output ports that have been sent
        self.done: set[str] = set()  # nodes that have been computed

    def run(self) -> None:
        """Go through all phases."""
        if self.core in self.threading.starters:
            self.current, self.ops[FRAME] = FRAME, []
            self._add([received_frame(self.site)])
        for phase in range(len(self.plan.exchanges) + 1):
            self._receive(phase)
            self._output()
            for node in self.plan.graph.network.nodes:
                if self.plan.phases[node.name] == phase and self.plan.computes(self.core, node):
                    self._add(lower(self.site, node))
                    self.done.add(node.name)
                    self._output()
            if phase < len(self.plan.exchanges):
                self._send(phase)
        for move in self.site.places.updates:
            self._add(lower_move(move))

    def _add(self, ops: list[Op]) -> None:
        if ops:
            self.ops[self.current] += ops

    def _output(self) -> None:
        self._add(sent_outputs(self.site, self.done, self.sent))

    def _receive(self, phase: int) -> None:
        """Take the other cores' messages, in a thread of its own."""
        received = self.threading.received(self.core, phase)
        if not received:
            return
        started = self.current != INIT
        number = self.threading.numbers[phase]
        if started:
            self._add([op("post", "own part is there", core=self.core, thread=number)])
        self.current, self.ops[number] = number, []
        self.tokens[number] = len(received) + started
        for run in received:
            what = f"{run.root}: part of core {run.sender}"
            self._add([_receive(what, sender_channel(run.sender), self._run(run))])

    def _send(self, phase: int) -> None:
        """Send what other cores want of what the phase has made."""
        for run in self.plan.exchanges[phase]:
            if run.sender == self.core:
                channel, thread = sender_channel(self.core), self.threading.numbers[phase + 1]
                what = f"{run.root}: to the other cores"
                self._add([_send(what, run.receivers, channel, self._run(run), thread)])

    def _run(self, run: Run) -> Vector:
        return _vector(self.site, run.root, run.pieces)


def received_frame(site: Site) -> Op:
    """Return what takes a frame from the host."""
    name = site.plan.graph.network.input.name
    vector = _vector(site, name, range(len(site.plan.layouts[name].firsts)))
    return _receive("frame from the host", HOST_CHANNEL, vector)


def sent_outputs(site: Site, done: set[str], sent: set[int]) -> list[Op]:
    """Return what sends the outputs that are there and have not been sent; notes them as `sent`.

    done: nodes that have been computed; sent: output ports.
    """
    ops = []
    for port, run in enumerate(site.plan.output):
        maker = site.plan.graph.makers.get(run.root)
        made = maker is None or maker.name in done
        if made and run.sender == site.space.core and port not in sent:
            sent.add(port)
            vector = _vector(site, run.root, run.pieces)
            ops.append(_send("output", (HOST,), port, vector, 0))
    return ops


def _vector(site: Site, root: str, pieces: range) -> Vector:
    """Return a run of a root's pieces, as they lie on a core."""
    layout = site.plan.layouts[root]
    elements = layout.extent(pieces)
    return Vector(site.places.words[root, pieces.start], elements, layout.bits, layout.word_bits)


def _receive(comment: str, channel: int, vector: Vector) -> Op:
    return op("recv", comment, channel=channel, dst=vector.address, words=vector.words)


def _send(
    comment: str, receivers: tuple[int, ...], channel: int, vector: Vector, thread: int
) -> Op:
    mask = sum(1 << receiver for receiver in receivers)
    return op(
        "send", comment, dest=mask, channel=channel, src=vector.address, words=vector.words,
        thread=thread,
    )  # fmt: skip
