"""A core's router unit: send and recv (T28 to T30)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy

from spusim.kernels.layout import C, Op, P, Unit
from spusim.kernels.thread import address_offset, hold_banks, next_instruction, transfer_banks
from spusim.machine.contention import SharedPorts
from spusim.machine.events import DELIVERY, at
from spusim.machine.flight import Flight, Interpreter
from spusim.machine.load import LoadedCore
from spusim.machine.occupancy import NEVER, Occupancy, bank_mask
from spusim.machine.router import Message, Router
from spusim.program import HOST


@dataclass(frozen=True)
class Transfer:
    """A send or recv that has been issued."""

    flight: Flight
    issued: int
    address: int
    words: int
    banks: int
    channel: int


class RouterPort:
    """The unit that runs one transfer at a time."""

    def __init__(
        self,
        env: simpy.Environment,
        core: int,
        loaded: LoadedCore,
        interpreter: Interpreter,
        router: Router,
        occupancy: Occupancy,
        shared: SharedPorts | None,
        wake: Callable[[int], None],
    ):
        self._env, self._core, self._arrays = env, core, loaded.arrays
        self._state = loaded.state
        self._interpreter, self._router = interpreter, router
        self._occupancy, self._shared, self._wake = occupancy, shared, wake
        self._word_bytes = int(self._arrays.params[P.WORD_BYTES])
        self._awaiting: Transfer | None = None
        self.cycles: Counter[str] = Counter()

    def banks(self, flight: Flight, row: np.ndarray) -> int:
        """Banks that a send or recv would hold."""
        address, words = self._operands(flight, row)
        return bank_mask(address, words, int(self._arrays.params[P.BANKS]))

    def issue(self, flight: Flight, row: np.ndarray, now: int) -> None:
        """Begin a send or recv in this cycle."""
        address, words = self._operands(flight, row)
        channel = int(row[3] if row[0] == Op.SEND else row[2])
        transfer = Transfer(flight, now, address, words, self.banks(flight, row), channel)
        self._occupancy.take(Unit.ROUTER, transfer.banks, NEVER)
        flight.running, flight.ready_at = Unit.ROUTER, NEVER
        if row[0] == Op.SEND:
            self._send(transfer, int(row[2]), int(row[6]))
        else:
            self._awaiting = transfer
            self.receive(now)
        next_instruction(flight.context)
        self._arrays.counters[C.INSTRUCTION] += 1

    def receive(self, now: int) -> None:
        """Take the awaited message in this cycle, if it has been delivered."""
        transfer = self._awaiting
        if transfer is None:
            return
        channel = self._router.channels.get((self._core, transfer.channel))
        if channel is None:
            raise self._interpreter.error(
                transfer.flight, "the machine has no such channel; raise link.channels"
            )
        if not channel.messages:
            return
        message = channel.messages.popleft()
        if message.words != transfer.words:
            raise self._interpreter.error(
                transfer.flight,
                f"it takes a message of {message.words} words from node {message.sender}; the "
                "lengths must be equal (T30)",
            )
        self._awaiting = None
        begin = transfer.address * self._word_bytes
        self._arrays.memory[begin : begin + len(message.data)] = message.data
        done = now + transfer.words
        self.cycles["busy"] += transfer.words
        self.cycles["message"] += now - transfer.issued
        self._complete(transfer, C.DATA_WRITE, now, done)
        at(self._env, done, DELIVERY, lambda: self._router.room_freed(
            self._core, transfer.channel, transfer.words))  # fmt: skip

    def _send(self, transfer: Transfer, mask: int, thread: int) -> None:
        destinations = tuple(node for node in range(HOST + 1) if mask >> node & 1)
        to_host = HOST in destinations
        if not destinations or self._core in destinations or (to_host and len(destinations) > 1):
            raise self._interpreter.error(
                transfer.flight, "it must go to other cores, or to the host alone"
            )
        begin = transfer.address * self._word_bytes
        data = self._arrays.memory[begin : begin + transfer.words * self._word_bytes].copy()

        def granted(grant: int, done: int) -> None:
            self.cycles["busy"] += done - grant
            self.cycles["blocked"] += grant - transfer.issued
            self._complete(transfer, C.DATA_READ, grant + 1, done)

        self._router.request(
            Message(self._core, destinations, transfer.channel, transfer.words, data, thread,
                    transfer.issued, granted)
        )  # fmt: skip

    def _complete(self, transfer: Transfer, counter: C, first: int, done: int) -> None:
        """A transfer's accesses, from `first` on, and its completion are known now."""
        self._arrays.counters[counter] += transfer.words
        transfer_banks(self._state, transfer.address, transfer.words)
        self._occupancy.take(Unit.ROUTER, transfer.banks, done)
        transfer.flight.ready_at = done
        if self._shared is None:
            hold_banks(self._state, transfer.banks, done - transfer.issued)
            self._wake(done)
        else:
            interval = (done - first) // transfer.words
            self._shared.begin_transfer(first, transfer.address, transfer.words, interval)
            self._wake(first)

    def _operands(self, flight: Flight, row: np.ndarray) -> tuple[int, int]:
        """Word address and number of words of a send or recv."""
        column = 4 if row[0] == Op.SEND else 3
        address = int(row[column]) + int(address_offset(flight.context))
        words = int(row[column + 1])
        if words < 1 or (address + words) * self._word_bytes > len(self._arrays.memory):
            raise self._interpreter.error(
                flight, "it must have at least one word, all of them in data memory"
            )
        return address, words
