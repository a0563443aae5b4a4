"""The chip: all cores and the router as arrays, and the compiled clock that advances them."""

from collections.abc import Callable, Sequence

import numpy as np

from spusim.arch.spec import Arch
from spusim.isa import Instruction
from spusim.kernels.advance import advance, begin_file, close
from spusim.kernels.ahead import COLUMNS_A_NOTE, PLAN
from spusim.kernels.chip import (
    FIELDS,
    NEVER,
    WAITING,
    A,
    ChipFault,
    ChipState,
    F,
    G,
    H,
    K,
    N,
    Q,
    R,
    Stop,
)
from spusim.kernels.contention import AHEAD, INTERVAL, LEVELS, TRANSFER_STATE, VECTOR_STATE
from spusim.kernels.context import address_offset
from spusim.kernels.core import CoreTable
from spusim.kernels.engine_state import ENGINE_STATE, PE_STATE, SPARE_SLOTS
from spusim.kernels.layout import Fault, Op, T, Unit, X
from spusim.kernels.log import WIDTH
from spusim.kernels.sequencer import take_token
from spusim.machine.decode import CODE_WIDTH, OPERANDS
from spusim.machine.errors import MachineError
from spusim.machine.external import absent_text, dma_complaint
from spusim.machine.handed import HandedInstructions
from spusim.machine.load import LoadedCore
from spusim.machine.reach import beyond_memory

STEPS_AHEAD = 256
MESSAGES = 1024  # waiting, moving or standing at once
LOG_ROWS = 4096  # of a traced run, before they are read

FAULTS: dict[int, str] = {
    Fault.PC_OUTSIDE: "it runs beyond the last instruction; end the thread with `end`",
    Fault.LOOP_DEPTH: "loops nest deeper than four; unroll one",
    Fault.MEMORY: "an operand lies beyond the last word of data memory",
    Fault.ACCUMULATOR: "it uses accumulators beyond the last one",
    Fault.MATRIX: "the program has no such matrix",
    Fault.TABLE: "the program has no such table",
    Fault.LOOP_NESTING: "the loop's body reaches beyond that of the loop around it",
    Fault.SHIFT: "shifts must be from -30 to 62",
    Fault.SCALE: "a scale entry must have a multiplier below 2**31 and a shift up to 62",
    Fault.TAPE: "its matrix is used more often than in the frames of the recording; such a program "
    "cannot be timed again, so simulate it",
    ChipFault.DOUBLE_ARMING: "thread {thread} was armed a second time while one arming already "
    "waits (T21); let its producers wait for a token from it",
    ChipFault.UNKNOWN_THREAD: "a token is for thread {detail}, which the core does not have",
    ChipFault.UNKNOWN_CORE: "it names core {detail}, which the machine does not have",
    ChipFault.UNKNOWN_CHANNEL: "it names channel {detail}; raise link.channels",
    ChipFault.MESSAGE_LENGTH: "the message that it takes has {detail} words; the lengths of send "
    "and recv must be equal (T30)",
    ChipFault.MESSAGE_TOO_LONG: "a message of {detail} words can never enter a channel of "
    "link.channel_words; send it in parts",
    ChipFault.DESTINATIONS: "a send must go to cores, or to the host alone",
    ChipFault.TRANSFER: "a transfer must have at least one word, all of them in data memory",
    ChipFault.MESSAGES: "more than {detail} messages and tokens are on their way; something posts "
    "without waiting",
    ChipFault.UNEXPECTED_OUTPUT: "it sent output {detail}, which the host does not wait for; send "
    "each output port once a frame",
    ChipFault.OUTPUT_LENGTH: "an output message has {detail} words, which is not what its port's "
    "elements fill",
    Fault.ABSENT: "{why}",
    ChipFault.DMA: "{why}",
    ChipFault.YIELD: "stands inside a loop, which a yield does not keep; unroll the loop",
}


class Chip:
    """Cores with a program in them, between which the router carries words and tokens.

    host: the arrays of stream and outputs (`host_arrays`) and of external memory
    (`external_arrays`); order: in which the clock visits cores
    within a cycle, on which results do not depend. read_log: reads the log of a traced run.
    """

    def __init__(
        self,
        loaded: Sequence[LoadedCore],
        arch: Arch,
        host: dict[str, np.ndarray],
        order: Sequence[int] | None,
        read_log: "ReadLog | None" = None,
    ):
        self.loaded = list(loaded)
        self._handed = [HandedInstructions(core, arch) for core in self.loaded]
        self._host = arch.cores  # the host's number among the router's nodes
        visit = list(order) if order is not None else list(range(arch.cores))
        if sorted(visit) != list(range(arch.cores)):
            raise MachineError(f"order (={visit}) must name each of the {arch.cores} cores once")
        self.arrays = {**chip_arrays(self.loaded, arch, visit), **host}
        self._read_log = read_log
        if read_log:
            self.arrays |= log_arrays(self.loaded, arch)
            self.registers[G.LOG_LIMIT] = LOG_ROWS
        self._addresses = np.array([core.state.address for core in self.loaded], np.int64)
        self._cores = CoreTable(self.loaded[0].state, self._addresses)
        self._state = ChipState(*(self.arrays.get(name, self._cores) for name in FIELDS))

    @property
    def now(self) -> int:
        """Current cycle."""
        return int(self.registers[G.NOW])

    @property
    def registers(self) -> np.ndarray:
        """Registers of the chip, indexed by `G`."""
        return self.arrays["chip"]

    def run_file(self, last: int, tokens: Sequence[tuple[int, int]], start: int) -> Stop:
        """Stream the frames up to `last` from cycle `start` on; (core, thread) tokens begin it.

        Raises MachineError for a fault.
        """
        begin_file(self._state, last, start)
        for core, thread in tokens:
            take_token(self._state, core, thread, start)
        stop = Stop(advance(self._state))
        while stop in (Stop.LOG_FULL, Stop.HANDED):
            if stop is Stop.HANDED:
                self._execute_handed()
            else:
                self.empty_log()
            stop = Stop(advance(self._state))
        if stop is Stop.FAULT:
            raise MachineError(self._fault())
        return stop

    def _execute_handed(self) -> None:
        core, context = self.registers[[G.HANDED_CORE, G.HANDED_CONTEXT]].tolist()
        state = self.arrays["contexts"][core, context]
        row = self.arrays["code"][core, int(state[X.PC])]
        try:
            self._handed[core].run(row[: 2 + OPERANDS], state)
        except MachineError as error:
            error.args = (f"core {core}, {self.place(core, context)}: {error}",)
            raise

    def empty_log(self) -> None:
        """Have the rows of a traced run's log read, and begin it anew."""
        if self._read_log:
            rows, notes = self.registers[[G.LOGGED, G.NOTED]].tolist()
            self._read_log(self, self.arrays["log"][:rows], self.arrays["notes"][:notes])
            self.registers[[G.LOGGED, G.NOTED, G.LOG_FULL]] = 0

    def close(self, end: int) -> None:
        """Attribute all cycles up to the end of the run."""
        close(self._state, end)
        self.empty_log()

    def _fault(self) -> str:
        fault, core, context, detail = self.registers[G.FAULT : G.FAULT_DETAIL + 1].tolist()
        where = f"core {core}" if core < self._host else "host"
        if context >= 0:
            where += f", {self.place(core, context)}"
        beyond = ""
        if fault in (Fault.MEMORY, ChipFault.TRANSFER):
            beyond = beyond_memory(self.loaded[core], self.arrays["contexts"][core, context])
        threads = self.loaded[core].image.threads if core < self._host else ()
        thread = threads[detail].name if detail < len(threads) else detail
        why = self._why(fault, core, context) if fault in (Fault.ABSENT, ChipFault.DMA) else ""
        text = FAULTS[fault].format(detail=detail, thread=thread, why=why)
        return f"{where}: {text}{beyond}"

    def _why(self, fault: int, core: int, context: int) -> str:
        """Say what is wrong with a product's matrix, or an instruction of the dma."""
        loaded, state = self.loaded[core], self.arrays["contexts"][core, context]
        instruction = loaded.instructions[int(state[X.PC])]
        if fault == Fault.ABSENT:
            return absent_text(loaded, instruction.operands["m"])
        words = self.arrays["external"].size // loaded.word_bytes
        offset = int(address_offset(state))
        return dma_complaint(loaded, instruction, offset, words, self.arrays["homes"])

    def place(self, core: int, context: int) -> str:
        """Name the thread and next instruction of a context, for a message."""
        loaded = self.loaded[core]
        thread = loaded.image.threads[int(self.arrays["flights"][core, context, F.THREAD])]
        pc = int(self.arrays["contexts"][core, context, X.PC])
        text = "beyond the last instruction"
        if pc < len(loaded.instructions):
            text = instruction_text(loaded.instructions[pc])
        return f"thread {thread.name}, instruction {pc} ({text})"

    def _wait(self, core: int, context: int) -> str:
        row = self.arrays["code"][core, int(self.arrays["contexts"][core, context, X.PC])]
        if row[0] == Op.RECV:
            return f"waits for a message in channel {row[2]}, or for the router unit"
        if row[0] == Op.SEND:
            return "waits for its message to be granted, or for the router unit"
        return "waits for its unit or banks"

    def waits(self) -> list[str]:
        """Say who waits for what, for a deadlock report."""
        lines = []
        for core, loaded in enumerate(self.loaded):
            for k in range(int(self.arrays["core"][core, K.FLIGHTS])):
                context = int(self.arrays["oldest"][core, k])
                lines.append(
                    f"core {core}: {self.place(core, context)} {self._wait(core, context)}"
                )
            for thread, row in zip(
                loaded.image.threads, self.arrays["threads"][core], strict=False
            ):
                got = int(row[H.TOKENS] - row[H.LEFT])
                if got and not row[H.LIVE]:
                    lines.append(
                        f"core {core}: thread {thread.name} has {got} of {thread.tokens} tokens"
                    )
        for message in self.arrays["messages"]:
            if message[N.STATE] == WAITING:
                sender = (
                    "the host" if message[N.SENDER] == self._host else f"core {message[N.SENDER]}"
                )
                lines.append(
                    f"router: {message[N.WORDS]} words from {sender} wait for room in channel "
                    f"{message[N.CHANNEL]}"
                )
        return lines


# reads the rows (rows, WIDTH) that have been logged since the last time, and their notes
ReadLog = Callable[[Chip, np.ndarray, np.ndarray], None]


def instruction_text(instruction: Instruction) -> str:
    """Write an instruction for a message."""
    operands = ", ".join(f"{name}={value}" for name, value in instruction.operands.items())
    return f"{instruction.mnemonic} {operands}".rstrip()


def chip_arrays(loaded: list[LoadedCore], arch: Arch, order: list[int]) -> dict[str, np.ndarray]:
    """Allocate all arrays of `FIELDS` but `cores`, in their state at cycle 0."""
    return {
        **_sequencer_arrays(loaded, arch),
        **_router_arrays(loaded, arch),
        **_stepping_arrays(loaded, arch),
        "log": np.zeros((0, WIDTH), np.int64),
        "notes": np.zeros(0, np.int64),
        "chip": _registers(arch),
        "order": np.array(order, np.int64),
    }


def log_arrays(loaded: list[LoadedCore], arch: Arch) -> dict[str, np.ndarray]:
    """Allocate the log of a traced run: beyond LOG_ROWS it has room for any one cycle's rows."""
    contexts = arch.cores * arch.core.sequencer.contexts
    threads = sum(len(core.image.threads) for core in loaded)
    steps = (contexts + 3 * arch.cores) * STEPS_AHEAD
    rows = LOG_ROWS + steps + 8 * contexts + 4 * threads + MESSAGES
    longest = max(len(core.arrays.every) for core in loaded)
    words = PLAN + longest // COLUMNS_A_NOTE + 1
    return {
        "log": np.zeros((rows, WIDTH), np.int64),
        "notes": np.zeros((LOG_ROWS + contexts * STEPS_AHEAD) * words, np.int64),
    }


def _registers(arch: Arch) -> np.ndarray:
    chip = np.zeros(G.COUNT, np.int64)
    chip[G.CORES], chip[G.CONTEXTS] = arch.cores, arch.core.sequencer.contexts
    chip[G.DISPATCH_CYCLES] = arch.core.pipeline.dispatch_cycles
    link = arch.link
    chip[G.HOP_CYCLES], chip[G.CHANNELS] = link.hop_cycles, link.channels
    chip[G.CHANNEL_WORDS], chip[G.HOST_CYCLES] = link.channel_words, link.host_cycles_per_word
    chip[[G.ROUTER_NEXT, G.FRAME_DUE, G.DELIVERY_NEXT]] = NEVER
    chip[G.SHARED] = arch.core.ports == "shared"
    return chip


def _sequencer_arrays(loaded: list[LoadedCore], arch: Arch) -> dict[str, np.ndarray]:
    cores, contexts = arch.cores, arch.core.sequencer.contexts
    most = max((len(core.image.threads) for core in loaded), default=0) + 1
    threads = np.zeros((cores, most, H.COUNT), np.int64)
    state = np.zeros((cores, K.COUNT), np.int64)
    state[:, [K.NEXT, K.ROOM_AT]] = NEVER
    state[:, K.CAUSE], state[:, K.RECEIVING] = Q.IDLE, -1
    for c, core in enumerate(loaded):
        state[c, K.THREADS] = len(core.image.threads)
        for row, thread in zip(threads[c], core.image.threads, strict=False):
            if thread.tokens < 1:
                raise MachineError(
                    f"core {c}, thread {thread.name}: tokens (={thread.tokens}) must be at least 1"
                )
            row[[H.TOKENS, H.LEFT, H.ENTRY]] = thread.tokens, thread.tokens, thread.entry
            row[H.RESUME] = thread.entry
    flights = np.zeros((cores, contexts, F.COUNT), np.int64)
    flights[:, :, F.THREAD] = -1
    longest = max(len(core.arrays.code) for core in loaded) + 1
    code = np.zeros((cores, longest, CODE_WIDTH), np.int64)
    code[:, :, 0] = Op.END
    for c, core in enumerate(loaded):
        code[c, : len(core.arrays.code)] = core.arrays.code
        state[c, K.INSTRUCTIONS] = len(core.arrays.code)
    return {
        "core": state,
        "code": code,
        "threads": threads,
        "ready": np.zeros((cores, most), np.int64),
        "flights": flights,
        "oldest": np.zeros((cores, contexts), np.int64),
        "contexts": np.zeros((cores, contexts, X.COUNT), np.int64),
        "steps": np.zeros((cores, contexts, STEPS_AHEAD, T.COUNT), np.int64),
        "unit_free": np.zeros((cores, len(Unit)), np.int64),
        "unit_banks": np.zeros((cores, len(Unit)), np.int64),
        "sequencer_cycles": np.zeros((cores, Q.COUNT), np.int64),
        "vector_cycles": np.zeros((cores, 2), np.int64),
        "port_cycles": np.zeros((cores, R.COUNT), np.int64),
    }


def _router_arrays(loaded: list[LoadedCore], arch: Arch) -> dict[str, np.ndarray]:
    word_bytes = arch.core.data_memory.word_bits // 8
    longest = max((_longest_send(core) for core in loaded), default=0)
    longest = max(longest, arch.link.channel_words)
    return {
        "out_free": np.zeros(arch.cores + 1, np.int64),
        "in_free": np.zeros(arch.cores + 1, np.int64),
        "messages": np.zeros((MESSAGES, N.COUNT), np.int64),
        "data": np.empty((MESSAGES, longest * word_bytes), np.uint8),  # of messages, as sent
        "taken": np.zeros((arch.cores, arch.link.channels), np.int64),
    }


def _longest_send(core: LoadedCore) -> int:
    code = core.arrays.code
    sends = code[code[:, 0] == Op.SEND]
    return int(sends[:, 5].max(initial=0))


def _stepping_arrays(loaded: list[LoadedCore], arch: Arch) -> dict[str, np.ndarray]:
    """State of units that compete cycle by cycle; next to nothing with reserved ports."""
    cores, core, contexts = arch.cores, arch.core, arch.core.sequencer.contexts
    shared = core.ports == "shared"
    slots = core.accumulators + SPARE_SLOTS if shared else 1
    longest = max(len(c.arrays.every) for c in loaded) if shared else 1
    vector_words = VECTOR_STATE + LEVELS * (core.vector.lanes + 1)
    transfer = np.zeros((cores, TRANSFER_STATE), np.int64)
    transfer[:, INTERVAL] = 1
    return {
        "engine": np.zeros((cores, ENGINE_STATE + longest), np.int64),
        "pes": np.zeros((cores, PE_STATE, core.pes), np.int64),
        "last": np.zeros((cores, core.pes, slots), np.int64),
        "vector": np.zeros((cores, 2, vector_words), np.int64),
        "accesses": np.zeros((cores, AHEAD if shared else 1), np.int64),
        "vector_bytes": np.zeros((cores, 4), np.int64),
        "vector_bits": np.zeros((cores, 4), np.int64),
        "transfer": transfer,
        "columns": np.zeros((cores, longest), np.int64),
        "planned": np.zeros((cores, contexts, A.COUNT), np.int64),
        "pushed": np.zeros((cores, contexts if shared else 1, longest), np.int64),
    }
