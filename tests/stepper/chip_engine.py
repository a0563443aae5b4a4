"""The sparse engine in a core: its matrices, and an `Engine` of stepper.py for each instruction."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chip_convolution import Convolution
from chip_errors import ChipError
from chip_meaning import VectorState
from chip_memory import DataMemory
from chip_numbers import limited
from chip_window import window_of
from stepper import Engine, event_counts, stall_rows
from stepper_storage import Slice, StepperConfig, build_slice

from spusim.arch import Arch
from spusim.formats import unpack
from spusim.isa import Instruction
from spusim.numerics import Numerics
from spusim.program import CoreImage, Matrix

IDLE = -1  # in place of the phase


@dataclass(frozen=True)
class StoredMatrix:
    """A matrix as the engine finds it."""

    name: str
    config: StepperConfig
    weight: list[list[int]]  # [row][column]
    rows: int
    columns: int
    slices: list[Slice]
    bias: list[int]
    biased: bool
    kind: str  # WxA
    void: int  # elements that are no weights of the layer


def stored_matrix(matrix: Matrix, arch: Arch, numerics: Numerics) -> StoredMatrix:
    """Take the weights out of an image, and store them by T1 to T6."""
    core, layout = arch.core, matrix.packed.layout
    kind = f"{weights_named(layout)}x{matrix.activation_bits}"
    rates: Mapping[str, int] = {str(name): rate for name, rate in core.precisions.items()}
    config = StepperConfig(
        format=layout.format,
        pes=core.pes,
        lanes=core.lanes,
        macs_per_lane=rates[kind],
        word_bits=layout.word_bits,
        weight_bits=layout.weight_bits,
        activation_bits=matrix.activation_bits,
        group=layout.group,
        extent=layout.extent,
        index_bits=layout.index_bits,
        pointer_bits=layout.pointer_bits,
        index_word_bits=layout.index_word_bits,
        preload=matrix.preload,
        private_weight_memory=core.weight_memory is not None,
        banks=core.data_memory.banks,
        data_word_bits=core.data_memory.word_bits,
        entries_per_cycle=core.decoder.entries_per_cycle,
        scanner_width=core.scanner.width,
        queue_depth=core.queue.depth,
        release=core.queue.release,
        hazard=core.hazard,
        mac_stages=core.pipeline.mac_stages,
        weights=core.sparse.weights,
        activations=core.sparse.activations,
        accumulator_bits=numerics.accumulator_bits,
        overflow=numerics.overflow,
        partial_every=numerics.partial_sums.every,
        partial_shift=numerics.partial_sums.shift,
        partial_bits=numerics.partial_sums.bits,
        partial_rounding=numerics.partial_sums.rounding,
        bias_bits=layout.bias_bits,
        ports=core.ports,
    )
    weights, biases = unpack(matrix.packed)
    weight = [[int(value) for value in row] for row in weights]
    bias = [0] * len(weight) if biases is None else [int(value) for value in biases]
    return StoredMatrix(
        matrix.name,
        config,
        weight,
        rows=matrix.packed.rows,
        columns=matrix.packed.columns,
        slices=[build_slice(config, weight, matrix.packed.columns, p) for p in range(core.pes)],
        bias=[limited(b, numerics.accumulator_bits, numerics.overflow) for b in bias],
        biased=biases is not None,
        kind=kind,
        void=matrix.void,
    )


def weights_named(layout: Any) -> str:
    """Return the weights' part of a precision: bits, or c and those of a codebook's entries."""
    if not layout.codebook:
        return str(layout.weight_bits)
    return "c8" if all(-128 <= entry <= 127 for entry in layout.codebook) else "c16"


class EngineUnit:
    """One matrix-vector instruction at a time, on the core's accumulators and data memory."""

    name = "engine"

    def __init__(self, image: CoreImage, arch: Arch, numerics: Numerics, memory: DataMemory):
        self.memory, self.pes = memory, arch.core.pes
        self.private = arch.core.weight_memory is not None
        self.matrices = [stored_matrix(matrix, arch, numerics) for matrix in image.matrices]
        self.stalls: dict[str, Counter[str]] = {
            unit: Counter() for unit in ("scanner", *(f"pe{p}" for p in range(self.pes)))
        }
        self.counts: Counter[str] = Counter()
        self.macs: dict[str, Counter[str]] = {m.name: Counter() for m in self.matrices}
        self.busy = False
        self.done = False
        self.arch, self.numerics, self.image = arch, numerics, image
        self.convolution: Convolution | None = None

    # --- issue

    def convolve(self, o: dict[str, int]) -> Convolution:
        """Return the convolution that a `conv` is."""
        if o["m"] >= len(self.matrices):
            raise ChipError(f"matrix {o['m']} does not exist")
        window = window_of(self.image.windows, o["w"])
        matrix, tables = self.matrices[o["m"]], self.image.tables
        return Convolution(window, matrix, self.arch, self.numerics, self.memory, tables, o)

    def matrix(self, instruction: Instruction, o: dict[str, int]) -> StoredMatrix:
        """Return the operand `m`."""
        if o["m"] >= len(self.matrices):
            raise ChipError(f"matrix {o['m']} does not exist")
        matrix = self.matrices[o["m"]]
        if (matrix.config.format == "dense") != instruction.mnemonic.startswith("dmv"):
            raise ChipError(f"{instruction.mnemonic} of a matrix stored {matrix.config.format}")
        return matrix

    def operand_words(self, matrix: StoredMatrix, o: dict[str, int]) -> range:
        """Return the words of the operand."""
        return self.memory.span(o["src"], matrix.columns, matrix.config.activation_bits)

    def banks(self, instruction: Instruction, o: dict[str, int]) -> set[int]:
        """Return the banks that the instruction holds, T18."""
        if instruction.mnemonic == "conv":
            return set(self.convolve(o).accesses)
        if not self.private:
            return set(range(self.memory.banks))
        words = self.operand_words(self.matrix(instruction, o), o)
        return {self.memory.bank(word) for word in words}

    def start(
        self, instruction: Instruction, o: dict[str, int], s: VectorState, accumulators: list[int]
    ) -> None:
        """Begin."""
        if instruction.mnemonic == "conv":
            self.convolution = self.convolve(o)
            self.convolution.start()
            self.busy, self.done = True, False
            return
        matrix = self.matrix(instruction, o)
        self.operand_words(matrix, o)
        self.rows = range(o["acc"], o["acc"] + matrix.rows)
        if self.rows.stop > len(accumulators):
            raise ChipError(f"accumulators end at {len(accumulators) - 1}")
        self.goes_on = instruction.mnemonic.endswith("a")
        start = [accumulators[row] for row in self.rows] if self.goes_on else matrix.bias
        self.running, self.accumulators, self.source = matrix, accumulators, o["src"]
        self.x, self.zero = [0] * matrix.columns, s.zero_x
        self.engine = Engine(
            replace(matrix.config, operand_address=o["src"], position=s.position),
            matrix.slices,
            self.x,
            start,
            fetch_bias=matrix.biased and not self.goes_on,
            receive=self.receive,
        )
        self.busy, self.done = True, False

    def receive(self, word: int) -> None:
        """Take the activations of a word of the operand."""
        bits = self.running.config.activation_bits
        per_word = self.memory.word_bits // bits
        first = word * per_word
        count = min(per_word, len(self.x) - first)
        address = self.source + word
        read = self.memory.elements(address, bits, count)
        self.x[first : first + count] = [value - self.zero for value in read]

    # --- cycle

    def state(self) -> tuple[int, ...]:
        """Return the engine's state word; without an instruction IDLE in every place."""
        if not self.busy or self.convolution:
            return (IDLE,) * (2 + 3 * self.pes)
        return self.engine.state_word()

    def cycle(self) -> None:
        """Take a cycle, with the banks that router and vector unit left."""
        if self.convolution:
            self.convolution.left -= 1
            if self.convolution.left == 0:
                self.finish_convolution(self.convolution)
            return
        for bank in self.engine.step(set(self.memory.users)):
            self.memory.use(bank, self.name)
        if self.engine.ended():
            self.finish()

    def finish(self) -> None:
        """Write the accumulators, and add the instruction's cycles and events up."""
        for pe in self.engine.pes:
            for row, value in pe.final_accumulators().items():
                self.accumulators[self.rows.start + row] = value
        for unit, causes in stall_rows(self.engine).items():
            self.stalls[unit].update(causes)
        self.count(event_counts(self.engine))
        self.count_macs()
        self.done = True

    def finish_convolution(self, ran: Convolution) -> None:
        """Write the results, and add cycles, accesses and events up (T49)."""
        ran.write()
        for unit, causes in ran.stalls().items():
            assert sum(causes.values()) == ran.cycles, f"{unit}: {causes} is not {ran.cycles}"
            self.stalls[unit].update(causes)
        for bank, accesses in ran.accesses.items():
            # held in each of its cycles, this one not yet counted
            self.memory.stalls[bank].update(busy=accesses, held=-accesses)
        self.counts.update(ran.counts())
        self.macs[ran.matrix.name].update(ran.macs())
        self.convolution, self.done = None, True

    def count(self, events: dict[str, int]) -> None:
        """Add the instruction's events, by the names of docs/energy.md.

        Every multiplication that is done reads an accumulator and writes it; unless it goes on
        from what is there, an instruction also writes each of its rows at its start.
        """
        indices = sum(part.index_words for part in self.running.slices)
        initial = 0 if self.goes_on else len(self.rows)
        self.counts.update({
            f"mac.{self.running.kind}": events["mac"],
            f"mac_gated.{self.running.kind}": events["mac_gated"],
            "codebook.read": events["mac"] if self.running.kind.startswith("c") else 0,
            "accumulator.read": events["mac"],
            "accumulator.write": events["mac"] + initial,
            "queue.push": events["pushes"] * self.pes,
            "queue.pop": events["pops"],
            "scanner.window": events["windows"],
            "index_memory.read": events["index_reads"],
            "index_memory.write": indices,
            "data_memory.read": events["operand_words"],
        })  # fmt: skip
        weights = "weight_memory.read" if self.private else "data_memory.read"
        self.counts[weights] += events["load_words"] + events["words_read"]

    def count_macs(self) -> None:
        """Add the product's multiplications up by which of its operands are not zero."""
        weight, active = self.running.weight, [column for column, x in enumerate(self.x) if x]
        self.macs[self.running.name].update(
            dense=len(weight) * len(self.x) - self.running.void,
            weight_nonzero=sum(value != 0 for row in weight for value in row),
            activation_nonzero=len(weight) * len(active),
            effective=sum(row[column] != 0 for row in weight for column in active),
            engine_cycles=self.engine.cycle,
        )
