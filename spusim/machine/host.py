"""The host: one process that runs the files, and the arrays of stream and outputs (T31, T32)."""

from collections.abc import Generator, Sequence
from itertools import pairwise

import numpy as np
import simpy

from spusim.formats import pack_elements, unfit
from spusim.kernels.chip import G, O, Stop
from spusim.kernels.layout import COUNTERS
from spusim.machine.chip import Chip
from spusim.machine.errors import DeadlockError, MachineError
from spusim.program import InputPort, OutputPort, Program


class Host:
    """Starts one file after the other; what happens within a file is the chip's clock's."""

    def __init__(
        self,
        env: simpy.Environment,
        chip: Chip,
        program: Program,
        starts: Sequence[int],
        input_period: int | None,
    ):
        self._env, self._chip, self._program = env, chip, program
        self._bounds = check_starts(starts, len(chip.arrays["frames"]))
        registers, port = chip.registers, program.input
        registers[G.PERIOD] = input_period or 0
        registers[G.INPUT_MASK] = sum(1 << core for core in port.cores)
        registers[G.INPUT_CHANNEL], registers[G.INPUT_THREAD] = port.channel, port.thread
        # of every file its last cycle, and what each matrix's products have taken up to then
        self.ends: list[int] = []
        self.products: list[np.ndarray] = []

    def run(self) -> Generator[simpy.Event, None, None]:
        """Run every file; raises DeadlockError with a report of who waits for what."""
        start = 0
        for last in self._bounds[1:]:
            yield self._env.timeout(start - self._env.now)
            if self._chip.run_file(last, self._program.init_threads, start) is Stop.STUCK:
                raise self._deadlock()
            self.ends.append(self._chip.now)
            self.products.append(
                np.concatenate([core.arrays.matrix_use[:, 0] for core in self._chip.loaded])
            )
            start = self._chip.now + 1
        self._chip.close(self._chip.now)

    def _deadlock(self) -> DeadlockError:
        finished = int(self._chip.registers[G.FINISHED])
        ports = self._chip.arrays["ports"]
        missing = [(int(p[O.CORE]), int(p[O.CHANNEL])) for p in ports if p[O.TAKEN] == finished]
        lines = [
            f"deadlock in frame {finished}: nothing can happen any more",
            *self._chip.waits(),
            f"host: outputs missing from (core, channel): {missing}",
        ]
        return DeadlockError("; ".join(lines))


def host_arrays(program: Program, words: np.ndarray) -> dict[str, np.ndarray]:
    """Allocate the arrays of stream and outputs for frames as `pack_frames` gives them."""
    ports = np.zeros((len(program.outputs), O.COUNT), np.int64)
    places = _taken(program)
    for row, port, place in zip(ports, program.outputs, places, strict=True):
        row[: O.TAKEN] = port.core, port.channel, place.start, len(place), port.bits
    width = max((place.stop for place in places), default=0)
    count = len(words)
    return {
        "frames": np.ascontiguousarray(words),
        "ports": ports,
        "outputs": np.zeros((count, width), np.int64),
        "began": np.zeros(count, np.int64),
        "ended": np.zeros(count, np.int64),
        "frame_counts": np.zeros((count, COUNTERS + 2), np.int64),
    }


def blank_frames(program: Program, count: int) -> np.ndarray:
    """Return frames as `pack_frames` gives them, where no value matters."""
    return np.zeros((count, _frame_words(program), program.word_bits // 8), np.uint8)


def _frame_words(program: Program) -> int:
    port = program.input
    return port.planes * -(-_pixels(port, program.name) // (program.word_bits // port.bits))


def check_starts(starts: Sequence[int], frames: int) -> list[int]:
    """Return the bounds of all files; raises MachineError for starts that are none."""
    bounds = [*starts, frames]
    if not starts or starts[0] != 0 or any(a >= b for a, b in pairwise(bounds)):
        raise MachineError(
            f"starts (={tuple(starts)}) of {frames} frames must begin with 0 and ascend, every "
            "file with at least one frame"
        )
    return bounds


def pack_frames(frames: np.ndarray, program: Program) -> np.ndarray:
    """Pack integer frames (frames, elements) to words: (frames, words, word bytes) uint8.

    Raises MachineError for frames of another width, or values that the port cannot carry.
    """
    port = program.input
    if frames.ndim != 2 or frames.shape[1] != port.elements:
        raise MachineError(
            f"stream has shape {frames.shape}; program {program.name} takes (frames, "
            f"{port.elements})"
        )
    if frames.size and unfit(frames, port.bits).any():
        carried = "+1 or -1" if port.bits == 1 else f"{port.bits} signed bits"
        raise MachineError(
            f"stream has values from {frames.min()} to {frames.max()}; the input port of "
            f"{program.name} carries {carried}"
        )
    width = program.word_bits // 8
    per_word = program.word_bits // port.bits
    pixels = _pixels(port, program.name)
    planes = frames.reshape(len(frames), pixels, port.planes).swapaxes(1, 2)
    # every frame, and every plane of one, begins a word
    rest = -pixels % per_word
    filled = planes
    if rest:
        filled = np.pad(planes, ((0, 0), (0, 0), (0, rest)), constant_values=port.filler)
    packed = pack_elements(filled.reshape(-1), port.bits, program.word_bits)
    return packed.reshape(len(frames), _frame_words(program), width)


def ordered_outputs(program: Program, outputs: np.ndarray) -> np.ndarray:
    """Return outputs (frames, elements) as frames have them, from what `host_arrays` took."""
    if not any(map(_reordered, program.outputs)):
        return outputs
    width = max(int(port.places.max()) + 1 for port in program.outputs)
    found = np.zeros((len(outputs), width), outputs.dtype)
    for port, place in zip(program.outputs, _taken(program), strict=True):
        arrived = outputs[:, place.start : place.stop]
        planes = arrived.reshape(len(outputs), port.planes, -1)
        found[:, port.places] = planes[:, :, : _pixels(port, program.name)]
    return found


def _reordered(port: OutputPort) -> bool:
    return port.planes != 1 or port.stride > 1


def _taken(program: Program) -> list[range]:
    """Return where each port's elements come, of planes with what fills their last words."""
    if not any(map(_reordered, program.outputs)):
        return [range(port.offset, port.offset + port.elements) for port in program.outputs]
    places, end = [], 0
    for port in program.outputs:
        pixels = _pixels(port, program.name)
        pitch = pixels + -pixels % (program.word_bits // port.bits)
        places.append(range(end, end := end + port.planes * pitch))
    return places


def _pixels(port: InputPort | OutputPort, name: str) -> int:
    if port.planes < 1 or port.elements % port.planes:
        raise MachineError(
            f"a port of {name} has {port.elements} elements in {port.planes} planes; let the "
            "planes divide them"
        )
    return port.elements // port.planes
