"""The chip without time: runs armed threads, one after the other, until nothing can happen."""

from collections import Counter, deque

import numpy as np

from spusim.errors import SpusimError
from spusim.golden.activation import Activation
from spusim.golden.errors import CodeError, DeadlockError, RunawayError
from spusim.golden.host import Host
from spusim.golden.meaning import MEANING
from spusim.golden.races import Races, Unchecked
from spusim.golden.state import ADDRESSABLE_WORDS, CoreState, ExternalMemory
from spusim.golden.tokens import Message, Scoreboard
from spusim.isa import Instruction, Isa, decode_all
from spusim.program import Program

# No real file has so many in a frame: its threads arm each other for ever.
ACTIVATIONS_PER_FRAME = 200_000


FIXED = ("scale", "bump")  # addresses that loops do not move


class Chip:
    """Cores, threads, channels and the host of one run."""

    def __init__(self, isa: Isa, program: Program, frames: np.ndarray, check_races: bool) -> None:
        self.numerics = program.numerics
        self.code = [decode_all(isa, image.code) for image in program.cores]
        self.moved = {m: _moved_operands(isa, m) for m in isa.instructions}
        self.races = self._races(program) if check_races else Unchecked()
        self.cores = [CoreState(program, image) for image in program.cores]
        self.external = ExternalMemory(program)
        self.scoreboard = Scoreboard(program.cores, self.races)
        self.host = Host(self, program, frames)
        self.executed: Counter[str] = Counter()
        self._activations: Counter[tuple[int, int]] = Counter()  # of each thread, in this file
        self._channels: dict[tuple[int, int], deque[Message]] = {}
        self._parked: list[Activation] = []
        self._resumed: deque[Activation] = deque()

    def run_file(self, first: int, end: int) -> None:
        """Run the file of frames [first, end) until its outputs are here and all threads idle.

        Raises DeadlockError, RunawayError, and what its instructions raise.
        """
        self.scoreboard.reset()
        self._channels.clear()
        self._activations.clear()
        self.host.start_file(first, end)
        activations = 0
        while activation := self._next():
            frame = self.host.frame
            self._run(activation)
            activations = activations + 1 if frame == self.host.frame else 0
            if activations == ACTIVATIONS_PER_FRAME:
                raise RunawayError(
                    f"{activation.thread.name} was the last of {activations} activations in frame "
                    f"{frame}; the threads arm each other for ever: break the circle"
                )
        if self._parked or self.host.missing or self.host.frame + 1 < end:
            raise DeadlockError(f"frame {self.host.frame}: nothing can happen, {self._waits()}")

    def deliver(self, message: Message, core: int, channel: int, thread: int) -> None:
        """Put a message into a core's channel, and post its token."""
        self.scoreboard.thread(core, thread)
        self.races.queue(message.sent.sequence, core, channel, "send")
        self._channels.setdefault((core, channel), deque()).append(message)
        for parked in [*self._parked]:
            if (parked.number, parked.waits_for) == (core, channel):
                self._parked.remove(parked)
                self._resumed.append(parked)
        self.scoreboard.post(core, thread, message.sent)

    def take(self, activation: Activation, channel: int) -> Message | None:
        """Take the oldest message of a channel of the activation's core; None if there is none."""
        self.races.queue(activation.sequence, activation.number, channel, "recv")
        messages = self._channels.get((activation.number, channel))
        if not messages:
            return None
        message = messages.popleft()
        self.races.join(activation.sequence, message.sent)
        return message

    def write_external(self, sequence: int, first: int, data: np.ndarray) -> None:
        """Write whole words (n,) uint8 to external memory; raises AccessError."""
        end = first + len(data) // self.external.word_bytes
        self.external.span(first, len(data), 8)
        self.external.check_writable(first, end)
        self.races.external(sequence, first, end, write=True)
        self.external.write_bytes(first, data)

    def place(self, core: int, thread: int, index: int) -> str:
        """Return the words that tell an instruction in an error."""
        where = f"{self.scoreboard.thread(core, thread).name} instruction {index}"
        if index >= len(self.code[core]):
            return where
        return f"{where} `{instruction_text(self.code[core][index])}`"

    def _next(self) -> Activation | None:
        if self._resumed:
            return self._resumed.popleft()
        if not self.scoreboard.ready:
            return None
        arming = self.scoreboard.ready.popleft()
        thread = (arming.thread.core, arming.thread.number)
        activation = Activation(self, arming.thread, self._activations[thread])
        self._activations[thread] += 1
        self.races.join(activation.sequence, *arming.tokens)
        return activation

    def _run(self, activation: Activation) -> None:
        activation.waits_for = None
        while not activation.ended and activation.waits_for is None:
            try:
                self._step(activation)
            except SpusimError as error:
                place = self.place(activation.number, activation.thread.number, activation.index)
                error.args = (f"{place}: {error}",)
                raise
        if activation.ended:
            self.scoreboard.ended(activation.thread)
        else:
            self._parked.append(activation)

    def _step(self, activation: Activation) -> None:
        instruction = self._fetch(activation)
        self.races.event(activation.sequence, activation.index)
        operands = instruction.operands
        if offset := activation.offset:
            moved = {n: operands[n] + offset for n in self.moved[instruction.mnemonic]}
            operands = operands | moved
        MEANING[instruction.mnemonic](activation, operands)
        if activation.waits_for is None:
            self.executed[instruction.mnemonic] += 1
            activation.advance()

    def _fetch(self, activation: Activation) -> Instruction:
        code = self.code[activation.number]
        if activation.index >= len(code):
            raise CodeError(f"the core's code has {len(code)} instructions; close threads by `end`")
        return code[activation.index]

    def _waits(self) -> str:
        waits = [
            f"{a.thread.name} waits at instruction {a.index} for a message on channel {a.waits_for}"
            for a in self._parked
        ]
        waits += [
            f"{t.name} waits for {t.spec.tokens - len(t.tokens)} more of {t.spec.tokens} tokens"
            for t in self.scoreboard.all_threads()
            if t.tokens
        ]
        waits += [
            f"the host waits for output port (core {core}, channel {channel})"
            for core, channel in sorted(self.host.missing)
        ]
        return "; ".join(waits)

    def _races(self, program: Program) -> Races:
        threads = [len(image.threads) for image in program.cores]
        owners = [(c, n) for c, count in enumerate(threads) for n in range(count)]

        def place(sequence: int, note: int) -> str:
            if sequence == len(owners):
                return f"the host with frame {note}"
            return self.place(*owners[sequence], note)

        return Races(threads, ADDRESSABLE_WORDS, program.accumulators, place)


def instruction_text(instruction: Instruction) -> str:
    """Return an instruction as `mnemonic operand=value ...`, operands as encoded."""
    operands = [f"{name}={value}" for name, value in instruction.operands.items()]
    return " ".join([instruction.mnemonic, *operands])


def _moved_operands(isa: Isa, mnemonic: str) -> tuple[str, ...]:
    """Return the operands to which loops add their bump: data addresses, but not scales."""
    operands = isa.instructions[mnemonic].operands
    return tuple(o.name for o in operands if o.kind.name == "address" and o.name not in FIXED)
