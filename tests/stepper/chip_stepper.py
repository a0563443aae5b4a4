"""The naive stepper of whole programs: every cycle, every unit, plain integers and lists.

It is written from docs/timing.md (T1 to T32), docs/timing_memory.md (T51 to T60), and from what
isa/spu.isa and DESIGN section 2 say of values; it shares no code with the machine, its kernels or
golden. In a cycle, what completes frees its unit; each core issues an instruction; router, dma,
vector unit and engine take their cycle, in the arbiter's order; and at the end tokens, dispatch
and the grants of messages and of the channel are settled.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from chip_core import Core
from chip_dma import External
from chip_errors import ChipDeadlock, ChipError
from chip_host import Host
from chip_report import ChipRun, first_difference
from chip_router import Network

from spusim.arch import Arch
from spusim.isa import decode_all, load_isa
from spusim.program import HOST, Program

__all__ = ["Chip", "ChipDeadlock", "ChipError", "ChipRun", "first_difference", "step_program"]

MACS = ("dense", "weight_nonzero", "activation_nonzero", "effective")
OF_A_LAYER = ("dense", "weight_nonzero", "effective", "engine_cycles")
LONGEST_RUN = 1_000_000  # cycles; whatever takes longer is stuck in a circle


class Chip:
    """Cores, network and host, and the clock."""

    def __init__(
        self,
        program: Program,
        arch: Arch,
        frames: list[list[int]],
        input_period: int | None,
        traced: bool,
        accumulators: Sequence[Sequence[int]] | None,
    ) -> None:
        isa = load_isa()
        first = accumulators or [[0] * program.accumulators for _ in program.cores]
        self.network = Network(arch)
        self.external = External(program, arch)
        self.cores = [
            Core(
                c,
                program,
                decode_all(isa, image.code),
                arch,
                self.network,
                self.external,
                [*first[c]],
            )
            for c, image in enumerate(program.cores)
        ]
        self.host = Host(program, self.network, frames, input_period)
        self.has_external = arch.external_memory is not None
        self.init_threads = program.init_threads
        self.layer_of = program.layer_of
        self.traced = traced
        self.trace: list[tuple[object, ...]] = []

    def run(self, bounds: list[tuple[int, int]]) -> int:
        """Run the files of frames [first, end); return the run's cycles."""
        now = -1
        for first, end in bounds:
            now += 1
            self.start_file(now, first, end)
            self.cycle(now)
            while not self.file_ended():
                now += 1
                self.cycle(now)
        return max(now, 0)

    def start_file(self, now: int, first: int, end: int) -> None:
        """Reset threads and channels; the init threads' tokens arrive in this cycle, T31."""
        self.network.taken.clear()
        for core in self.cores:
            core.sequencer.start_file()
            core.router.channels.clear()
        for core, thread in self.init_threads:
            self.cores[core].tokens.append(thread)
        self.host.start_file(now, first, end)

    def file_ended(self) -> bool:
        """Tell whether outputs are here, threads have ended, and nothing is on its way, T31."""
        threads = all(core.sequencer.quiet() for core in self.cores)
        return self.host.file_ended() and threads and self.network.quiet()

    def cycle(self, now: int) -> None:
        """Take a cycle: start, units, end."""
        for core in self.cores:
            core.complete(now)
        self.arrive(now)
        self.host.request(now)
        for core in self.cores:
            core.issue(now)
        words = [word for core in self.cores for word in core.cycle(now)]
        words.extend(self.host.cycle(now))
        if self.traced:
            self.trace.append(tuple(words))
        moved = self.end_cycle(now)
        if now == LONGEST_RUN:
            raise ChipError(f"cycle {now}: still running; the threads arm each other for ever")
        if not (moved or self.file_ended()):
            raise ChipDeadlock(f"cycle {now}: nothing can happen (T32): {self.waits(now)}")

    def arrive(self, now: int) -> None:
        """Deliver messages and tokens that arrive in this cycle, T29."""
        messages, tokens = self.network.arrivals(now)
        for message in messages:
            if message.external is not None:
                self.external.put(message.external, bytes(message.data))
                tokens += [(core, message.thread) for core in self.host.program.input.cores]
            for node in message.destinations:
                if node == HOST:
                    self.host.receive(now, message)
                else:
                    self.core(node).router.deliver(message)
                    tokens.append((node, message.thread))
        for core, thread in tokens:
            self.core(core).tokens.append(thread)

    def core(self, number: int) -> Core:
        """Return a core."""
        if number >= len(self.cores):
            raise ChipError(f"core {number} does not exist")
        return self.cores[number]

    def end_cycle(self, now: int) -> bool:
        """Settle what the cycle's end settles; tell whether anything moves, T22, T23, T28."""
        for core in self.cores:
            for target, thread in core.sequencer.posts:
                if target == core.number:
                    core.tokens.append(thread)
                else:
                    self.core(target)
                    self.network.post(now, target, thread)
            core.sequencer.posts.clear()
        moved = False
        for core in self.cores:
            core.sequencer.take_tokens(core.tokens)
            core.tokens.clear()
            moved |= core.sequencer.dispatch(now) | core.can_move(now)
        self.network.settle(now)
        self.external.settle(now)
        self.host.granted(now)
        on_its_way = bool(self.network.moving or self.network.tokens)
        return moved or on_its_way or self.host.waits_for_a_time(now)

    def waits(self, now: int) -> str:
        """Return what every thread and unit waits for."""
        waits = []
        for core in self.cores:
            for flight in core.sequencer.flights:
                name = core.sequencer.threads[flight.thread].name
                at, cause = flight.at if flight.running else flight.next, flight.running
                cause = cause or core.blocked_by(flight)
                waits.append(f"core {core.number} thread {name} instruction {at} for {cause}")
            for thread in core.sequencer.threads:
                if thread.missing < thread.tokens:
                    waits.append(f"core {core.number} thread {thread.name} for {thread.missing}")
        waits.extend(
            f"message of node {m.sender} to {m.destinations}" for m in self.network.requests
        )
        return "; ".join(waits)

    # --- results

    def stalls(self, cycles: int) -> dict[str, dict[str, int]]:
        """Return cycles by cause of every unit; the rest of `cycles` is idle."""
        units: dict[str, dict[str, int]] = {}
        for core in self.cores:
            units[f"core{core.number}.sequencer"] = core.sequencer.stalls
            for unit, causes in core.engine.stalls.items():
                units[f"core{core.number}.{unit}"] = causes
            units[f"core{core.number}.vector"] = core.vector.stalls
            units[f"core{core.number}.router"] = core.router.stalls
            if self.has_external:
                units[f"core{core.number}.dma"] = core.dma.stalls
            for bank, causes in enumerate(core.memory.stalls):
                units[f"core{core.number}.data_memory.bank{bank}"] = causes
        units.update(self.host.stalls)
        return {unit: with_idle(causes, cycles) for unit, causes in units.items()}

    def counts(self, cycles: int) -> dict[str, int]:
        """Return how often each event of docs/energy.md happened."""
        total = self.network.counts + Counter(cycle=cycles)
        for core in self.cores:
            total["instruction_memory.read"] += core.sequencer.executed
            for unit in (core.engine, core.vector, core.router, core.dma):
                total += unit.counts
        return dict(total)

    def macs(self) -> dict[str, int]:
        """Return the products' multiplications, by which of their operands are not zero."""
        total = Counter[str]()
        for core in self.cores:
            for matrix in core.engine.macs.values():
                total += matrix
        return {kind: total[kind] for kind in MACS}

    def layers(self) -> dict[str, dict[str, int]]:
        """Return multiplications and engine cycles of every layer, cores together."""
        layers: dict[str, Counter[str]] = {}
        for core in self.cores:
            for name, matrix in core.engine.macs.items():
                layers.setdefault(self.layer_of.get(name, name), Counter()).update(matrix)
        return {name: {what: n[what] for what in OF_A_LAYER} for name, n in layers.items()}


def with_idle(causes: dict[str, int], cycles: int) -> dict[str, int]:
    """Return causes that occurred, with those cycles that have none as `idle`."""
    known = {cause: n for cause, n in causes.items() if n and cause != "idle"}
    idle = cycles - sum(known.values())
    return {**known, "idle": idle} if idle else known


def file_bounds(starts: Sequence[int], frames: int) -> list[tuple[int, int]]:
    """Return [first, end) of every file; each has a frame."""
    bounds = [*(int(start) for start in starts), frames]
    files = list(pairwise(bounds))
    if bounds[0] != 0 or not files or any(first >= end for first, end in files):
        raise ChipError(f"files that start at {starts} do not share out {frames} frames")
    return files


def step_program(
    program: Program,
    arch: Arch,
    frames: np.ndarray,
    starts: Sequence[int] = (0,),
    input_period: int | None = None,
    trace: bool = False,
    accumulators: Sequence[Sequence[int]] | None = None,
) -> ChipRun:
    """Step a program on an architecture. frames (frames, elements); files begin at `starts`.

    accumulators: what each core's hold at first; None: zero.
    With `trace` the result has a state word for every cycle, of which `trace_names` tells the
    fields; `first_difference` compares runs. Raises ChipDeadlock (T32), and ChipError for whatever
    else ends a run.
    """
    chip = Chip(program, arch, np.asarray(frames).tolist(), input_period, trace, accumulators)
    cycles = chip.run(file_bounds(starts, len(frames)))
    names = [name for core in chip.cores for name in core.word_names()]
    return ChipRun(
        cycles=cycles,
        frame_cycles=[e - b for b, e in zip(chip.host.began, chip.host.ended, strict=True)],
        outputs=chip.host.outputs,
        stalls=chip.stalls(cycles),
        counts=chip.counts(cycles),
        macs=chip.macs(),
        layers=chip.layers(),
        data_memory=tuple(bytes(core.memory.bytes) for core in chip.cores),
        accumulators=tuple(list(core.accumulators) for core in chip.cores),
        external_memory=bytes(chip.external.bytes),
        trace=chip.trace[:cycles],
        trace_names=(*names, "host.out", "host.in"),
        frame_spans=list(zip(chip.host.began, chip.host.ended, strict=True)),
    )
