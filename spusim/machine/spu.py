"""The SPU's block diagram: cores and router make a chip, the host feeds it; and one run of it."""

from collections.abc import Sequence

import numpy as np
import simpy

from spusim.arch.spec import Arch
from spusim.machine.chip import Chip, ReadLog
from spusim.machine.collect import collect
from spusim.machine.errors import MachineError
from spusim.machine.host import Host, host_arrays
from spusim.machine.load import load_core
from spusim.program import Program
from spusim.result import RunResult


class Spu:
    """An SPU with a program in it.

    order: in which order cores are visited within a cycle; results do not depend on it.
    """

    def __init__(self, program: Program, arch: Arch, order: Sequence[int] | None = None):
        if len(program.cores) != arch.cores or program.pes != arch.core.pes:
            raise MachineError(
                f"program {program.name} was compiled for {len(program.cores)} cores of "
                f"{program.pes} PEs, {arch.name} has {arch.cores} of {arch.core.pes}; recompile it"
            )
        self.program, self.arch, self._order = program, arch, order

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
        program, arch = self.program, self.arch
        cores = [load_core(image, program, arch) for image in program.cores]
        chip = Chip(cores, arch, host_arrays(program, frames), self._order, read_log)
        env = simpy.Environment()
        host = Host(env, chip, program, starts, input_period)
        env.run(env.process(host.run()))
        return collect(program, arch, chip, host.end)


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
