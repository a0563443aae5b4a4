"""The SPU's block diagram: cores, router and host, wired together; and one run of it."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import simpy

from spusim.arch.spec import Arch
from spusim.machine.collect import Counts, collect
from spusim.machine.core import Core
from spusim.machine.errors import MachineError
from spusim.machine.host import Host
from spusim.machine.load import load_core
from spusim.machine.router import Router
from spusim.program import Program
from spusim.result import RunResult


class Spu:
    """A chip with a program in it.

    order: in which order the cores are created; results do not depend on it.
    """

    def __init__(self, program: Program, arch: Arch, order: Sequence[int] | None = None):
        if len(program.cores) != arch.cores or program.pes != arch.core.pes:
            raise MachineError(
                f"program {program.name} was compiled for {len(program.cores)} cores of "
                f"{program.pes} PEs, {arch.name} has {arch.cores} of {arch.core.pes}; recompile it"
            )
        self.program, self.arch = program, arch
        self.env = simpy.Environment()
        self.router = Router(self.env, arch.link, arch.cores)
        made = {
            number: Core(
                self.env, number, load_core(program.cores[number], program, arch), arch, self.router
            )
            for number in order or range(arch.cores)
        }
        self.cores = [made[number] for number in range(arch.cores)]
        for core in self.cores:
            self.router.connect(core.number, core.deliver)
            core.post_to = self._post

    def _post(self, core: int, thread: int) -> None:
        if core >= len(self.cores):
            raise MachineError(f"a token goes to core {core}; the machine has {len(self.cores)}")
        self.router.post(partial(self.cores[core].token, thread))

    def run(
        self, frames: np.ndarray, starts: Sequence[int], input_period: int | None = None
    ) -> RunResult:
        """Stream frames (frames, elements) of files that begin at `starts` through the chip.

        Raises MachineError for what goes wrong on the way, DeadlockError with a report.
        """
        counts = Counts(self.cores, self.router)
        host = Host(
            self.env, self.program, frames, starts, self.cores, self.router, input_period,
            counts.end_frame,
        )  # fmt: skip
        host.start()
        while not host.done:
            if self.env.peek() == float("inf"):
                raise host.deadlock()
            self.env.step()
        return collect(self.program, self.arch, self.cores, self.router, host, counts)


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
