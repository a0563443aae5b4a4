"""A running thread: where it is, its vector state, and its accesses to its core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spusim.golden.errors import CodeError
from spusim.golden.races import Stamp
from spusim.golden.state import CoreState, RandomState, VectorState, element_bytes, elements
from spusim.golden.tokens import ThreadState
from spusim.numerics import Draw

if TYPE_CHECKING:
    from spusim.golden.chip import Chip

LOOP_DEPTH = 4


@dataclass
class Loop:
    """A loop being executed: its body is [first, end)."""

    first: int
    end: int
    count: int
    bump: int
    iteration: int = 0


class Activation:
    """One execution of a thread, from its arming to its `end` or `yield`.

    count: executions of the thread in this file before this one.
    """

    def __init__(self, chip: Chip, thread: ThreadState, count: int) -> None:
        self.chip = chip
        self.thread = thread
        self.core: CoreState = chip.cores[thread.core]
        self.sequence = chip.races.sequence(thread.core, thread.number)
        self.index = thread.resume
        self.vector = VectorState()
        self.zero_x = self.zero_d = self.position = self.run_time_shift = 0
        self.random = RandomState()
        self.count = count
        self.ended = False
        self.waits_for: int | None = None  # the channel whose message a `recv` waits for
        self._loops: list[Loop] = []

    @property
    def number(self) -> int:
        """The core's number."""
        return self.thread.core

    @property
    def offset(self) -> int:
        """What the loops add to a data address at present, in words."""
        return sum(loop.iteration * loop.bump for loop in self._loops)

    @property
    def draw(self) -> Draw:
        """Where the present vector instruction takes random bits from."""
        r = self.random
        return Draw(self.chip.numerics.seed, r.stream, self.count, r.ordinal, r.first)

    def stamp(self) -> Stamp:
        """Return the present instruction as an event that a token or message carries."""
        return self.chip.races.stamp(self.sequence)

    def begin_loop(self, count: int, body: int, bump: int) -> None:
        """Repeat the next `body` instructions; raises CodeError unless they nest, four deep."""
        first, end = self.index + 1, self.index + 1 + body
        if self._loops and end > self._loops[-1].end:
            raise CodeError(
                f"body of {body} instructions goes on beyond the enclosing loop's, which ends with "
                f"instruction {self._loops[-1].end - 1}; shorten it"
            )
        if len(self._loops) == LOOP_DEPTH:
            raise CodeError(f"loop inside {LOOP_DEPTH} others; loops nest {LOOP_DEPTH} deep")
        if count and body:
            self._loops.append(Loop(first, end, count, bump))
        else:
            self.index += body

    @property
    def loops(self) -> int:
        """Loops around the present instruction."""
        return len(self._loops)

    def advance(self) -> None:
        """Go to the next instruction, round the loops that it ends."""
        self.index += 1
        while self._loops and self.index == self._loops[-1].end:
            loop = self._loops[-1]
            loop.iteration += 1
            if loop.iteration < loop.count:
                self.index = loop.first
                return
            self._loops.pop()

    def read_bytes(self, address: int, count: int) -> np.ndarray:
        """Read `count` bytes of data memory from word `address` on: (count,) uint8."""
        first, end = self.core.memory.span(address, count, 8)
        self.chip.races.words(self.number, self.sequence, first, end, write=False)
        return self.core.memory.read_bytes(address, count)

    def write_bytes(self, address: int, data: np.ndarray) -> None:
        """Write (n,) uint8 to data memory from word `address` on."""
        first, end = self.core.memory.span(address, len(data), 8)
        self.chip.races.words(self.number, self.sequence, first, end, write=True)
        self.core.memory.write_bytes(address, data)

    def read(self, address: int, count: int, bits: int) -> np.ndarray:
        """Read `count` elements of `bits` from word `address` on: (count,) int64."""
        return elements(self.read_bytes(address, -(-count * bits // 8)), bits)[:count]

    def write(self, address: int, values: np.ndarray, bits: int) -> None:
        """Write elements of `bits` from word `address` on; the last byte's other bits stay."""
        data = element_bytes(values, bits)
        if used := len(values) * bits % 8:
            last = len(data) - 1
            stay = self.core.memory.read_bytes(address, len(data))[last] >> used << used
            data[last] = data[last] & (1 << used) - 1 | stay
        self.write_bytes(address, data)

    def use_matrix(self, number: int) -> None:
        """Read a matrix's words; raises CodeError unless it is resident."""
        residence = self.core.residence
        if residence.tracked:
            self._access_place(number, write=False)
            residence.check(number)

    def fetch_matrix(self, number: int, image: np.ndarray) -> None:
        """Write a matrix's image (n,) uint8 to its place, data memory words where they are it."""
        self._access_place(number, write=True)
        residence, memory = self.core.residence, self.core.memory
        residence.bring(number)
        words = residence.bank_words[number]
        order = np.argsort(words)
        rows = image[: len(words) * memory.word_bytes].reshape(-1, memory.word_bytes)[order]
        ends = np.flatnonzero(np.diff(words[order]) > 1) + 1
        for run, part in zip(np.split(words[order], ends), np.split(rows, ends), strict=True):
            if len(run):
                self.write_bytes(int(run[0]), part.reshape(-1))

    def _access_place(self, number: int, write: bool) -> None:
        residence, races = self.core.residence, self.chip.races
        races.weights(self.number, self.sequence, *residence.rows[number], write=write)
        races.indices(self.number, self.sequence, *residence.index_words[number], write=write)

    def read_external(self, first: int, end: int) -> np.ndarray:
        """Read external memory words [first, end): bytes, (n,) uint8."""
        memory = self.chip.external
        data = memory.read_bytes(first, (end - first) * memory.word_bytes)
        self.chip.races.external(self.sequence, first, end, write=False)
        return data

    def write_external(self, first: int, data: np.ndarray) -> None:
        """Write whole words (n,) uint8 to external memory."""
        self.chip.write_external(self.sequence, first, data)

    def read_rows(self, first: int, count: int) -> np.ndarray:
        """Read accumulators: (count,) int64."""
        rows = self.core.rows(first, count)
        self.chip.races.rows(self.number, self.sequence, rows.start, rows.stop, write=False)
        return self.core.accumulators[rows].copy()

    def write_rows(self, first: int, values: np.ndarray) -> None:
        """Write accumulators."""
        rows = self.core.rows(first, len(values))
        self.chip.races.rows(self.number, self.sequence, rows.start, rows.stop, write=True)
        self.core.accumulators[rows] = values
