"""A test bench around one core's convolution engine: what `spusim layer conv2d` measures."""

from dataclasses import replace

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
from spusim.machine.tape import blank_tape, recorded_tape, unskipped_tape
from spusim.program import Program
from spusim.result import RunResult


def run_conv_layer(program: Program, arch: Arch, frames: np.ndarray) -> RunResult:
    """Run a program from `compile_conv_layer` on frames (frames, channels, height, width) int.

    A frame begins with its activations in place, and ends when the last accumulator has left;
    outputs are the accumulators (frames, filters x rows x columns). Raises MachineError.
    """
    return _run(program, arch, load_core(program.cores[0], program, arch), _words(program, frames))


def record_conv_layer(
    program: Program, arch: Arch, frames: np.ndarray
) -> tuple[RunResult, dict[str, Pattern], str]:
    """Return what `run_conv_layer` does, and a recording's patterns and order, as `record` does."""
    core = load_core(program.cores[0], program, arch, blank_tape(len(frames)))
    result = _run(program, arch, core, _words(program, frames))
    return result, patterns_of(program, [core], len(frames)), order_of([core], arch)


def retime_conv_layer(program: Program, arch: Arch, recording: Recording) -> RunResult:
    """Return what `run_conv_layer` would for the recording's frames; the program may be outlined.

    Raises RecordingError for a program whose operand or outputs are not the recording's.
    """
    check_order(recording, arch)
    core = load_core(program.cores[0], program, arch, recorded_tape(program, recording))
    nothing = np.zeros((recording.frames, 0), np.uint8)
    result = _run(program, arch, core, nothing)
    return replace(result, outputs=recorded_outputs(recording, result))


def _words(program: Program, frames: np.ndarray) -> np.ndarray:
    window = program.cores[0].windows[0]
    return pack_frames(laid_out(window, frames, program.word_bits), program)


def _run(program: Program, arch: Arch, core: LoadedCore, words: np.ndarray) -> RunResult:
    """Run frames whose operands are words (frames, words, word bytes), or on the core's tape."""
    unit, window = ConvUnit(core, arch), program.cores[0].windows[0]
    cycles, outputs, counts = [], [], []
    before = counters_of([core])
    for frame in words:
        core.arrays.memory[: frame.size] = frame.ravel()
        spent, accesses, sums = unit.accumulate(window, 0, 0)
        core.arrays.bank_busy[:] += accesses
        core.arrays.bank_held[accesses > 0] += spent
        cycles.append(spent)
        outputs.append(sums.ravel())
        after = counters_of([core])
        counts.append(after - before)
        before = after
    return bench_result(program, arch, [core], cycles, np.stack(outputs), np.stack(counts))


def unskipped_conv_cycles(program: Program, arch: Arch, frames: int) -> Unskipped:
    """Return what `run_conv_layer` would take for `frames` on a machine that skips none."""
    core = load_core(program.cores[0], program, arch, unskipped_tape(1))
    result = _run(program, arch, core, np.zeros((1, 0), np.uint8))
    engines = {name: frames * row["engine_cycles"] for name, row in result.layers.items()}
    return Unskipped(frames * result.cycles, engines)
