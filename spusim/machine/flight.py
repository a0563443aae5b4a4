"""A thread in flight: what it will do next, and when it may."""

from dataclasses import dataclass, field

import numpy as np

from spusim.isa import Instruction
from spusim.kernels.layout import Fault, Op, T, Unit, X
from spusim.kernels.thread import run_thread, start_thread
from spusim.machine.errors import MachineError
from spusim.machine.load import LoadedCore

SYNCHRONISING = (Op.END, Op.POST, Op.SEND, Op.RECV)
STEPS_AHEAD = 1024

FAULTS = {
    Fault.PC_OUTSIDE: "it runs beyond the last instruction; end the thread with `end`",
    Fault.LOOP_DEPTH: "loops nest deeper than four; unroll one",
    Fault.MEMORY: "an operand lies beyond the last word of data memory",
    Fault.ACCUMULATOR: "it uses accumulators beyond the last one",
    Fault.MATRIX: "the program has no such matrix",
    Fault.TABLE: "the program has no such table",
}


@dataclass(eq=False)
class Flight:
    """A dispatched thread; `ready_at` is when its next instruction may issue."""

    number: int
    name: str
    ready_at: int
    context: np.ndarray = field(default_factory=lambda: np.zeros(X.COUNT, np.int64))
    steps: list[tuple[int, ...]] = field(default_factory=list)
    at: int = 0  # next step
    running: Unit | None = None  # where its last instruction runs; None: on the sequencer
    ended: bool = False

    @property
    def has_step(self) -> bool:
        """Whether an executed but not yet issued step is at hand."""
        return self.at < len(self.steps)

    @property
    def cycles_ahead(self) -> int:
        """Cycles of the steps at hand."""
        return sum(step[T.CYCLES] for step in self.steps[self.at :])


class Interpreter:
    """Runs threads of one core ahead of time: values now, durations as steps."""

    def __init__(self, core: int, loaded: LoadedCore):
        self._core, self._loaded = core, loaded
        self._buffer = np.zeros((STEPS_AHEAD, T.COUNT), np.int64)

    def start(self, flight: Flight) -> None:
        """Put a flight before its thread's first instruction."""
        start_thread(flight.context, self._loaded.image.threads[flight.number].entry)

    def run(self, flight: Flight, most: int = STEPS_AHEAD) -> None:
        """Execute up to the next synchronising instruction, or `most` instructions."""
        count, fault = run_thread(self._loaded.state, flight.context, self._buffer, most)
        flight.steps = [tuple(row) for row in self._buffer[:count].tolist()]
        flight.at = 0
        if fault:
            raise self.error(flight, FAULTS[Fault(fault)])

    def row(self, flight: Flight) -> np.ndarray:
        """Return the code row of the flight's next instruction."""
        pc = int(flight.context[X.PC])
        if pc >= len(self._loaded.arrays.code):
            raise self.error(flight, FAULTS[Fault.PC_OUTSIDE])
        return self._loaded.arrays.code[pc]

    def synchronising(self, flight: Flight) -> bool:
        """Whether the next instruction is one that other units or cores can see."""
        return int(self.row(flight)[0]) in SYNCHRONISING

    def error(self, flight: Flight, what: str) -> MachineError:
        """Return an error that names core, thread and instruction."""
        pc = int(flight.context[X.PC])
        instructions = self._loaded.instructions
        text = instruction_text(instructions[pc]) if pc < len(instructions) else "no instruction"
        return MachineError(
            f"core {self._core}, thread {flight.name}, instruction {pc} ({text}): {what}"
        )


def instruction_text(instruction: Instruction) -> str:
    """Write an instruction for a message."""
    operands = ", ".join(f"{name}={value}" for name, value in instruction.operands.items())
    return f"{instruction.mnemonic} {operands}".rstrip()
