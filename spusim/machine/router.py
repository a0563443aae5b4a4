"""The router and the host link: ports, the arbiter, channels (rules T27 to T30)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import simpy

from spusim.arch.spec import LinkSpec
from spusim.machine.errors import MachineError
from spusim.machine.events import DELIVERY, ROUTER, Alarm, at
from spusim.program import HOST


@dataclass(eq=False)
class Message:
    """Words on their way from one sender to one or more destinations."""

    sender: int
    destinations: tuple[int, ...]
    channel: int
    words: int
    data: np.ndarray
    thread: int
    requested: int
    granted: Callable[[int, int], None]  # told the grant cycle and the completion


@dataclass
class PortAccount:
    """Cycles of one direction of a port."""

    busy: int = 0
    blocked: int = 0


@dataclass
class Channel:
    """A receive channel: messages delivered, and words of room that are spoken for."""

    messages: deque[Message] = field(default_factory=deque)
    taken_words: int = 0


class Router:
    """Grants messages in a fixed order at the end of each cycle."""

    def __init__(self, env: simpy.Environment, spec: LinkSpec, cores: int):
        self._env, self._spec = env, spec
        nodes = [*range(cores), HOST]
        self._out_free = dict.fromkeys(nodes, 0)
        self._in_free = dict.fromkeys(nodes, 0)
        self._waiting: list[Message] = []
        self._alarm = Alarm(env, ROUTER, self._arbitrate)
        self._deliver: dict[int, Callable[[Message], None]] = {}
        self.channels = {
            (core, channel): Channel() for core in range(cores) for channel in range(spec.channels)
        }
        self.in_flight = 0  # messages and tokens not yet delivered
        self.words = 0
        self.link_words = 0
        self.host_out = PortAccount()
        self.host_in = PortAccount()

    def connect(self, node: int, deliver: Callable[[Message], None]) -> None:
        """Name what takes the messages of a node."""
        self._deliver[node] = deliver

    def request(self, message: Message) -> None:
        """Ask for a transfer in this cycle."""
        for node in message.destinations:
            self._check(node, message)
        self._waiting.append(message)
        self.in_flight += 1
        self._alarm.sooner(int(self._env.now))

    def post(self, deliver: Callable[[], None]) -> None:
        """Carry a token to another core (T25)."""
        self.in_flight += 1
        at(self._env, int(self._env.now) + 1 + self._spec.hop_cycles, DELIVERY,
           lambda: self._arrive(deliver))  # fmt: skip

    def room_freed(self, core: int, channel: int, words: int) -> None:
        """Give back a channel's room at the completion of its recv (T29)."""
        self.channels[core, channel].taken_words -= words
        if self._waiting:
            self._alarm.sooner(int(self._env.now))

    def reset(self) -> None:
        """Empty all channels at the start of a file (T31)."""
        for channel in self.channels.values():
            channel.messages.clear()
            channel.taken_words = 0

    @property
    def waiting(self) -> tuple[Message, ...]:
        """Messages not granted yet."""
        return tuple(self._waiting)

    def _check(self, node: int, message: Message) -> None:
        if node == HOST:
            return
        if (node, message.channel) not in self.channels:
            raise MachineError(
                f"a message goes to channel {message.channel} of core {node}; the machine has "
                f"{len(self._deliver) - 1} cores with link.channels (={self._spec.channels})"
            )
        if message.words > self._spec.channel_words:
            raise MachineError(
                f"a message of {message.words} words can never enter channel {message.channel} of "
                f"core {node}: link.channel_words (={self._spec.channel_words}); send it in parts"
            )

    def _arbitrate(self) -> None:
        """Grant what can be granted at the end of this cycle, cores in order before the host."""
        now = int(self._env.now)
        for message in sorted(self._waiting, key=lambda m: m.sender):
            if self._ready_at(message) <= now and self._has_room(message):
                self._grant(message, now)
        # A full channel is looked at again when its room is given back.
        later = [t for m in self._waiting if (t := self._ready_at(m)) > now]
        if later:
            self._alarm.sooner(min(later))

    def _ready_at(self, message: Message) -> int:
        ports = [self._in_free[node] for node in message.destinations]
        return max(self._out_free[message.sender], *ports)

    def _has_room(self, message: Message) -> bool:
        return all(
            node == HOST
            or self.channels[node, message.channel].taken_words + message.words
            <= self._spec.channel_words
            for node in message.destinations
        )

    def _grant(self, message: Message, now: int) -> None:
        self._waiting.remove(message)
        over_link = message.sender == HOST or HOST in message.destinations
        cycles = message.words * (self._spec.host_cycles_per_word if over_link else 1)
        free = now + 1 + cycles
        self._out_free[message.sender] = free
        for node in message.destinations:
            self._in_free[node] = free
            if node != HOST:
                self.channels[node, message.channel].taken_words += message.words
        self.words += message.words
        self.link_words += message.words if over_link else 0
        self._account(message, now, cycles)
        message.granted(now, free)
        at(self._env, free + self._spec.hop_cycles, DELIVERY, lambda: self._deliver_all(message))

    def _account(self, message: Message, now: int, cycles: int) -> None:
        if message.sender == HOST:
            self.host_out.busy += cycles
            self.host_out.blocked += now - message.requested
        if HOST in message.destinations:
            self.host_in.busy += cycles

    def _arrive(self, deliver: Callable[[], None]) -> None:
        self.in_flight -= 1
        deliver()

    def _deliver_all(self, message: Message) -> None:
        self.in_flight -= 1
        for node in message.destinations:
            if node != HOST:
                self.channels[node, message.channel].messages.append(message)
            self._deliver[node](message)
