"""The naive stepper of convolutions: every cycle, every unit, plain Python; T33 to T46.

`step` returns values, cycles, what every unit did in every cycle, and how full its queue was.
"""

from collections import Counter, deque
from dataclasses import dataclass

from convolution_case import (
    ConvCase,
    Work,
    blocks,
    fetched_words,
    pixel_work,
    row_work,
    store,
)
from stepper_storage import ceil_div, owned_rows

LETTERS = {
    "load": "L", "busy": "B", "empty_column": "E", "empty_slice": "E", "starved": "S",
    "accumulators": "A", "imbalance": "I", "drain": "D", "queue_full": "F", "pe_wait": "W",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """What is pushed: the pass it belongs to, and each PE's work."""

    number: int
    work: list  # by PE


@dataclass(frozen=True)
class ConvResult:
    """What a stepped tile did."""

    cycles: int
    stalls: dict  # unit -> cause -> cycles
    states: list  # a word a cycle: a letter for the feeder and each PE, then queue lengths
    values: dict  # (filter, position) -> accumulator


class Queue:
    """A PE's queue: what is pushed is seen in the next cycle, a freed slot taken in the next."""

    def __init__(self, depth: int):
        self.free, self.held, self.arriving, self.freed = depth, deque(), [], 0

    def end_cycle(self) -> None:
        self.held.extend(self.arriving)
        self.arriving.clear()
        self.free += self.freed
        self.freed = 0


class Feeder:
    """Examines a step a cycle, and pushes at most one entry of it, or waits."""

    def __init__(self, steps: list, queues: list):
        self.steps, self.queues = deque(steps), queues
        self.waiting: deque = deque()

    @property
    def ended(self) -> bool:
        return not self.steps and not self.waiting

    def cycle(self) -> str:
        if self.ended:
            return "pe_wait"
        if not self.waiting:
            self.waiting.extend(self.steps.popleft())
        if self.waiting:
            if any(queue.free == 0 for queue in self.queues):
                return "queue_full"
            entry = self.waiting.popleft()
            for queue in self.queues:
                queue.free -= 1
                queue.arriving.append(entry)
        return "busy"


class Pe:
    """Pops, works, and changes accumulator buffers between passes."""

    def __init__(self, number: int, queue: Queue, entries: int, drains: list, case: ConvCase):
        self.number, self.queue, self.left = number, queue, entries
        self.drains, self.case = drains, case
        self.work: deque = deque()
        self.now: Work | None = None
        self.number_of_pass = -1
        self.draining = 0  # cycles for which the other buffer still drains
        self.releasing = False  # a slice was done in this cycle

    @property
    def ended(self) -> bool:
        return self.left == 0 and not self.work

    def cycle(self, accumulate) -> str:
        """Do one cycle's work; return what it was."""
        drained = self.draining == 0
        self.draining = max(0, self.draining - 1)
        if self.ended:
            return "imbalance"
        if not self.work:
            if not self.queue.held:
                return "starved"
            if self.queue.held[0].number != self.number_of_pass and not drained:
                return "accumulators"
            self._pop()
        for update in self.work.popleft():
            accumulate(update)
        if not self.work and self.case.machine.release == "done":
            self.releasing = True
        return self._empty() if self.now.empty else "busy"

    def _pop(self) -> None:
        entry = self.queue.held.popleft()
        self.left -= 1
        if entry.number != self.number_of_pass:
            if self.number_of_pass >= 0:
                # this cycle is the first of them
                self.draining = max(0, self.drains[self.number_of_pass] - 1)
            self.number_of_pass = entry.number
        self.now = entry.work[self.number]
        self.work.extend(self.now.cycles)
        if self.case.machine.release == "pop":
            self.queue.freed += 1

    def _empty(self) -> str:
        return "empty_column" if self.case.dataflow == "row" else "empty_slice"


def row_steps(case: ConvCase) -> list:
    """Return what the scanner pushes in each window, T41."""
    config = case.machine
    stored = [store(case, pe) for pe in range(config.pes)]
    width, empty = config.scanner_width, Work([[]], True)
    steps = []
    for number, position in enumerate(case.positions):
        windows = []
        for at, place in enumerate(case.places()):
            pixel = case.pixel(position, place)
            for low in range(0, case.channels, width) if pixel else ():
                window = []
                for channel in range(low, min(low + width, case.channels)):
                    value = case.x[channel][pixel[0]][pixel[1]]
                    if value or config.activations != "skip":
                        column = at * case.channels + channel
                        works = [row_work(case, pe[column], position, value) for pe in stored]
                        window.append(Entry(number, works))
                windows.append(window)
        windows = windows or [[]]
        if not any(windows):
            windows[-1] = [Entry(number, [empty] * config.pes)]
        steps += windows
    return steps


def pixel_steps(case: ConvCase, cut: list) -> list:
    """Return what the feeder pushes in each cycle of fetching, T44 and T45."""
    stored = [store(case, pe) for pe in range(case.machine.pes)]
    taps = len(case.places())

    def kept(channel: int) -> bool:
        columns = slice(channel * taps, (channel + 1) * taps)
        return any(column.places for pe in stored for column in pe[columns])

    skip = case.machine.weights == "skip"
    channels = [c for c in range(case.channels) if kept(c) or not skip]
    steps = []
    for number, block in enumerate(cut):
        fetch = max(1, ceil_div(fetched_words(case, block), case.feeder_words))
        for channel in channels:
            works = [pixel_work(case, pe, channel, block) for pe in stored]
            steps += [[] for _ in range(fetch - 1)] + [[Entry(number, works)]]
        if not channels:
            steps.append([Entry(number, [Work([[]], True)] * case.machine.pes)])
    return steps


class Accumulators:
    """Values by filter and position; folded after every accumulation."""

    def __init__(self, case: ConvCase):
        self.bits, self.wraps = case.machine.accumulator_bits, case.machine.overflow == "wrap"
        biases = case.bias or [0] * case.filters
        self.values = {
            (row, position): self.fold(biases[row])
            for row in range(case.filters)
            for position in case.positions
        }

    def fold(self, value: int) -> int:
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        if self.wraps:
            return (value - low) % (1 << self.bits) + low
        return min(max(value, low), high)

    def add(self, update) -> None:
        row, position, weight, activation = update
        total = self.values[row, position] + weight * activation
        self.values[row, position] = self.fold(total)


def step(case: ConvCase) -> ConvResult:
    """Step a tile from issue to completion."""
    config = case.machine
    heights = [
        len(owned_rows(case.filters, config.pes, config.group, p)) for p in range(config.pes)
    ]
    if case.dataflow == "row":
        steps = row_steps(case)
        each_pass = [[ceil_div(rows, config.lanes) for _ in case.positions] for rows in heights]
    else:
        cut = blocks(case, max(heights))
        steps = pixel_steps(case, cut)
        each_pass = [[rows * len(block) for block in cut] for rows in heights]
    queues = [Queue(config.queue_depth) for _ in range(config.pes)]
    entries = sum(map(len, steps))
    feeder = Feeder(steps, queues)
    pes = [Pe(p, queues[p], entries, each_pass[p], case) for p in range(config.pes)]
    accumulators = Accumulators(case)
    log: list[list[str]] = [["load"] * (1 + config.pes) for _ in range(case.load)]
    lengths: list[list[int]] = [[0] * config.pes for _ in range(case.load)]
    to_release: list[Queue] = []
    while not (feeder.ended and all(pe.ended for pe in pes)):
        # a slot that frees as its slice is done frees in the cycle after the last of work
        for queue in to_release:
            queue.freed += 1
        to_release = []
        lengths.append([len(queue.held) for queue in queues])
        log.append([feeder.cycle()])
        for pe in pes:
            log[-1].append(pe.cycle(accumulators.add))
            if pe.releasing:
                to_release.append(pe.queue)
                pe.releasing = False
        for queue in queues:
            queue.end_cycle()
    tail = max([config.mac_stages, *(pe.draining for pe in pes)])
    tail += max(drains[-1] for drains in each_pass)
    log += [["drain"] * (1 + config.pes) for _ in range(tail)]
    lengths += [[0] * config.pes for _ in range(tail)]
    units = ["feeder", *(f"pe{p}" for p in range(config.pes))]
    stalls = {unit: dict(Counter(row[at] for row in log)) for at, unit in enumerate(units)}
    words = [
        "".join(LETTERS[cause] for cause in row) + " " + ",".join(map(str, held))
        for row, held in zip(log, lengths, strict=True)
    ]
    return ConvResult(len(log), stalls, words, accumulators.values)
