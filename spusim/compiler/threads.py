"""Threads of a core: who waits for what, and the instructions of each.

A frame runs through a core as a chain of threads: `frame` takes the host's message and computes
up to the first exchange; each exchange with another core starts the next thread, which needs a
token from the core's own previous thread and one from each message. The chain's last thread posts
`ready`, without which the next frame does not start, and so does `init` at the start of a file.

Tokens have no sender's name on them: a core that ran a frame ahead would be counted in the place
of one that is late. So cores that exchange anything meet at the end of a frame in the thread
`barrier` of core 0, which then posts `ready` to all of them.
"""

from dataclasses import dataclass

from spusim.compiler.code import Op, ThreadCode, op, vector_op
from spusim.compiler.core import CorePlan, StagePlan
from spusim.compiler.elementwise import move
from spusim.compiler.exchange import (
    HOST_CHANNEL,
    Exchange,
    Message,
    plan_exchanges,
    sender_channel,
)
from spusim.compiler.lowering import LOWERING
from spusim.compiler.memory import Vector
from spusim.compiler.stages import Stage
from spusim.program import HOST

INIT, FRAME = 0, 1


@dataclass(frozen=True)
class Threading:
    """Who has which thread; numbers are the same on all cores, so that one `send` reaches all."""

    stages: tuple[Stage, ...]
    exchanges: tuple[Exchange, ...]  # exchanges[n] leads to stage n + 1
    numbers: dict[int, int]  # exchange number -> thread, where any core has one
    workers: tuple[int, ...]  # cores with any work
    ports: dict[int, int]  # core -> output port

    @property
    def barrier(self) -> int:
        """Number of the thread `barrier` of core 0, where cores exchange anything."""
        return FRAME + 1 + len(self.numbers)

    def ready_target(self, core: int) -> tuple[int, int]:
        """Return (core, thread) to which a core posts that its frame has ended."""
        return (0, self.barrier) if self.numbers else (core, FRAME)


def plan_threading(stages: tuple[Stage, ...]) -> Threading:
    """Give the threads that exchanges start their numbers, in the order of the frame."""
    exchanges = plan_exchanges(stages)
    busy = [e.number for e in exchanges if any(e.received(core) for core in _receivers(e))]
    workers = sorted({core for stage in stages for core in stage.cores})
    return Threading(
        stages,
        exchanges,
        {number: FRAME + 1 + index for index, number in enumerate(busy)},
        tuple(workers),
        {core: port for port, core in enumerate(stages[-1].cores)},
    )


def _receivers(exchange: Exchange) -> set[int]:
    return {*exchange.before.cores, *(exchange.after.cores if exchange.after else ())}


def core_threads(threading: Threading, plan: CorePlan) -> list[ThreadCode]:
    """Return a core's threads in the order of their numbers."""
    if plan.core not in threading.workers:
        return [ThreadCode("init", 1, ())]
    chain = _Chain(threading, plan)
    chain.run()
    ready = _ready_op(threading, plan.core)
    bodies: dict[int, tuple[str, int, list[Op]]] = {INIT: ("init", 1, _init_ops(plan))}
    if FRAME in chain.ops:
        bodies[FRAME] = ("frame", 2, chain.ops[FRAME])
    for number, thread in threading.numbers.items():
        if thread in chain.ops:
            exchange = threading.exchanges[number - 1]
            bodies[thread] = (exchange.name, exchange.tokens(plan.core), chain.ops[thread])
    bodies[INIT][2].append(ready)
    chain.ops[chain.current].append(ready)
    if threading.numbers and plan.core == 0:
        tokens = len(threading.workers)
        bodies[threading.barrier] = ("barrier", tokens, _barrier_ops(threading))
    return [
        ThreadCode(bodies[n][0], bodies[n][1], tuple(bodies[n][2]))
        if n in bodies
        else ThreadCode("unused", 1, None)
        for n in range(max(bodies) + 1)
    ]


def _ready_op(threading: Threading, core: int) -> Op:
    target, thread = threading.ready_target(core)
    return op("post", "ready for the next frame", core=target, thread=thread)


def _barrier_ops(threading: Threading) -> list[Op]:
    return [
        op("post", "all are ready for the next frame", core=core, thread=FRAME)
        for core in threading.stages[0].cores
    ]


def _init_ops(plan: CorePlan) -> list[Op]:
    return [
        vector_op(
            "vfill",
            fill.name,
            {"len": fill.vector.elements, "wd": fill.vector.bits},
            d=fill.vector.address,
            value=fill.value,
        )
        for fill in plan.fills
    ]


class _Chain:
    """A core's way through a frame; `ops` are the instructions of each of its threads."""

    def __init__(self, threading: Threading, plan: CorePlan) -> None:
        self.threading = threading
        self.plan = plan
        self.core = plan.core
        self.ops: dict[int, list[Op]] = {}
        self.current = FRAME

    def run(self) -> None:
        """Go through all stages and exchanges."""
        first = self.plan.stages.get(0)
        if first:
            self.ops[FRAME] = [_receive("frame from the host", HOST_CHANNEL, first.operand.inputs)]
        for stage in self.threading.stages:
            exchange = self.threading.exchanges[stage.number]
            mine = self.plan.stages.get(stage.number)
            if mine:
                self._compute(mine)
                self._part(exchange, mine)
            self._gather(exchange)

    def _add(self, *ops: Op) -> None:
        self.ops[self.current] += ops

    def _compute(self, mine: StagePlan) -> None:
        for layer in mine.plans:
            self._add(*LOWERING[type(layer)](layer))
        if mine.stage is self.threading.stages[-1]:
            port = self.threading.ports[self.core]
            self._add(_send("output", (HOST,), port, mine.output, 0))

    def _part(self, exchange: Exchange, mine: StagePlan) -> None:
        """Send the own part, and post the own token of the thread that takes the others'."""
        thread = self.threading.numbers.get(exchange.number, 0)
        for message in exchange.messages(self.core):
            channel = sender_channel(self.core)
            source = mine.output if message.output else self._hidden(exchange, self.core)
            what = f"{mine.stage.name}: {'output' if message.output else 'h'} to the other cores"
            self._add(_send(what, message.receivers, channel, source, thread))
        if exchange.received(self.core):
            self._add(op("post", "own part is there", core=self.core, thread=thread))

    def _gather(self, exchange: Exchange) -> None:
        """Take the other cores' parts, in a thread of its own, and copy what is wanted twice."""
        received = exchange.received(self.core)
        if received:
            self.current = self.threading.numbers[exchange.number]
            self.ops[self.current] = []
        for sender, message in received:
            what = f"{exchange.before.name}: part of core {sender}"
            self._add(
                _receive(what, sender_channel(sender), self._landing(exchange, sender, message))
            )
        after = self.plan.stages.get(exchange.number)
        if exchange.before.gives_hidden and exchange.needs_hidden(self.core) and after:
            hidden = self.plan.stages[exchange.before.number].operand.hidden
            if hidden and hidden.address != after.operand.inputs.address:
                self._add(move(f"{exchange.before.name}: h", after.operand.inputs, hidden))

    def _landing(self, exchange: Exchange, sender: int, message: Message) -> Vector:
        """Return where a message goes: the next stage's operand if that is what it is for."""
        if message.output and exchange.needs_output(self.core):
            part = exchange.before.part_of(sender)
            inputs = self.plan.stages[exchange.number].operand.inputs
            return inputs.part(part.offset, part.size)
        return self._hidden(exchange, sender)

    def _hidden(self, exchange: Exchange, owner: int) -> Vector:
        """Return a core's part of the hidden state, as it lies here."""
        part = exchange.before.part_of(owner)
        hidden = self.plan.stages[exchange.before.number].operand.hidden
        assert hidden is not None  # only recurrent stages send it
        return hidden.part(part.offset, part.size)


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
