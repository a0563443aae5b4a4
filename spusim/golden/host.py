"""The host: files and frames in, outputs back (T31)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spusim.golden.errors import CodeError, FrameError, GoldenError, OutputError, UnknownError
from spusim.golden.state import ELEMENT_BITS, element_bytes, elements
from spusim.golden.tokens import Message
from spusim.program import InputPort, OutputPort, Program

if TYPE_CHECKING:
    from spusim.golden.chip import Chip


class Host:
    """Sends a file's frames one after the other, each when the outputs of the last are here."""

    def __init__(self, chip: Chip, program: Program, frames: np.ndarray) -> None:
        self.chip = chip
        self.input = program.input
        self.init_threads = sorted(program.init_threads)
        self.ports = {(port.core, port.channel): port for port in program.outputs}
        self.word_bytes = program.word_bits // 8
        self.frames = checked_frames(frames, program.input)
        _check_ports(program)
        features = max((int(port.places.max()) + 1 for port in program.outputs), default=0)
        self.outputs = np.zeros((len(frames), features), np.int64)
        self.missing: set[tuple[int, int]] = set()  # ports whose output has not arrived
        self.frame = -1  # the one that was sent last
        self._file_end = 0

    def start_file(self, first: int, end: int) -> None:
        """Post the init threads' tokens and send the first frame of [first, end)."""
        races = self.chip.races
        races.join_all(races.host)
        self._event(first)
        for core, thread in self.init_threads:
            self.chip.scoreboard.post(core, thread, races.stamp(races.host))
        self.frame, self._file_end = first - 1, end
        self._send_next()

    def receive(self, message: Message, core: int, channel: int) -> None:
        """Take an output message, and send the next frame when it is the frame's last.

        Raises UnknownError, OutputError.
        """
        port = self.ports.get((core, channel))
        if port is None:
            raise UnknownError(
                f"sends to the host from core {core} on channel {channel}, which is no output "
                f"port; the program has (core, channel) {sorted(self.ports)}"
            )
        if (core, channel) not in self.missing:
            raise OutputError(
                f"sends output port (core {core}, channel {channel}) twice in frame {self.frame}; "
                "each port is served once a frame"
            )
        self.missing.remove((core, channel))
        self._store(message, port)
        self.chip.races.join(self.chip.races.host, message.sent)
        if not self.missing and self.frame + 1 < self._file_end:
            self._send_next()

    def _send_next(self) -> None:
        self.frame += 1
        self._event(self.frame)
        self.missing = set(self.ports)
        planes = self.frames[self.frame].reshape(-1, self.input.planes).T
        per_word = 8 * self.word_bytes // self.input.bits
        rest = (0, -planes.shape[1] % per_word)
        padded = np.pad(planes, ((0, 0), rest), constant_values=self.input.filler)
        words = element_bytes(padded.reshape(-1), self.input.bits)
        races = self.chip.races
        try:
            if self.input.external is not None:
                self.chip.write_external(races.host, self.input.external, words)
            message = Message(words, races.stamp(races.host))
            for core in self.input.cores:
                if self.input.external is None:
                    self.chip.deliver(message, core, self.input.channel, self.input.thread)
                else:
                    self.chip.scoreboard.post(core, self.input.thread, message.sent)
        except GoldenError as error:
            error.args = (f"the host with frame {self.frame}: {error}",)
            raise

    def _store(self, message: Message, port: OutputPort) -> None:
        pixels = port.elements // port.planes
        used = -(-pixels * port.bits // 8)
        plane_words = -(-used // self.word_bytes)
        words, needed = len(message.data) // self.word_bytes, port.planes * plane_words
        if words != needed:
            raise OutputError(
                f"sends {words} words to output port (core {port.core}, channel {port.channel}), "
                f"whose {port.elements} elements of {port.bits} bits take {needed}"
            )
        planes = message.data.reshape(port.planes, -1)[:, :used]
        rows = [elements(np.ascontiguousarray(plane), port.bits)[:pixels] for plane in planes]
        self.outputs[self.frame, port.places] = rows

    def _event(self, frame: int) -> None:
        self.chip.races.event(self.chip.races.host, frame)


def checked_frames(frames: np.ndarray, port: InputPort) -> np.ndarray:
    """Return frames (F, elements) as int64; raises FrameError unless the port can carry them."""
    frames = np.asarray(frames)
    if frames.dtype.kind not in "iu":
        raise FrameError(f"frames of {frames.dtype} must be integers; quantise the stream first")
    if frames.ndim != 2 or frames.shape[1] != port.elements:
        raise FrameError(
            f"frames of shape {frames.shape} do not fit the input port; it takes "
            f"(frames, {port.elements})"
        )
    half = 2 ** (port.bits - 1)
    low, high = (-1, 1) if port.bits == 1 else (-half, half - 1)
    outside = (frames < low) | (frames > high)
    bad = np.argwhere(outside | (frames == 0) if port.bits == 1 else outside)
    if len(bad):
        frame, element = bad[0].tolist()
        raise FrameError(
            f"frame {frame} element {element} (={frames[frame, element]}) does not fit the input "
            f"port's {port.bits} bits, {low} {'or' if port.bits == 1 else 'to'} {high}; quantise "
            "the stream to them"
        )
    return frames.astype(np.int64)


def file_bounds(starts: list[int], frames: int) -> list[tuple[int, int]]:
    """Return [first, end) of each file; raises FrameError unless the files cover all frames."""
    bounds = list(zip(starts, [*starts, frames][1:], strict=True))
    covered = starts[:1] == ([0] if frames else [])
    if not covered or any(first >= end for first, end in bounds):
        raise FrameError(
            f"starts {starts} of {frames} frames must begin with 0, ascend, and leave no file empty"
        )
    return bounds


def _check_ports(program: Program) -> None:
    ports: tuple[InputPort | OutputPort, ...] = (program.input, *program.outputs)
    for port in ports:
        if port.bits not in ELEMENT_BITS:
            raise CodeError(f"{port} has elements of {port.bits} bits; use one of {ELEMENT_BITS}")
        if port.planes < 1 or port.elements % port.planes:
            raise CodeError(
                f"{port} has {port.elements} elements in {port.planes} planes; let the planes "
                "divide them"
            )
    if not program.outputs:
        raise CodeError(
            f"program {program.name} has no output port, so that no frame is ever complete; add one"
        )
    if len({(port.core, port.channel) for port in program.outputs}) != len(program.outputs):
        raise CodeError("two output ports have the same core and channel; give each its own")
