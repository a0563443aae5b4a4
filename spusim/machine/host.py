"""The host: starts files, sends frames, collects outputs (T31, T32)."""

from collections.abc import Callable, Generator, Sequence

import numpy as np
import simpy

from spusim.kernels.chip import NEVER, G, K, Stop
from spusim.machine.chip import Chip
from spusim.machine.errors import DeadlockError, MachineError
from spusim.program import OutputPort, Program


class Host:
    """A process that feeds the frames of all files, one file after the other."""

    def __init__(
        self,
        env: simpy.Environment,
        chip: Chip,
        program: Program,
        frames: np.ndarray,
        starts: Sequence[int],
        input_period: int | None,
        on_frame: Callable[[], None],
    ):
        self._env, self._chip, self._program = env, chip, program
        self._words = pack_frames(frames, program)
        self._period, self._on_frame = input_period, on_frame
        self._bounds = check_starts(starts, len(frames))
        self._ports = {(port.core, port.channel): port for port in program.outputs}
        self._missing: set[OutputPort] = set()
        self._sent = self._finished = 0
        width = max((p.offset + p.elements for p in program.outputs), default=0)
        self.outputs = np.zeros((len(frames), width), np.int64)
        self.began = np.zeros(len(frames), np.int64)
        self.ended = np.zeros(len(frames), np.int64)
        self.end = 0

    def run(self) -> Generator[simpy.Event, None, None]:
        """Feed every file; the process ends with the run."""
        start = 0
        for first, last in zip(self._bounds, self._bounds[1:], strict=False):
            yield from self._file(first, last, start)
            self.end = self._chip.now
            start = self.end + 1
        self._chip.close(self.end)

    def _file(self, first: int, last: int, start: int) -> Generator[simpy.Event, None, None]:
        yield self._env.timeout(start - self._env.now)
        self._chip.begin_file(self._program.init_threads, start)
        self._chip.registers[G.WATCH] = 0
        self._request(start)
        while True:
            due = self._due(first, last, start)
            stop = self._chip.advance(due)
            yield self._env.timeout(self._chip.now - self._env.now)
            if stop is Stop.STUCK:
                raise self._deadlock()
            if stop is Stop.QUIET:
                return
            if stop is Stop.UNTIL:
                self._request(self._chip.now)
            elif self._take() and self._period is None and self._sent < last:
                self._request(self._chip.now)
            self._chip.registers[G.WATCH] = self._finished == last

    def _request(self, now: int) -> None:
        """Ask the router for the transfer of the next frame."""
        port = self._program.input
        self._note_grant()
        self._chip.registers[G.HOST_GRANT] = -1
        self._chip.send(port.cores, port.channel, port.thread, self._words[self._sent], now)
        self._sent += 1

    def _note_grant(self) -> None:
        """Remember when the frame sent last began to cross the link."""
        grant = int(self._chip.registers[G.HOST_GRANT])
        if grant >= 0 and self._sent:
            self.began[self._sent - 1] = grant + 1

    def _due(self, first: int, last: int, start: int) -> int:
        """Cycle of the next frame's request, as far as the schedule alone says (T31)."""
        if self._period is None or self._sent == last:
            return NEVER
        due = start + (self._sent - first) * self._period
        granted = self._chip.registers[G.HOST_GRANT] >= 0
        free = int(self._chip.registers[G.HOST_FREE]) if granted else NEVER
        return max(due, self._chip.now, free) if granted else NEVER

    def _take(self) -> bool:
        """Take what has arrived; return whether it completes a frame."""
        done = False
        for core, channel, data in self._chip.take_outputs():
            port = self._ports.get((core, channel))
            if not self._missing:
                self._missing = set(self._program.outputs)
            if port is None or port not in self._missing:
                raise MachineError(
                    f"core {core} sent output {channel} to the host, which does not wait for it in "
                    f"frame {self._finished}; send each output port once a frame"
                )
            self._missing.discard(port)
            values = data.view(f"<i{port.bits // 8}")[: port.elements]
            self.outputs[self._finished, port.offset : port.offset + port.elements] = values
            if not self._missing:
                self._end_frame()
                done = True
        return done

    def _end_frame(self) -> None:
        self._note_grant()
        self.ended[self._finished] = self._chip.now
        self._finished += 1
        self._on_frame()

    def _deadlock(self) -> DeadlockError:
        missing = sorted((p.core, p.channel) for p in self._missing or set(self._program.outputs))
        lines = [
            f"deadlock in frame {self._finished}: nothing can happen any more",
            *self._chip.waits(),
            f"host: outputs missing from (core, channel): {missing}",
        ]
        return DeadlockError("; ".join(lines))


def check_starts(starts: Sequence[int], frames: int) -> list[int]:
    """Return the bounds of all files; raises MachineError for starts that are none."""
    bounds = [*starts, frames]
    if not starts or starts[0] != 0 or any(a >= b for a, b in zip(bounds, bounds[1:], strict=False)):
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
    limit = 1 << (port.bits - 1)
    if frames.size and (frames.min() < -limit or frames.max() >= limit):
        raise MachineError(
            f"stream has values from {frames.min()} to {frames.max()}; the input port of "
            f"{program.name} carries {port.bits} signed bits"
        )
    width = program.word_bits // 8
    raw = frames.astype(f"<i{port.bits // 8}").view(np.uint8).reshape(len(frames), -1)
    padding = -raw.shape[1] % width
    return np.pad(raw, ((0, 0), (0, padding))).reshape(len(frames), -1, width)
