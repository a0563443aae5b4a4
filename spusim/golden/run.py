"""Run a program for what it means: outputs and final state, and no time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spusim.golden.chip import Chip
from spusim.golden.errors import CodeError
from spusim.golden.host import file_bounds
from spusim.isa import load_isa
from spusim.program import Program


@dataclass(frozen=True)
class GoldenResult:
    """What a program leaves behind."""

    outputs: np.ndarray  # (frames, features) int64, each port's elements at its offset
    data_memory: tuple[np.ndarray, ...]  # per core (words touched, word bytes) uint8
    accumulators: tuple[np.ndarray, ...]  # per core (rows,) int64
    external_memory: np.ndarray  # (words, word bytes) uint8, all that the program may use
    counts: dict[str, int]  # mnemonic -> instructions executed, on all cores


def run(
    program: Program,
    frames: np.ndarray,
    starts: Sequence[int],
    check_races: bool = True,
    accumulators: Sequence[np.ndarray] | None = None,
) -> GoldenResult:
    """Run frames (F, elements) int of files that begin at `starts`, in program and token order.

    accumulators: what each core's (rows,) int64 hold at first; None: zero. With `check_races` a
    program whose result depends on time is refused (RaceError). Raises GoldenError for whatever
    else has no meaning; see `spusim.golden.errors`.
    """
    isa = load_isa()
    if program.isa_version != isa.version:
        raise CodeError(
            f"program {program.name} is for ISA {program.isa_version}; this is {isa.version}: "
            "compile it again"
        )
    chip = Chip(isa, program, np.asarray(frames), check_races)
    for core, values in zip(chip.cores, accumulators or (), strict=accumulators is not None):
        core.accumulators[:] = values
    for first, end in file_bounds([int(s) for s in starts], len(frames)):
        chip.run_file(first, end)
    return GoldenResult(
        chip.host.outputs,
        tuple(core.memory.image() for core in chip.cores),
        tuple(core.accumulators for core in chip.cores),
        chip.external.all_words(),
        dict(chip.executed),
    )
