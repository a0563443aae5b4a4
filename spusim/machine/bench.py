"""A test bench around the sparse engines alone: what `spusim layer` measures.

Operands are in place in data memory when a frame begins, and it ends at the last accumulator
write; threads, host and vector unit take no part. Cores work side by side.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.engine import settle
from spusim.kernels.layout import Fault, M, Op
from spusim.kernels.product import run_product
from spusim.machine.chip import FAULTS
from spusim.machine.collect import (
    Unskipped,
    bank_stalls,
    engine_stalls,
    layers,
    macs,
    named_counts,
    peak_macs,
    with_idle,
)
from spusim.machine.errors import MachineError
from spusim.machine.host import blank_frames, pack_frames
from spusim.machine.load import LoadedCore, load_core
from spusim.machine.memory import memory_use, stored_bits
from spusim.machine.recording import Recording, recorded_outputs
from spusim.machine.tape import Taping, no_tape, recorded_tape, unskipped_tape
from spusim.program import Program
from spusim.result import RunResult


class EngineBench:
    """One core's engine, its accumulators read after the last product of each row tile."""

    def __init__(self, loaded: LoadedCore):
        self._loaded = loaded

    def frame(self, words: np.ndarray) -> tuple[int, np.ndarray]:
        """Run all products on an operand (words, word bytes); return cycles and accumulators."""
        arrays = self._loaded.arrays
        if words.size > arrays.memory.size:
            raise MachineError(
                f"an operand of {len(words)} words does not fit the data memory's "
                f"{arrays.memory.size // words.shape[1]}; set core.data_memory.words"
            )
        arrays.memory[: words.size] = words.ravel()
        cycles, parts = 0, []
        for m, src, acc, accumulate, last in self._products():
            fault, spent = run_product(self._loaded.state, m, src, acc, accumulate)
            if fault:
                raise MachineError(f"product {m}: {FAULTS[Fault(fault)]}")
            cycles += spent
            if last:
                parts.append(arrays.acc[acc : acc + arrays.matrices[m, M.ROWS]].copy())
        return cycles, np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _products(self) -> Iterator[tuple[int, int, int, int, bool]]:
        """Matrix, operand, accumulator row, whether it adds, and whether its row tile ends."""
        code = self._loaded.arrays.code
        for row, following in pairwise(code):
            goes_on = following[0] == Op.MATVEC and following[5]
            m, src, acc, accumulate = map(int, row[2:6])
            yield m, src, acc, accumulate, not goes_on


def run_layer(
    program: Program, arch: Arch, frames: np.ndarray, taping: Taping = no_tape
) -> RunResult:
    """Run the products of a program from `compile_layer` on frames (frames, inputs) int.

    Returns a result whose outputs are the raw accumulators. Ports are as good as reserved, since
    nothing competes for them. taping: what each core's tape records or replays.
    """
    alone = arch.model_copy(update={"core": arch.core.model_copy(update={"ports": "reserved"})})
    loaded = [load_core(image, program, alone, taping) for image in program.cores]
    benches = [EngineBench(core) for core in loaded]
    words = pack_frames(frames, program)
    cycles, outputs, counts = [], [], []
    before = counters_of(loaded)
    for frame in words:
        results = [bench.frame(frame) for bench in benches]
        cycles.append(max(c for c, _ in results))
        outputs.append(np.concatenate([part for _, part in results]))
        after = counters_of(loaded)
        counts.append(after - before)
        before = after
    return bench_result(program, arch, loaded, cycles, np.stack(outputs), np.stack(counts))


def retime_layer(program: Program, arch: Arch, recording: Recording) -> RunResult:
    """Return what `run_layer` would for the recording's frames; the program may be an outlined one.

    Raises RecordingError for a program whose products or outputs are not the recording's.
    """
    nothing = blank_frames(program, recording.frames)
    result = run_layer(program, arch, nothing, recorded_tape(program, recording))
    return replace(result, outputs=recorded_outputs(recording, result))


def unskipped_layer_cycles(program: Program, arch: Arch, frames: int) -> Unskipped:
    """Return what `run_layer` would take for `frames` of a machine that skips none.

    Every frame then takes as long as any other. The program may be an outlined one.
    """
    nothing = blank_frames(program, 1)
    result = run_layer(program, arch, nothing, unskipped_tape(1))
    engines = {name: frames * row["engine_cycles"] for name, row in result.layers.items()}
    return Unskipped(frames * result.cycles, engines)


def counters_of(loaded: list[LoadedCore]) -> np.ndarray:
    """Event counts of all cores up to now."""
    total = sum(core.arrays.counters for core in loaded)
    return np.append(total, [0, 0])  # no router, no link


def bench_result(
    program: Program,
    arch: Arch,
    loaded: list[LoadedCore],
    cycles: list[int],
    outputs: np.ndarray,
    counts: np.ndarray,
) -> RunResult:
    """Put the figures of frames together: cycles and counts of each, outputs (frames, n)."""
    total = sum(cycles)
    named = named_counts(counts, loaded[0].mac_kinds)
    units: dict[str, dict[str, int]] = {}
    for number, core in enumerate(loaded):
        arrays = core.arrays
        settle(core.state)
        units |= engine_stalls(f"core{number}", arrays.pe_stalls, arrays.scanner_stalls)
        units |= bank_stalls(f"core{number}", arrays)
    frame_cycles = np.array(cycles, np.int64)
    return RunResult(
        name=program.name,
        arch_name=arch.name,
        clock_mhz=arch.clock_mhz,
        cycles=total,
        frame_cycles=frame_cycles,
        outputs=outputs,
        stalls=with_idle(units, total),
        counts={**{name: int(column.sum()) for name, column in named.items()}, "cycle": total},
        frame_counts={**named, "cycle": frame_cycles},
        memory=memory_use(program, arch),
        stored_bits=stored_bits(program),
        macs=macs(loaded, counts),
        peak_macs_per_cycle=peak_macs(program, arch),
        layers=layers(program, loaded),
        versions={"isa": program.isa_version, **program.hashes},
        notes=program.notes,
    )
