"""The SPU's block diagram: cores and router make a chip, the host feeds it; and one run of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import simpy

from spusim.arch.spec import Arch
from spusim.machine.chip import Chip, ReadLog
from spusim.machine.collect import collect
from spusim.machine.errors import MachineError
from spusim.machine.external import external_arrays, set_channel
from spusim.machine.host import Host, blank_frames, host_arrays, pack_frames
from spusim.machine.load import LoadedCore, StoredCore, load_core, store_core
from spusim.machine.tape import Taping, no_tape
from spusim.program import Program
from spusim.result import RunResult


@dataclass(frozen=True)
class FinalState:
    """What a run leaves in the cores' memories, all words of it."""

    data_memory: tuple[np.ndarray, ...]  # per core (words, word bytes) uint8
    accumulators: tuple[np.ndarray, ...]  # per core (rows,) int64
    external_memory: np.ndarray  # (words, word bytes) uint8, all that the program may use


class Spu:
    """An SPU with a program in it.

    order: in which order cores are visited within a cycle; results do not depend on it.
    taping: what each core's tape records or replays.
    """

    def __init__(
        self,
        program: Program,
        arch: Arch,
        order: Sequence[int] | None = None,
        taping: Taping = no_tape,
    ):
        if len(program.cores) != arch.cores or program.pes != arch.core.pes:
            raise MachineError(
                f"program {program.name} was compiled for {len(program.cores)} cores of "
                f"{program.pes} PEs, {arch.name} has {arch.cores} of {arch.core.pes}; recompile it"
            )
        self.program, self.arch, self._order, self._taping = program, arch, order, taping
        self._stored: list[StoredCore] = []  # from the first run on
        # of the last run: its cores, and of each file what the host notes at its end
        self.cores: list[LoadedCore] = []
        self.file_ends: list[int] = []
        self.file_products: list[np.ndarray] = []

    def run(
        self,
        frames: np.ndarray,
        starts: Sequence[int],
        input_period: int | None = None,
        read_log: ReadLog | None = None,
    ) -> RunResult:
        """Stream frames (frames, elements) of files that begin at `starts` through the chip.

        read_log: makes it a traced run, of which results do not depend, and takes its log. Raises
        MachineError for what goes wrong on the way, DeadlockError with a report.
        """
        return self.run_to_end(frames, starts, input_period, read_log=read_log)[0]

    def run_blank(
        self, frames: int, starts: Sequence[int], input_period: int | None = None
    ) -> RunResult:
        """Run as `run` does so many frames of which no value matters, since tapes are replayed."""
        words = blank_frames(self.program, frames)
        return self._run(words, starts, input_period, None, None)[0]

    def run_to_end(
        self,
        frames: np.ndarray,
        starts: Sequence[int],
        input_period: int | None = None,
        accumulators: Sequence[np.ndarray] | None = None,
        read_log: ReadLog | None = None,
    ) -> tuple[RunResult, FinalState]:
        """Run as `run` does, and tell what the run leaves in the memories.

        accumulators: what each core's (rows,) int64 hold at first; None: zero.
        """
        words = pack_frames(frames, self.program)
        return self._run(words, starts, input_period, accumulators, read_log)

    def _run(
        self,
        words: np.ndarray,
        starts: Sequence[int],
        input_period: int | None,
        accumulators: Sequence[np.ndarray] | None,
        read_log: ReadLog | None,
    ) -> tuple[RunResult, FinalState]:
        program, arch = self.program, self.arch
        self._stored = self._stored or [store_core(core, program, arch) for core in program.cores]
        self.cores = [
            load_core(stored.image, program, arch, self._taping, stored) for stored in self._stored
        ]
        for core, values in zip(self.cores, accumulators or (), strict=accumulators is not None):
            core.arrays.acc[:] = values
        host_side = host_arrays(program, words) | external_arrays(program, arch, self.cores)
        chip = Chip(self.cores, arch, host_side, self._order, read_log)
        set_channel(chip.registers, program, arch)
        env = simpy.Environment()
        host = Host(env, chip, program, starts, input_period)
        env.run(env.process(host.run()))
        self.file_ends, self.file_products = host.ends, host.products
        width = program.word_bits // 8
        state = FinalState(
            tuple(core.arrays.memory.reshape(-1, width) for core in self.cores),
            tuple(core.arrays.acc for core in self.cores),
            chip.arrays["external"].reshape(-1, width),
        )
        return collect(program, arch, chip, host.ends[-1]), state


def run(
    program: Program,
    arch: Arch,
    frames: np.ndarray,
    starts: Sequence[int] = (0,),
    input_period: int | None = None,
    order: Sequence[int] | None = None,
) -> RunResult:
    """Run a program on an architecture; see `Spu.run`."""
    return Spu(program, arch, order).run(frames, starts, input_period)


def run_to_end(
    program: Program,
    arch: Arch,
    frames: np.ndarray,
    starts: Sequence[int] = (0,),
    input_period: int | None = None,
    accumulators: Sequence[np.ndarray] | None = None,
) -> tuple[RunResult, FinalState]:
    """Run a program, and tell what it leaves in the memories; see `Spu.run_to_end`."""
    return Spu(program, arch).run_to_end(frames, starts, input_period, accumulators)
