"""A test bench around one core's convolution engine: what `spusim layer conv2d` measures."""

import numpy as np

from spusim.arch.spec import Arch
from spusim.machine.bench import bench_result, counters_of
from spusim.machine.collect import Unskipped
from spusim.machine.conv_window import laid_out
from spusim.machine.convolution import ConvUnit
from spusim.machine.host import pack_frames
from spusim.machine.load import load_core
from spusim.program import Program
from spusim.result import RunResult


def run_conv_layer(program: Program, arch: Arch, frames: np.ndarray) -> RunResult:
    """Run a program from `compile_conv_layer` on frames (frames, channels, height, width) int.

    A frame begins with its activations in place, and ends when the last accumulator has left;
    outputs are the accumulators (frames, filters x rows x columns). Raises MachineError.
    """
    core = load_core(program.cores[0], program, arch)
    unit, window = ConvUnit(core, arch), program.cores[0].windows[0]
    words = pack_frames(laid_out(window, frames, program.word_bits), program)
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
    window = program.cores[0].windows[0]
    shape = (1, window.channels, window.height, window.width)
    # of one bit, there is no zero
    result = run_conv_layer(program, arch, np.ones(shape, np.int64))
    engines = {name: frames * row["engine_cycles"] for name, row in result.layers.items()}
    return Unskipped(frames * result.cycles, engines)
