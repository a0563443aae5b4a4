"""The host: starts files, sends frames, collects outputs (T31, T32)."""

from collections.abc import Callable, Sequence

import numpy as np
import simpy

from spusim.machine.core import Core
from spusim.machine.errors import DeadlockError, MachineError
from spusim.machine.events import DELIVERY, HOST, Alarm, at
from spusim.machine.router import Message, Router
from spusim.program import HOST as HOST_NODE
from spusim.program import OutputPort, Program


class Host:
    """Feeds the frames of all files, one file after the other."""

    def __init__(
        self,
        env: simpy.Environment,
        program: Program,
        frames: np.ndarray,
        starts: Sequence[int],
        cores: list[Core],
        router: Router,
        input_period: int | None,
        on_frame: Callable[[int], None],
    ):
        self._env, self._program, self._router, self._cores = env, program, router, cores
        self._words = pack_frames(frames, program)
        self._period, self._on_frame = input_period, on_frame
        self._starts = [*starts, len(frames)]
        self._file = -1
        self._sent = self._finished = 0
        self._missing: set[OutputPort] = set()
        self._ports = {(port.core, port.channel): port for port in program.outputs}
        width = max((p.offset + p.elements for p in program.outputs), default=0)
        self.outputs = np.zeros((len(frames), width), np.int64)
        self.began = np.zeros(len(frames), np.int64)
        self.ended = np.zeros(len(frames), np.int64)
        self.end = 0
        self._next_file = Alarm(env, HOST, self._maybe_next_file)
        router.connect(HOST_NODE, self._take)
        for core in cores:
            core.on_quiet = self._quiet

    @property
    def done(self) -> bool:
        """Whether every file has ended."""
        return self._file == len(self._starts) - 1

    def start(self) -> None:
        """Begin the first file in cycle 0."""
        at(self._env, 0, DELIVERY, self._begin_file)

    def deadlock(self) -> DeadlockError:
        """Return a report of who waits for what."""
        lines = [f"deadlock in frame {self._finished}: nothing can happen any more"]
        for core in self._cores:
            for flight in core.flights:
                lines.append(f"core {core.number}: {core.waits(flight)}")
            for state in core.scoreboard.threads:
                got = state.thread.tokens - state.count
                if got and not state.live:
                    lines.append(
                        f"core {core.number}: thread {state.thread.name} has {got} of "
                        f"{state.thread.tokens} tokens"
                    )
        for message in self._router.waiting:
            lines.append(
                f"router: {message.words} words from node {message.sender} to "
                f"{message.destinations} wait for room in channel {message.channel}"
            )
        missing = sorted((p.core, p.channel) for p in self._missing)
        lines.append(f"host: outputs missing from (core, channel): {missing}")
        return DeadlockError("; ".join(lines))

    def _begin_file(self) -> None:
        self._file += 1
        if self.done:
            self.end = max([int(self._env.now) - 1, *(core.last_end for core in self._cores)])
            return
        self._file_began = int(self._env.now)
        self._router.reset()
        for core in self._cores:
            core.scoreboard.reset()
        for core, thread in self._program.init_threads:
            self._cores[core].token(thread)
        self._request_frame()

    def _request_frame(self) -> None:
        """Ask the router for the transfer of the next frame of this file."""
        if self._sent == self._starts[self._file + 1]:
            return
        port, frame = self._program.input, self._sent
        self._sent += 1
        data = self._words[frame]

        def granted(grant: int, done: int) -> None:
            self.began[frame] = grant + 1
            self._schedule_next(done)

        self._router.request(
            Message(HOST_NODE, port.cores, port.channel, len(data), data.ravel(), port.thread,
                    int(self._env.now), granted)
        )  # fmt: skip

    def _schedule_next(self, link_free: int) -> None:
        """With an input period, frames are posted on schedule, or when the link is free."""
        if self._period is None:
            return
        due = self._file_began + (self._sent - self._starts[self._file]) * self._period
        at(self._env, max(due, link_free, int(self._env.now) + 1), DELIVERY, self._request_frame)

    def _take(self, message: Message) -> None:
        """Take a message of outputs; the last of a frame ends it."""
        port = self._ports.get((message.sender, message.channel))
        if not self._missing:
            self._missing = set(self._program.outputs)
        if port not in self._missing or port is None:
            raise MachineError(
                f"core {message.sender} sent output {message.channel} to the host, which does not "
                f"wait for it in frame {self._finished}; send each output port once a frame"
            )
        self._missing.discard(port)
        values = message.data.view(f"<i{port.bits // 8}")[: port.elements]
        frame = self._finished
        self.outputs[frame, port.offset : port.offset + port.elements] = values
        if self._missing:
            return
        self.ended[frame] = int(self._env.now)
        self._finished += 1
        self._on_frame(frame)
        if self._finished == self._starts[self._file + 1]:
            self._quiet()
        elif self._period is None:
            self._request_frame()

    def _quiet(self) -> None:
        if self._finished == self._starts[self._file + 1]:
            self._next_file.sooner(int(self._env.now))

    def _maybe_next_file(self) -> None:
        if self._router.in_flight or not all(core.quiet for core in self._cores):
            return
        at(self._env, int(self._env.now) + 1, DELIVERY, self._begin_file)


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
