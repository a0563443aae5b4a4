"""A core: its sequencer, units and data memory, a cycle at a time; T18 and T24 where they meet."""

from collections.abc import Iterator

from chip_dma import DmaUnit, External
from chip_engine import EngineUnit
from chip_errors import ChipError
from chip_memory import DataMemory
from chip_router import Network, RouterUnit
from chip_sequencer import Flight, Sequencer
from chip_vector import VectorUnit

from spusim.arch import Arch
from spusim.isa import Instruction
from spusim.program import Program

NOTHING = -1  # in a trace: no thread, no instruction


class Core:
    """The units visit nothing but this core's memory, and the network."""

    def __init__(
        self, number: int, program: Program, code: list[Instruction], arch: Arch, network: Network,
        external: External, accumulators: list[int],
    ) -> None:  # fmt: skip
        image = program.cores[number]
        self.number, self.network = number, network
        self.reserved = arch.core.ports == "reserved"
        self.accumulators = accumulators
        self.memory = DataMemory(image, arch)
        self.sequencer = Sequencer(number, image, code, arch)
        self.router = RouterUnit(number, network, self.memory)
        self.vector = VectorUnit(image, arch, program.numerics, self.memory)
        self.engine = EngineUnit(image, arch, program.numerics, self.memory)
        self.dma = DmaUnit(number, program, arch, external, self.memory)
        self.issued = False  # in this cycle
        self.tokens: list[int] = []  # threads of the tokens of this cycle

    # --- start of a cycle

    def complete(self, now: int) -> None:
        """Free units and banks of what completes, and contexts of what has ended, T24."""
        for unit in (self.router, self.vector, self.engine, self.dma):
            if unit.busy and unit.done:
                unit.busy = False
                self.memory.release(unit.name)
                for flight in self.sequencer.flights:
                    flight.running = None if flight.running == unit.name else flight.running
                if unit in (self.router, self.dma):
                    unit.complete()
        self.sequencer.retire(now)

    # --- issue

    def banks(self, flight: Flight, instruction: Instruction, o: dict[str, int]) -> set[int]:
        """Return the banks that an instruction needs to itself, T18."""
        if not self.reserved or instruction.unit == "sequencer":
            return set()
        if instruction.unit == "engine":
            return self.engine.banks(instruction, o)
        if instruction.unit == "vector":
            return self.vector.banks(instruction, o, flight.vector)
        if instruction.unit == "dma":
            return self.dma.banks(instruction.mnemonic, o)
        return self.router.banks(instruction.mnemonic, o)

    def blocked_by(self, flight: Flight) -> str | None:
        """Return what keeps a thread's next instruction from issuing: `unit`, `banks`."""
        instruction = self.sequencer.fetch(flight)
        if instruction.unit == "sequencer":
            return None
        if getattr(self, instruction.unit).busy:
            return "unit"
        needed = self.banks(flight, instruction, flight.operands(instruction))
        return "banks" if any(bank in self.memory.holders for bank in needed) else None

    def issue(self, now: int) -> None:
        """Issue one instruction: of those that could, that of the oldest thread, T24."""
        self.issued = False
        for flight in self.sequencer.waiting(now):
            if self.blocked_by(flight) is None:
                self.issue_from(now, flight)
                return

    def issue_from(self, now: int, flight: Flight) -> None:
        """Issue a thread's next instruction."""
        instruction = self.sequencer.fetch(flight)
        o = flight.operands(instruction)
        try:
            self.begin(now, flight, instruction, o)
        except ChipError as error:
            name = self.sequencer.threads[flight.thread].name
            raise ChipError(f"core {self.number} {name} {flight.next} {error}") from error
        self.issued = True
        self.sequencer.executed += 1
        flight.advance()

    def begin(self, now: int, flight: Flight, instruction: Instruction, o: dict[str, int]) -> None:
        """Hold the banks, and let the unit begin."""
        if instruction.unit == "sequencer":
            self.sequencer.execute(now, flight, instruction.mnemonic, o)
            return
        self.memory.hold(self.banks(flight, instruction, o), instruction.unit)
        flight.running = instruction.unit
        if instruction.unit == "engine":
            self.dma.check_resident(o["m"])
            self.engine.start(instruction, o, flight.vector, self.accumulators)
        elif instruction.unit == "vector":
            self.vector.start(instruction, o, flight.vector, self.accumulators)
        elif instruction.unit == "dma":
            self.dma.start(now, instruction.mnemonic, o)
        else:
            self.router.start(now, instruction.mnemonic, o)

    # --- cycle

    def cause(self, now: int) -> str:
        """Return to what the sequencer's cycle belongs, T26."""
        if self.issued:
            return "busy"
        if not self.sequencer.flights:
            return "idle"
        oldest = self.sequencer.flights[0]
        if oldest.running is not None:
            return oldest.running
        if now < oldest.ready_at:
            return "dispatch"
        return self.blocked_by(oldest) or "idle"

    def cycle(self, now: int) -> tuple[object, ...]:
        """Let every unit take its cycle, router before vector unit before engine, T19.

        Returns the core's part of the state word, see `word_names`.
        """
        cause = self.cause(now)
        self.sequencer.stalls[cause] += 1
        before = (cause, *self.threads_in_flight(), *self.unit_states())
        whole = self.in_one_span()
        if self.router.busy:
            self.router.cycle(now)
        if self.dma.busy:
            self.dma.cycle(now)
        if self.vector.busy:
            self.vector.cycle()
        if self.engine.busy:
            self.engine.cycle()
        holders = dict(self.memory.holders)
        users = self.memory.end_cycle()
        told = [{b: u for b, u in by.items() if u not in whole} for by in (users, holders)]
        return (*before, *(bank_state(bank, *told) for bank in range(self.memory.banks)))

    def in_one_span(self) -> set[str]:
        """Return the units whose instruction is one span in traces, without its banks."""
        whole = {self.dma.name}
        whole |= {self.engine.name} if self.engine.convolution else set()
        return whole | ({self.vector.name} if self.vector.pooling else set())

    def threads_in_flight(self) -> Iterator[int]:
        """Return thread and instruction of every context, the oldest first."""
        for k in range(self.sequencer.contexts):
            if k < len(self.sequencer.flights):
                flight = self.sequencer.flights[k]
                yield flight.thread
                yield flight.at if flight.running else flight.next
            else:
                yield NOTHING
                yield NOTHING

    def unit_states(self) -> tuple[object, ...]:
        """Return the states of router, vector unit and engine."""
        return (self.router.state(), self.vector.state(), *self.engine.state())

    # --- end of a cycle

    def can_move(self, now: int) -> bool:
        """Tell whether this cycle did, or time alone will do, anything."""
        waits = any(flight.ready_at > now for flight in self.sequencer.flights)
        units = self.router.moves or self.vector.busy or self.engine.busy or self.dma.busy
        return self.issued or waits or units

    def word_names(self) -> tuple[str, ...]:
        """Return the names of the core's fields of the state word."""
        pes = range(self.engine.pes)
        contexts = range(self.sequencer.contexts)
        names = ["sequencer"]
        names += [f"context{k}.{part}" for k in contexts for part in ("thread", "instruction")]
        names += ["router", "vector.beat", "engine.phase", "scanner.window"]
        names += [f"pe{p}.queue" for p in pes]
        names += [f"pe{p}.{part}" for p in pes for part in ("column", "beat")]
        names += [f"data_memory.bank{bank}" for bank in range(self.memory.banks)]
        return tuple(f"core{self.number}.{name}" for name in names)


def bank_state(bank: int, users: dict[int, str], holders: dict[int, str]) -> str:
    """Return who accesses a bank, else who holds it."""
    if bank in users:
        return users[bank]
    return f"held by {holders[bank]}" if bank in holders else ""
