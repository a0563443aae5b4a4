"""A test bench around one core's convolution engine: what `spusim layer conv2d` measures."""

import numpy as np

from spusim.arch.spec import Arch
from spusim.machine.bench import bench_result, counters_of
from spusim.machine.collect import Unskipped
from spusim.machine.conv_window import laid_out
from spusim.machine.convolution import ConvUnit
from spusim.machine.host import pack_frames
from spusim.machine.load import LoadedCore, load_core
from spusim.machine.recording import Pattern, Recording, recorded_outputs
from spusim.machine.retime import check_order, order_of, patterns_of
from spusim.machine.tape import Taping, blank_tape, recorded_tape, unskipped_tape
from spusim.program import Program
from spusim.result import RunResult


class ConvBench:
    """One core's engine, and what its frames have taken up to now."""

    def __init__(self, program: Program, arch: Arch, core: LoadedCore):
        self._program, self._arch, self._core = program, arch, core
        self._unit, self._window = ConvUnit(core, arch), program.cores[0].windows[0]
        self._cycles: list[int] = []
        self._counts = [counters_of([core])]  # before each frame, and at the end

    def frame(self) -> np.ndarray | None:
        """Run a frame; return its accumulators (filters, positions), None when replaying."""
        arrays = self._core.arrays
        spent, accesses, sums = self._unit.accumulate(self._window, 0, 0)
        arrays.bank_busy[:] += accesses
        arrays.bank_held[accesses > 0] += spent
        self._cycles.append(spent)
        self._counts.append(counters_of([self._core]))
        return sums

    def compute(self, words: np.ndarray) -> np.ndarray:
        """Run a frame whose operand is words (words, word bytes); return accumulators (n,)."""
        self._core.arrays.memory[: words.size] = words.ravel()
        sums = self.frame()
        assert sums is not None
        return sums.ravel()

    def result(self, outputs: np.ndarray) -> RunResult:
        """Put the figures together; outputs (frames, n)."""
        counts = np.diff(np.stack(self._counts), axis=0)
        return bench_result(self._program, self._arch, [self._core], self._cycles, outputs, counts)


def run_conv_layer(program: Program, arch: Arch, frames: np.ndarray) -> RunResult:
    """Run a program from `compile_conv_layer` on frames (frames, channels, height, width) int.

    A frame begins with its activations in place, and ends when the last accumulator has left;
    outputs are the accumulators (frames, filters x rows x columns). Raises MachineError.
    """
    return _computed(program, arch, load_core(program.cores[0], program, arch), frames)


def record_conv_layer(
    program: Program, arch: Arch, frames: np.ndarray
) -> tuple[RunResult, dict[str, Pattern], str]:
    """Return what `run_conv_layer` does, and a recording's patterns and order, as `record` does."""
    core = load_core(program.cores[0], program, arch, blank_tape(len(frames)))
    result = _computed(program, arch, core, frames)
    return result, patterns_of(program, [core], len(frames)), order_of([core], arch)


def retime_conv_layer(program: Program, arch: Arch, recording: Recording) -> RunResult:
    """Return what `run_conv_layer` would for the recording's frames; the program may be outlined.

    Raises RecordingError for a program whose operand or outputs are not the recording's.
    """
    check_order(recording, arch)
    bench = _bench(program, arch, recorded_tape(program, recording))
    for _ in range(recording.frames):
        bench.frame()
    width = sum(port.elements for port in program.outputs)
    return bench.result(recorded_outputs(recording, program.name, (recording.frames, width)))


def unskipped_conv_cycles(program: Program, arch: Arch, frames: int) -> Unskipped:
    """Return what `run_conv_layer` would take for `frames` on a machine that skips none."""
    bench = _bench(program, arch, unskipped_tape(1))
    bench.frame()
    result = bench.result(np.zeros((1, 0), np.int64))
    engines = {name: frames * row["engine_cycles"] for name, row in result.layers.items()}
    return Unskipped(frames * result.cycles, engines)


def _bench(program: Program, arch: Arch, taping: Taping) -> ConvBench:
    return ConvBench(program, arch, load_core(program.cores[0], program, arch, taping))


def _computed(program: Program, arch: Arch, core: LoadedCore, frames: np.ndarray) -> RunResult:
    words = pack_frames(laid_out(core.image.windows[0], frames, program.word_bits), program)
    bench = ConvBench(program, arch, core)
    return bench.result(np.stack([bench.compute(frame) for frame in words]))
