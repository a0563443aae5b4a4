"""The units of the naive stepper: loader, scanner and processing elements, each with its registers.

A unit says what it wants by its state at the start of a cycle; `commit` moves it to the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from chip_numbers import limited, shifted
from stepper_storage import Beat, Column, Slice, StepperConfig

Receive = Callable[[int], None]  # takes a word of the operand, counted from its first


def accumulate_product(config: StepperConfig, accumulator: int, product: int) -> int:
    """Return accumulator + product in the accumulator's width."""
    return limited(accumulator + product, config.accumulator_bits, config.overflow)


def boundaries_up_to(config: StepperConfig, columns: int) -> int:
    """Count the boundaries of partial sums after the first `columns` columns (A5)."""
    if not config.partial_every:
        return 0
    positions = range(config.position + 1, config.position + columns + 1)
    return sum(p > 0 and p % config.partial_every == 0 for p in positions)


def requantised(config: StepperConfig, accumulator: int) -> int:
    """Return a partial sum as it is after a boundary (A5)."""
    kept = shifted(accumulator, config.partial_shift, config.partial_rounding)
    return limited(kept, config.partial_bits, config.overflow) << config.partial_shift


@dataclass
class Loader:
    """The load phase's operand stream, T7: data memory words into the scanner's buffer."""

    config: StepperConfig
    words: int
    receive: Receive
    streamed: int = 0

    def wants(self) -> int | None:
        """Return the bank of the next operand word; None when all are copied."""
        if self.streamed == self.words:
            return None
        return (self.config.operand_address + self.streamed) % self.config.banks

    def commit(self, granted: bool) -> None:
        """Take the word, or stop for the cycle, T19."""
        if self.wants() is None:
            return
        if granted:
            self.receive(self.streamed)
            self.streamed += 1


@dataclass
class Scanner:
    """The activation scanner, T8 to T10."""

    config: StepperConfig
    x: list[int]
    receive: Receive
    window: int = 0
    position: int = 0  # the next activation to look at
    window_granted: bool = False
    stalls: dict[str, int] = field(default_factory=dict)
    pushes: int = 0
    windows: int = 0
    words_read: int = 0

    def ended(self) -> bool:
        """Tell whether every window has been examined."""
        return self.window * self.config.scanner_width >= len(self.x)

    def window_end(self) -> int:
        """Return the position after the window."""
        return min((self.window + 1) * self.config.scanner_width, len(self.x))

    def window_words(self) -> list[int]:
        """Return the word addresses that hold the window's activations."""
        per_word = self.config.operand_word_bits // self.config.activation_bits
        first = self.window * self.config.scanner_width // per_word
        last = (self.window_end() - 1) // per_word
        return [self.config.operand_address + word for word in range(first, last + 1)]

    def wants_words(self) -> list[int]:
        """Return the words to read in this cycle: all of a window's, in its first."""
        if not self.config.private_weight_memory or self.ended() or self.window_granted:
            return []
        return self.window_words()

    def wants(self) -> list[int]:
        """Return the banks of the words to read in this cycle."""
        return [address % self.config.banks for address in self.wants_words()]

    def next_to_push(self, start: int) -> int | None:
        """Return the first activation of the window from `start` on that is to be pushed, T9."""
        for position in range(start, self.window_end()):
            if self.config.activations != "skip" or self.x[position] != 0:
                return position
        return None

    def count(self, cause: str) -> None:
        """Attribute this cycle."""
        self.stalls[cause] = self.stalls.get(cause, 0) + 1

    def commit(self, granted: bool, room: bool) -> int | None:
        """Advance by a cycle; return the column pushed in it, if one is."""
        if self.ended():
            self.count("pe_wait")
            return None
        if not granted:
            self.count("port")
            return None
        for address in self.wants_words():
            self.receive(address - self.config.operand_address)
            self.words_read += 1
        self.window_granted = True
        column = self.next_to_push(self.position)
        if column is not None and not room:
            self.count("queue_full")
            return None
        self.count("busy")
        if column is not None:
            self.pushes += 1
            self.position = column + 1
        if column is None or self.next_to_push(self.position) is None:
            self.window += 1
            self.windows += 1
            self.position = self.window * self.config.scanner_width
            self.window_granted = False
        return column


@dataclass
class Pe:
    """A processing element with its queue, its slice and its accumulators, T11 to T15."""

    config: StepperConfig
    number: int
    slice: Slice
    x: list[int]
    accumulators: dict[int, int]
    words_to_load: int
    words_loaded: int = 0
    queue: list[int] = field(default_factory=list)
    slots_taken: int = 0
    slot_frees_next: bool = False  # `done` frees the slot in the cycle after the last of work
    column: int | None = None
    beat: int = 0
    updated: dict[int, int] = field(default_factory=dict)  # row -> cycle of its last update
    waiting: int = 0  # idle cycles, of which only what follows tells the cause
    stalls: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    passed: dict[int, int] = field(default_factory=dict)  # row -> boundaries of its partial sum

    def count(self, cause: str, cycles: int = 1) -> None:
        """Attribute cycles."""
        if cycles:
            self.stalls[cause] = self.stalls.get(cause, 0) + cycles

    def happened(self, event: str, times: int = 1) -> None:
        """Count an event."""
        self.counts[event] = self.counts.get(event, 0) + times

    def bank_of(self, word: int) -> int | None:
        """Return the data bank of a word of the slice, T3; None in a private weight memory."""
        if self.config.private_weight_memory:
            return None
        rows_of_banks = self.config.banks // self.config.pes
        return self.number + self.config.pes * (word % rows_of_banks)

    # --- load phase

    def wants_load(self) -> bool:
        """Tell whether words are left to fetch."""
        return self.words_loaded < self.words_to_load

    def commit_load(self, operand_in_own_bank: bool, granted: bool) -> None:
        """Fetch a word unless the operand's word or another unit is in the way, T7, T19."""
        if self.wants_load() and not operand_in_own_bank:
            if not granted:
                self.count("port")
                return
            self.words_loaded += 1
        self.count("load")

    # --- run

    def idle(self) -> bool:
        """Tell whether there is neither work nor a queued column."""
        return self.column is None and not self.queue

    def has_room(self) -> bool:
        """Tell whether the queue has a free slot."""
        return self.slots_taken < self.config.queue_depth

    def current(self) -> int | None:
        """Return the column that the PE works on in this cycle, popping it if need be."""
        if self.column is not None:
            return self.column
        return self.queue[0] if self.queue else None

    def next_beat(self) -> Beat | None:
        """Return the beat that is next for this cycle."""
        column = self.current()
        if column is None:
            return None
        return self.slice.columns[column].beats[self.beat]

    def in_hazard(self, cycle: int) -> bool:
        """Tell whether the next beat updates a row too soon after its last update, T13."""
        beat = self.next_beat()
        if self.config.hazard != "stall" or beat is None:
            return False
        return any(
            row in self.updated and cycle - self.updated[row] < self.config.mac_stages
            for row, _ in beat.entries
        )

    def wants(self, cycle: int) -> int | None:
        """Return the bank of the word that the next beat reads; None without one."""
        beat = self.next_beat()
        if beat is None or beat.word is None or self.in_hazard(cycle):
            return None
        return self.bank_of(self.slice.first_entry_word + beat.word)

    def commit(self, cycle: int, granted: bool) -> None:
        """Advance by a cycle."""
        hazard = self.in_hazard(cycle)
        if self.slot_frees_next:
            self.slot_frees_next = False
            self.slots_taken -= 1
        if self.column is None:
            if not self.queue:
                self.waiting += 1
                return
            self.pop()
        if hazard:
            self.count("hazard")
        elif not granted:
            self.count("port")
        else:
            self.work(cycle)

    def pop(self) -> None:
        """Take the oldest column of the queue."""
        self.column = self.queue.pop(0)
        self.happened("pops")
        self.happened("index_reads", self.slice.columns[self.column].index_reads)
        self.count("starved", self.waiting)
        self.waiting = 0
        if self.config.release == "pop":
            self.slots_taken -= 1

    def work(self, cycle: int) -> None:
        """Do a beat."""
        assert self.column is not None
        column = self.slice.columns[self.column]
        beat = column.beats[self.beat]
        self.count("busy" if column.has_entries else "empty_column")
        if beat.word is not None:
            self.happened("words_read")
        self.multiply(cycle, beat)
        self.beat += 1
        if self.beat == len(column.beats):
            self.finish(column)

    def multiply(self, cycle: int, beat: Beat) -> None:
        """Add a beat's products to its rows' accumulators; a gated beat only takes its time."""
        assert self.column is not None
        for row, weight in beat.entries:
            self.updated[row] = cycle
            if self.gated():
                continue
            self.pass_boundaries(row, self.column)
            product = weight * self.x[self.column]
            self.accumulators[row] = accumulate_product(
                self.config, self.accumulators[row], product
            )
            self.happened("accumulator_updates")

    def pass_boundaries(self, row: int, columns: int) -> None:
        """Requantise a row's sum at the boundaries after the first `columns` columns."""
        due = boundaries_up_to(self.config, columns)
        for _ in range(due - self.passed.get(row, 0)):
            self.accumulators[row] = requantised(self.config, self.accumulators[row])
        self.passed[row] = due

    def final_accumulators(self) -> dict[int, int]:
        """Return the rows' sums after the last column, all boundaries passed."""
        for row in self.accumulators:
            self.pass_boundaries(row, len(self.x))
        return self.accumulators

    def gated(self) -> bool:
        """Tell whether the column in work is that of a gated zero activation, T15."""
        assert self.column is not None
        return self.config.activations == "gate" and self.x[self.column] == 0

    def finish(self, column: Column) -> None:
        """Leave the column after its last beat."""
        self.happened("mac_gated" if self.gated() else "mac", column.multiplications)
        if self.config.release == "done":
            self.slot_frees_next = True
        self.column = None
        self.beat = 0
