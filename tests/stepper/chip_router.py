"""Messages, T27 to T30: a core's router unit (`send`, `recv`), and ports of cores and host."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from chip_errors import ChipError
from chip_memory import DataMemory

from spusim.arch import Arch
from spusim.program import HOST

SENDING, RECEIVING = "send", "recv"


@dataclass
class Message:
    """Words on their way; `data` fills up as the sender reads them."""

    sender: int
    destinations: tuple[int, ...]
    channel: int
    words: int
    thread: int
    requested: int
    data: bytearray
    granted: int | None = None
    cycles: int = 0  # of the transfer, T27
    external: int | None = None  # the external memory word that a frame goes to, T60

    def moves_in(self, now: int) -> bool:
        """Tell whether the transfer runs in a cycle."""
        return self.granted is not None and self.granted < now <= self.granted + self.cycles


class Network:
    """Ports, channels' room, and messages and tokens on their way."""

    def __init__(self, arch: Arch) -> None:
        self.link = arch.link
        self.requests: list[Message] = []
        self.moving: list[tuple[int, Message]] = []  # with their arrivals
        self.tokens: list[tuple[int, int, int]] = []  # arrival, core, thread
        self.out_free: Counter[int] = Counter()  # node -> first cycle in which its port is free
        self.in_free: Counter[int] = Counter()
        self.taken: Counter[tuple[int, int]] = Counter()  # (core, channel) -> words
        self.counts: Counter[str] = Counter()

    def quiet(self) -> bool:
        """Tell whether nothing is on its way."""
        return not (self.requests or self.moving or self.tokens)

    def post(self, now: int, core: int, thread: int) -> None:
        """Send a token to another core, T25."""
        self.tokens.append((now + 1 + self.link.hop_cycles, core, thread))

    def arrivals(self, now: int) -> tuple[list[Message], list[tuple[int, int]]]:
        """Return what arrives in a cycle: messages, and (core, thread) of tokens."""
        messages = [message for arrival, message in self.moving if arrival == now]
        tokens = [(core, thread) for arrival, core, thread in self.tokens if arrival == now]
        self.moving = [one for one in self.moving if one[0] != now]
        self.tokens = [one for one in self.tokens if one[0] != now]
        return messages, tokens

    def settle(self, now: int) -> None:
        """Grant what can be granted at the end of a cycle, T28."""
        for message in sorted(self.requests, key=lambda message: message.sender):
            if self.can_go(now, message):
                self.grant(now, message)
        self.requests = [message for message in self.requests if message.granted is None]

    def can_go(self, now: int, message: Message) -> bool:
        """Tell whether all ports are free, and every channel has room."""
        if self.out_free[message.sender] > now:
            return False
        return all(
            self.in_free[node] <= now and (node == HOST or self.has_room(message, node))
            for node in message.destinations
        )

    def has_room(self, message: Message, core: int) -> bool:
        """Tell whether a core's channel has room; for a message from the host, is empty."""
        taken = self.taken[core, message.channel]
        if message.sender == HOST and taken:
            return False
        return taken + message.words <= self.link.channel_words

    def grant(self, now: int, message: Message) -> None:
        """Take ports and room, T27, T29."""
        by_host = message.sender == HOST or HOST in message.destinations
        cycles = message.words * (self.link.host_cycles_per_word if by_host else 1)
        message.granted, message.cycles = now, cycles
        self.out_free[message.sender] = now + 1 + cycles
        for node in message.destinations:
            self.in_free[node] = now + 1 + cycles
            if node != HOST:
                self.taken[node, message.channel] += message.words
        self.moving.append((now + 1 + cycles + self.link.hop_cycles, message))
        self.counts["router.word"] += message.words
        self.counts["link.word"] += message.words if by_host else 0


@dataclass
class Transfer:
    """A `send` or `recv` in the router unit."""

    kind: str
    channel: int
    address: int
    words: int
    message: Message | None = None  # the sent, or the taken one
    done_words: int = 0


class RouterUnit:
    """A core's router unit: one `send` or `recv` at a time."""

    name = "router"

    def __init__(self, core: int, network: Network, memory: DataMemory) -> None:
        self.core, self.network, self.memory = core, network, memory
        self.channels: dict[int, deque[Message]] = {}
        self.stalls: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.transfer: Transfer | None = None
        self.moves = False  # in the latest cycle
        self.busy = False
        self.done = False

    def deliver(self, message: Message) -> None:
        """Put a message into its channel."""
        self.channels.setdefault(message.channel, deque()).append(message)

    def banks(self, mnemonic: str, o: dict[str, int]) -> set[int]:
        """Return the banks that the instruction will access."""
        first = o["src" if mnemonic == SENDING else "dst"]
        words = self.memory.span(first, o["words"], self.memory.word_bits)
        return {self.memory.bank(word) for word in words}

    def start(self, now: int, mnemonic: str, o: dict[str, int]) -> None:
        """Begin; a `send` makes its request in the cycle of its issue."""
        self.banks(mnemonic, o)
        if not o["words"] or o["channel"] >= self.network.link.channels:
            raise ChipError(f"{mnemonic} {o} has no words, or no channel")
        self.busy, self.done = True, False
        self.transfer = Transfer(
            mnemonic, o["channel"], o["src" if mnemonic == SENDING else "dst"], o["words"]
        )
        if mnemonic == SENDING:
            self.transfer.message = self.requested(now, o)

    def requested(self, now: int, o: dict[str, int]) -> Message:
        """Request the ports of a message."""
        nodes = tuple(node for node in range(HOST + 1) if o["dest"] >> node & 1)
        message = Message(self.core, nodes, o["channel"], o["words"], o["thread"], now, bytearray())
        self.network.requests.append(message)
        return message

    def state(self) -> str:
        """Return what the unit does."""
        if self.transfer is None:
            return ""
        return f"{self.transfer.kind} word {self.transfer.done_words}"

    def cycle(self, now: int) -> None:
        """Take a cycle; the router is never refused a bank, T19."""
        assert self.transfer is not None
        step: dict[str, Callable[[int, Transfer], str]] = {
            SENDING: self.send_cycle,
            RECEIVING: self.recv_cycle,
        }
        cause = step[self.transfer.kind](now, self.transfer)
        self.stalls[cause] += 1
        self.moves = cause == "busy"

    def send_cycle(self, now: int, transfer: Transfer) -> str:
        """Wait for the grant, then read a word every c / words cycles; return the cause."""
        message = transfer.message
        assert message is not None
        if message.granted is None:
            return "busy" if now == message.requested else "blocked"
        elapsed = now - message.granted - 1
        if elapsed % (message.cycles // message.words) == 0:
            address = transfer.address + transfer.done_words
            self.memory.use(self.memory.bank(address), self.name)
            message.data += self.memory.word(address)
            self.counts["data_memory.read"] += 1
            transfer.done_words += 1
        self.done = elapsed + 1 == message.cycles
        return "busy"

    def recv_cycle(self, now: int, transfer: Transfer) -> str:
        """Wait for a message, then write a word a cycle; return the cause."""
        if transfer.message is None:
            waiting = self.channels.get(transfer.channel)
            if not waiting:
                return "message"
            transfer.message = waiting.popleft()
            if transfer.message.words != transfer.words:
                raise ChipError(
                    f"recv of {transfer.words} words, but the message of channel "
                    f"{transfer.channel} has {transfer.message.words} (T30)"
                )
        size = self.memory.word_bytes
        address, at = transfer.address + transfer.done_words, transfer.done_words * size
        self.memory.use(self.memory.bank(address), self.name)
        self.memory.put_word(address, bytes(transfer.message.data[at : at + size]))
        self.counts["data_memory.write"] += 1
        transfer.done_words += 1
        self.done = transfer.done_words == transfer.words
        return "busy"

    def complete(self) -> None:
        """Leave the unit; a `recv` gives its channel's room back, T29."""
        assert self.transfer is not None
        if self.transfer.kind == RECEIVING:
            self.network.taken[self.core, self.transfer.channel] -= self.transfer.words
        self.transfer = None
        self.moves = False
