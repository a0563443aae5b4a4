"""The log of a traced run, read row by row: spans of threads and units, and work to step again."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.ahead import PLAN
from spusim.kernels.chip import HOST_BIT, NEVER, G, Q
from spusim.kernels.layout import Op, Unit
from spusim.kernels.log import L
from spusim.kernels.trace import W
from spusim.machine.chip import Chip, instruction_text
from spusim.machine.trace import (
    FRAMES,
    SEQUENCER_CAUSES,
    Progress,
    Signal,
    Span,
    TraceRequest,
    thread_names,
)
from spusim.program import Program


@dataclass
class Work:
    """A row of `W`, and the masks of the columns that a product pushes."""

    row: list[int]
    columns: np.ndarray


@dataclass
class Open:
    """An instruction that has been issued."""

    pc: int
    thread: int
    issued: int
    banks: int = 0


@dataclass
class CoreLog:
    """What is known of one core."""

    threads: list[str]
    steps: dict[int, deque[tuple[int, int, np.ndarray]]] = field(
        default_factory=lambda: defaultdict(deque)
    )  # context -> executed, not issued
    running: dict[int, tuple[int, int]] = field(default_factory=dict)  # context -> thread, since
    queued: dict[int, int] = field(default_factory=dict)  # thread -> since
    transfers: dict[int, Open] = field(default_factory=dict)  # context -> of router or dma
    stepped: dict[int, tuple[Open, Work]] = field(default_factory=dict)  # unit -> what it runs
    work: list[Work] = field(default_factory=list)
    sequencer: list[tuple[int, int]] = field(default_factory=list)  # cycle, cause from then on
    in_flight: list[tuple[int, int]] = field(default_factory=list)  # cycle, how many more
    ready: list[tuple[int, int]] = field(default_factory=list)


class LogReader:
    """Reads the log of a run, and keeps what the request wants of it."""

    def __init__(
        self,
        program: Program,
        arch: Arch,
        request: TraceRequest,
        units: frozenset[str],
        progress: Progress | None,
    ):
        self.program, self.arch, self.units = program, arch, units
        self._first = request.first
        self._end = NEVER if request.end is None else request.end
        self._progress = progress
        idle = [(self._first, int(Q.IDLE))]
        self.cores = [
            CoreLog(thread_names(image.threads), sequencer=[*idle]) for image in program.cores
        ]
        self.spans: list[Span] = []
        self.chip: Chip | None = None
        self._labels: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {}
        self._notes = np.zeros(0, np.int64)
        self._granted = 0  # frames
        self.lanes: list[str] = []  # further tracks of frames that overlap
        self._holds = int(arch.core.ports == "reserved")  # T18
        self._handlers: dict[int, Callable[..., None]] = {
            L.STEP: self._step,
            L.ISSUE: self._issue,
            L.DONE: self._done,
            L.TRANSFER: self._transfer,
            L.SEQUENCER: self._sequencer,
            L.READY: self._ready,
            L.DISPATCH: self._dispatch,
            L.RETIRE: self._retire,
            L.GRANT: self._grant,
            L.DMA: self._dma,
        }

    def read(self, chip: Chip, rows: np.ndarray, notes: np.ndarray) -> None:
        """Read rows (rows, WIDTH) of the log."""
        assert len(rows) == chip.registers[G.LOGGED], "a cycle's rows did not fit into the log"
        self.chip, self._notes = chip, notes
        for kind, cycle, core, *others in rows.tolist():
            self._handlers[kind](cycle, core, *others)
        for log in self.cores:
            log.work = _still_wanted(log.work, self._first)
        if self._progress:
            frames = len(chip.arrays["frames"])
            self._progress("simulating", int(chip.registers[G.FINISHED]), frames)

    # kinds of rows

    def _step(
        self, _: int, core: int, context: int, pc: int, cycles: int, banks: int, at: int
    ) -> None:
        plan = self._notes[at : at + PLAN].copy()
        words = 0
        if self._unit(core, pc) == Unit.ENGINE and not self._handed(core, pc):
            matrix = self.program.cores[core].matrices[int(self._row(core, pc)[2])]
            words = _note_words(matrix.packed.columns)
        columns = self._notes[at + PLAN : at + PLAN + words].copy()
        self.cores[core].steps[context].append((cycles, banks, np.concatenate([plan, columns])))

    def _issue(
        self, cycle: int, core: int, context: int, pc: int, unit: int, ends: int, banks: int
    ) -> None:
        log = self.cores[core]
        thread, _ = log.running[context]
        opened = Open(pc, thread, cycle, banks)
        if unit in (Unit.ROUTER, Unit.DMA):
            log.transfers[context] = opened
            return
        if unit != Unit.SEQUENCER:
            _, _, notes = log.steps[context].popleft()
            row = [unit, cycle, ends, banks, 0, *notes[:PLAN].tolist()]
            work = Work(row, notes[PLAN:])
            if cycle < self._end and not self._handed(core, pc):
                log.work.append(work)
            if ends == NEVER:
                log.stepped[unit] = opened, work
                return
        self._instruction(core, opened, unit, ends)

    def _done(self, cycle: int, core: int, unit: int, *_: int) -> None:
        opened, work = self.cores[core].stepped.pop(unit)
        work.row[W.END] = cycle
        self._instruction(core, opened, unit, cycle)

    def _transfer(
        self, cycle: int, core: int, context: int, address: int, words: int, first: int, done: int
    ) -> None:
        log = self.cores[core]
        opened = log.transfers.pop(context)
        between = (done - first) // words
        row = [
            Unit.ROUTER,
            cycle,
            done,
            opened.banks * self._holds,
            0,
            first,
            address,
            words,
            between,
        ]
        if cycle < self._end:
            log.work.append(Work([*row, *[0] * (W.COUNT - len(row))], np.zeros(0, np.int64)))
        self._instruction(core, opened, Unit.ROUTER, done)
        sends = self._row(core, opened.pc)[0] == Op.SEND
        # T28: a sender is blocked from the cycle after its request on
        waits = ("blocked", cycle + 1) if sends else ("message", cycle)
        self._span(f"core{core}.router", waits[1], first, waits[0], waits[0], depth=1)

    def _dma(
        self, cycle: int, core: int, context: int, granted: int, _: int, latency: int, done: int
    ) -> None:
        opened = self.cores[core].transfers.pop(context)
        self._instruction(core, opened, Unit.DMA, done)
        unit = f"core{core}.dma"
        self._span(unit, cycle + 1, granted + 1, "channel", "channel", depth=1)
        # T56: words arrive after the latency, or leave before it
        stores = self._row(core, opened.pc)[0] == Op.STORE_EXTERNAL
        late = done - latency if stores else granted + 1
        self._span(unit, late, late + latency, "latency", "latency", depth=1)

    def _sequencer(self, cycle: int, core: int, cause: int, following: int, *_: int) -> None:
        changes = self.cores[core].sequencer
        for begins, value in ((cycle, cause), (cycle + 1, following)):
            at = max(begins, self._first)
            if at >= self._end:
                break
            if changes[-1][0] == at:
                changes.pop()
            if not changes or changes[-1][1] != value:
                changes.append((at, value))

    def _ready(self, cycle: int, core: int, thread: int, *_: int) -> None:
        log = self.cores[core]
        log.queued[thread] = cycle + 1
        log.ready.append((cycle + 1, 1))

    def _dispatch(self, cycle: int, core: int, context: int, thread: int, *_: int) -> None:
        log = self.cores[core]
        log.running[context] = thread, cycle + 1
        name = f"core{core}.thread.{log.threads[thread]}"
        self._span(name, log.queued.pop(thread), cycle + 1, "queued")
        log.ready.append((cycle + 1, -1))
        log.in_flight.append((cycle + 1, 1))

    def _retire(self, cycle: int, core: int, context: int, *_: int) -> None:
        log = self.cores[core]
        thread, since = log.running.pop(context)
        self._span(f"core{core}.thread.{log.threads[thread]}", since, cycle, log.threads[thread])
        log.in_flight.append((cycle, -1))

    def _grant(
        self, cycle: int, sender: int, mask: int, channel: int, words: int, waits: int, free: int
    ) -> None:
        if sender == self.arch.cores:
            name, args = f"frame {self._granted}", {"frame": self._granted, "words": words}
            self._granted += 1
            self._span("host.out", waits, cycle + 1, "blocked", "blocked", args)
            self._span("host.out", cycle + 1, free, name, "busy", args)
        elif mask >> HOST_BIT & 1:
            args = {"core": sender, "channel": channel, "words": words}
            self._span("host.in", cycle + 1, free, f"from core {sender}", "busy", args)

    # spans

    def _instruction(self, core: int, opened: Open, unit: int, ends: int) -> None:
        """Put an instruction on its thread's track, and on its unit's."""
        name, args = self._label(core, opened.pc)
        log = self.cores[core]
        thread = log.threads[opened.thread]
        self._span(f"core{core}.thread.{thread}", opened.issued, ends, name, None, args, 1)
        if unit != Unit.SEQUENCER:
            cause = None if unit == Unit.ENGINE else "busy"
            where = Unit(unit).name.lower()
            self._span(f"core{core}.{where}", opened.issued, ends, name, cause, args)

    def _span(
        self,
        unit: str,
        start: int,
        end: int,
        name: str,
        cause: str | None = None,
        args: dict[str, Any] | None = None,
        depth: int = 0,
    ) -> None:
        if unit in self.units and start < end and start < self._end and end > self._first:
            self.spans.append(Span(unit, start, end, name, cause, args or {}, depth))

    def _label(self, core: int, pc: int) -> tuple[str, dict[str, Any]]:
        if (core, pc) not in self._labels:
            self._labels[core, pc] = self._new_label(core, pc)
        return self._labels[core, pc]

    def _new_label(self, core: int, pc: int) -> tuple[str, dict[str, Any]]:
        assert self.chip is not None
        instruction = self.chip.loaded[core].instructions[pc]
        image = self.program.cores[core]
        args: dict[str, Any] = {"pc": pc, "instruction": instruction_text(instruction)}
        if pc in image.comments:
            args["comment"] = image.comments[pc]
        name = instruction.mnemonic
        if "m" in instruction.operands:
            matrix = image.matrices[instruction.operands["m"]].name
            args["layer"] = self.program.layer_of.get(matrix, matrix)
            name = f"{name} {args['layer']}"
        return name, args

    def _row(self, core: int, pc: int) -> np.ndarray:
        assert self.chip is not None
        row: np.ndarray = self.chip.loaded[core].arrays.code[pc]
        return row

    def _handed(self, core: int, pc: int) -> bool:
        """Whether an instruction is a span only: what its units do in each cycle is not known."""
        return bool(self._row(core, pc)[0] >= Op.CONVOLVE)

    def _unit(self, core: int, pc: int) -> Unit:
        return Unit(int(self._row(core, pc)[1]))

    # what comes of it

    def finish(self, end: int, replayed: Iterable[Signal]) -> tuple[list[Signal], list[Span]]:
        """Return all signals and spans of cycles up to `end`."""
        signals = list(replayed)
        for c, log in enumerate(self.cores):
            signals.append(self._sequencer_signal(c, log))
            signals.append(_counter(f"core{c}.in_flight", log.in_flight, self._first, end))
            signals.append(_counter(f"core{c}.ready_queue", log.ready, self._first, end))
        assert self.chip is not None
        arrays = self.chip.arrays
        self._frames(arrays["began"].tolist(), arrays["ended"].tolist())
        return [s for s in signals if s.unit in self.units], self.spans

    def _frames(self, began: list[int], ended: list[int]) -> None:
        """Put frames on tracks, as many as there are under way at a time."""
        if FRAMES not in self.units:
            return
        free = [0]
        for n, (start, end) in enumerate(zip(began, ended, strict=True)):
            lane = next((k for k, time in enumerate(free) if time <= start), len(free))
            free[lane : lane + 1] = [end]
            unit = f"{FRAMES}.{lane + 1}" if lane else FRAMES
            if lane and start < self._end and end > self._first and unit not in self.lanes:
                self.lanes.append(unit)
                self.units |= {unit}
            self._span(unit, start, end, f"frame {n}", None, {"frame": n})

    def _sequencer_signal(self, core: int, log: CoreLog) -> Signal:
        changes = np.array(log.sequencer, np.int64).reshape(-1, 2)
        causes = SEQUENCER_CAUSES
        unit = f"core{core}.sequencer"
        return Signal(unit, "cause", changes[:, 0], changes[:, 1], causes, causes)


def _note_words(columns: int) -> int:
    from spusim.kernels.ahead import COLUMNS_A_NOTE

    return columns // COLUMNS_A_NOTE + 1


def _still_wanted(work: list[Work], first: int) -> list[Work]:
    """Leave out what ended before the first cycle wanted and cannot have met what comes later."""
    work.sort(key=lambda each: each.row[W.START])
    keep, latest = 0, 0
    for k, each in enumerate(work):
        start, end = each.row[W.START], each.row[W.END]
        if start > first:
            break
        if start >= latest:
            keep = k
        latest = max(latest, end)
    else:
        if latest <= first:
            keep = len(work)
    return work[keep:]


def _counter(unit: str, steps: list[tuple[int, int]], first: int, end: int) -> Signal:
    """Sum up differences (cycle, how many more), in any order, to a count over time."""
    table = np.array([(first, 0), *steps], np.int64)
    table[:, 0] = np.maximum(table[:, 0], first)
    table = table[np.argsort(table[:, 0], kind="stable")]
    values = np.cumsum(table[:, 1])
    last = np.append(table[1:, 0] != table[:-1, 0], True)
    last &= table[:, 0] < end
    cycles, values = table[last, 0], values[last]
    changed = np.append(True, values[1:] != values[:-1])
    return Signal(unit, "count", cycles[changed], values[changed])
