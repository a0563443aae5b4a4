"""Which events tokens order: vector clocks over threads, and the accesses that they must order.

The activations of a thread follow each other, so a thread (and the host) is one sequence of
events, and a clock has one component a thread. An event is *ordered before* another if the other's
clock has seen its tick. Accesses are kept per word as ticks of the last writer and last readers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from spusim.golden.errors import RaceError

PAGE_WORDS = 1024  # of external memory, of which accesses are kept where there are some
Place = Callable[[int, int], str]  # (sequence, note of the event) -> words for an error


@dataclass(frozen=True)
class Stamp:
    """An event as others see it: who, when, and all that is ordered before it."""

    sequence: int
    tick: int
    clock: np.ndarray


@dataclass
class _Ledger:
    """Last accesses to each word of a memory by the sequences [first, first + readers)."""

    first: int
    writer: np.ndarray  # (words,) sequence
    written: np.ndarray  # (words,) its tick, 0: never
    read: np.ndarray  # (readers, words) tick, 0: never

    @classmethod
    def empty(cls, words: int, first: int, readers: int) -> "_Ledger":
        return cls(
            first,
            np.zeros(words, np.int32),
            np.zeros(words, np.int32),
            np.zeros((readers, words), np.int32),
        )


@dataclass
class _Log:
    """A sequence's events: the note of event `tick` is notes[tick]."""

    notes: list[int] = field(default_factory=lambda: [-1])


class Races:
    """Happens-before of one run; raises RaceError at the first conflict without order.

    threads: threads a core. Sequences are numbered core by core, then the host.
    """

    def __init__(self, threads: list[int], words: int, rows: int, place: Place) -> None:
        firsts = np.concatenate([[0], np.cumsum(threads)]).astype(int)
        self.host = int(firsts[-1])
        self._firsts = firsts
        self._clocks = np.zeros((self.host + 1, self.host + 1), np.int32)
        self._logs = [_Log() for _ in range(self.host + 1)]
        self._place = place
        self._memory = [
            _Ledger.empty(words, int(first), n) for first, n in zip(firsts, threads, strict=False)
        ]
        self._accumulators = [
            _Ledger.empty(rows, int(first), n) for first, n in zip(firsts, threads, strict=False)
        ]
        # of each core rows of weight memory and index memory words, of the chip external words
        self._places: dict[tuple[str, int, int], _Ledger] = {}
        self._external: dict[int, _Ledger] = {}
        self._ends: dict[tuple[str, int, int], tuple[int, int]] = {}

    def sequence(self, core: int, thread: int) -> int:
        """Return the number of a thread's sequence of events."""
        return int(self._firsts[core]) + thread

    def event(self, sequence: int, note: int) -> None:
        """Start a new event; `note` (an instruction's index) tells it in errors."""
        self._logs[sequence].notes.append(note)
        self._clocks[sequence, sequence] += 1

    def stamp(self, sequence: int) -> Stamp:
        """Return the present event, to be carried by a token or message."""
        clock = self._clocks[sequence].copy()
        return Stamp(sequence, int(clock[sequence]), clock)

    def join(self, sequence: int, *stamps: Stamp) -> None:
        """Order `stamps` before what the sequence does from now on."""
        for stamp in stamps:
            np.maximum(self._clocks[sequence], stamp.clock, out=self._clocks[sequence])

    def join_all(self, sequence: int) -> None:
        """Order everything that has happened before what the sequence does from now on."""
        self._clocks[sequence] = self._clocks.max(axis=0)

    def words(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Record an access to data memory words [first, end)."""
        self._access(self._memory[core], sequence, first, end, write, f"core {core} word")

    def rows(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Record an access to accumulator rows [first, end)."""
        ledger = self._accumulators[core]
        self._access(ledger, sequence, first, end, write, f"core {core} accumulator row")

    def weights(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Record an access to rows [first, end) of weight memory."""
        self._place_access("weight memory row", core, sequence, first, end, write)

    def indices(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Record an access to words [first, end) of index memory."""
        self._place_access("index memory word", core, sequence, first, end, write)

    def external(self, sequence: int, first: int, end: int, write: bool) -> None:
        """Record an access to words [first, end) of external memory."""
        for page, begin, stop in _pages(first, end):
            ledger = self._external.get(page)
            if ledger is None:
                ledger = self._external[page] = _Ledger.empty(PAGE_WORDS, 0, self.host + 1)
            start = page * PAGE_WORDS
            self._access(ledger, sequence, begin, stop, write, "external memory word", start)

    def _place_access(
        self, what: str, core: int, sequence: int, first: int, end: int, write: bool
    ) -> None:
        for page, begin, stop in _pages(first, end):
            key = (what, core, page)
            if key not in self._places:
                readers = self._memory[core].read.shape[0]
                self._places[key] = _Ledger.empty(PAGE_WORDS, int(self._firsts[core]), readers)
            ledger, start = self._places[key], page * PAGE_WORDS
            self._access(ledger, sequence, begin, stop, write, f"core {core} {what}", start)

    def queue(self, sequence: int, core: int, channel: int, end: str) -> None:
        """Record the use of a channel's end ("send" or "recv"), whose users must be ordered."""
        key = (end, core, channel)
        other, tick = self._ends.get(key, (sequence, 0))
        if self._clocks[sequence, other] < tick:
            raise RaceError(
                f"uses the {end} end of core {core} channel {channel}, and so does "
                f"{self.name(other, tick)}; no token orders them, so the order of messages "
                "depends on time: give the channel to one of them, or post a token between them"
            )
        self._ends[key] = (sequence, int(self._clocks[sequence, sequence]))

    def token(self, earlier: tuple[Stamp, ...], token: Stamp, thread: str) -> None:
        """Check that a token comes after all those of the thread's arming before."""
        for other in earlier:
            if token.clock[other.sequence] < other.tick:
                raise RaceError(
                    f"posts a token to {thread} that may arrive before the one of the arming "
                    f"before by {self.name(other.sequence, other.tick)}; which of them arms it "
                    "depends on time: post it only after a token that follows that arming"
                )

    def name(self, sequence: int, tick: int) -> str:
        """Return the words that tell an event in an error."""
        return self._place(sequence, self._logs[sequence].notes[tick])

    def _access(
        self,
        ledger: _Ledger,
        sequence: int,
        first: int,
        end: int,
        write: bool,
        where: str,
        origin: int = 0,
    ) -> None:
        clock = self._clocks[sequence]
        part = slice(first, end)
        unseen = ledger.written[part] > clock[ledger.writer[part]]
        if unseen.any():
            at = first + int(unseen.argmax())
            other = (int(ledger.writer[at]), int(ledger.written[at]))
            self._refuse(other, write, "writes", f"{where} {origin + at}")
        row = sequence - ledger.first
        if not write:
            ledger.read[row, part] = clock[sequence]
            return
        readers = slice(ledger.first, ledger.first + len(ledger.read))
        unseen_reads = ledger.read[:, part] > clock[readers, None]
        if unseen_reads.any():
            reader, offset = np.argwhere(unseen_reads)[0].tolist()
            other = (ledger.first + reader, int(ledger.read[reader, first + offset]))
            self._refuse(other, write, "reads", f"{where} {origin + first + offset}")
        ledger.writer[part] = sequence
        ledger.written[part] = clock[sequence]

    def _refuse(self, other: tuple[int, int], write: bool, verb: str, where: str) -> None:
        raise RaceError(
            f"{'writes' if write else 'reads'} {where}, which {self.name(*other)} {verb}; no token "
            "orders the two, so the result depends on time: post a token from the one that must "
            "come first"
        )


def _pages(first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Cut words [first, end) into pages: number, and first and end within it."""
    for page in range(first // PAGE_WORDS, -(-end // PAGE_WORDS)):
        start = page * PAGE_WORDS
        yield page, max(first - start, 0), min(end - start, PAGE_WORDS)


class Unchecked(Races):
    """The same record-keeping switched off: nothing is a race."""

    def __init__(self) -> None:
        self.host = 0
        self._stamp = Stamp(0, 0, np.zeros(1, np.int32))

    def sequence(self, core: int, thread: int) -> int:
        """Return the one sequence."""
        return 0

    def event(self, sequence: int, note: int) -> None:
        """Ignore."""

    def stamp(self, sequence: int) -> Stamp:
        """Return the one stamp."""
        return self._stamp

    def join(self, sequence: int, *stamps: Stamp) -> None:
        """Ignore."""

    def join_all(self, sequence: int) -> None:
        """Ignore."""

    def words(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Ignore."""

    def rows(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Ignore."""

    def weights(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Ignore."""

    def indices(self, core: int, sequence: int, first: int, end: int, write: bool) -> None:
        """Ignore."""

    def external(self, sequence: int, first: int, end: int, write: bool) -> None:
        """Ignore."""

    def queue(self, sequence: int, core: int, channel: int, end: str) -> None:
        """Ignore."""

    def token(self, earlier: tuple[Stamp, ...], token: Stamp, thread: str) -> None:
        """Ignore."""
