"""The vector unit, T16, T17, T19: beats of accesses, then the pipeline."""

from collections import Counter
from dataclasses import dataclass

from chip_errors import ChipError
from chip_meaning import MEANING, Element, Meaning, VectorState
from chip_memory import DataMemory
from chip_numbers import fitted, random_bits
from chip_window import Pooling, window_of

from spusim.arch import Arch
from spusim.isa import Instruction
from spusim.numerics import Numerics
from spusim.program import TABLE_RELU, CoreImage

NO_BEAT = -1
SCALE_WORDS = 4  # `scale` counts in these
SCALE_BITS = 64  # of an entry: multiplier 32, shift 8
MOST_MULTIPLIER, MOST_SHIFT = 2**31 - 1, 62


@dataclass(frozen=True)
class Operand:
    """Elements in memory; `every_beat` takes the first one again and again (`vqm`'s scale)."""

    name: str
    address: int
    bits: int
    every_beat: bool = False


@dataclass
class VectorBeat:
    """The accesses (operand, word address) of a beat that were not yet granted."""

    left: list[tuple[Operand, int]]
    natural_cycles: int  # T16
    elements: range
    elapsed: int = 0


class VectorUnit:
    """One instruction at a time."""

    name = "vector"

    def __init__(self, image: CoreImage, arch: Arch, numerics: Numerics, memory: DataMemory):
        self.arch, self.numerics, self.memory, self.tables = arch, numerics, memory, image.tables
        self.stalls: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.busy = False
        self.done = False
        self.image = image
        self.pooling: Pooling | None = None

    # --- issue

    def pool(self, o: dict[str, int]) -> Pooling:
        """Return the pooling that a `pool` is."""
        window = window_of(self.image.windows, o["w"])
        return Pooling(window, self.arch, self.numerics, self.memory, o)

    def start_pooling(self, pooling: Pooling) -> None:
        """Begin a pooling: its beats, and the words of each (T50)."""
        self.pooling = pooling
        every = Operand("a", 0, pooling.source.bits), Operand("d", 0, pooling.target.bits)
        self.beats = []
        for read, written in pooling.beats():
            left = [(every[0], word) for word in sorted(read)]
            left += [(every[1], word) for word in sorted(written)]
            by_bank = Counter(self.memory.bank(word) for _, word in left)
            self.beats.append(VectorBeat(left, max(1, *by_bank.values(), 1), range(0)))
        self.counts["vector.element"] += pooling.elements()
        self.counts["vector.multiply"] += len(pooling.results) * (pooling.w.multiplier != 1)
        self.beat, self.stages_left = 0, self.arch.core.pipeline.vector_stages
        self.busy, self.done = True, False

    def operands(
        self, instruction: Instruction, o: dict[str, int], s: VectorState
    ) -> list[Operand]:
        """Return the operands in memory, in the arbiter's order."""
        meaning = MEANING[instruction.mnemonic]
        per_beat = not meaning.scale_per_element
        found = {
            "a": lambda: Operand("a", o["a"], s.wa),
            "b": lambda: Operand("b", o["b"], s.wb),
            "scale": lambda: Operand("scale", o["scale"] * SCALE_WORDS, SCALE_BITS, per_beat),
            "d": lambda: Operand("d", o["d"], s.wd),
        }
        return [found[name]() for name in meaning.operands] if s.length else []

    def words_of(self, operand: Operand, elements: range) -> range:
        """Return the words in which elements of an operand lie."""
        if operand.every_beat:
            elements = range(1)
        first = elements.start * operand.bits // self.memory.word_bits
        last = (elements.stop * operand.bits - 1) // self.memory.word_bits
        return range(operand.address + first, operand.address + last + 1)

    def banks(self, instruction: Instruction, o: dict[str, int], s: VectorState) -> set[int]:
        """Return the banks that the instruction will access."""
        if instruction.mnemonic == "pool":
            words = {word for beat in self.pool(o).beats() for part in beat for word in part}
            return {self.memory.bank(word) for word in words}
        every = range(s.length)
        return {
            self.memory.bank(word)
            for operand in self.operands(instruction, o, s)
            for word in self.words_of(operand, every)
        }

    def start(
        self, instruction: Instruction, o: dict[str, int], s: VectorState, accumulators: list[int]
    ) -> None:
        """Begin: all of an instruction's operands are read before its result is written."""
        self.pooling = None
        if instruction.mnemonic == "pool":
            self.start_pooling(self.pool(o))
            return
        meaning = MEANING[instruction.mnemonic]
        operands = self.operands(instruction, o, s)
        for operand in operands:
            self.memory.span(operand.address, 1 if operand.every_beat else s.length, operand.bits)
        self.results = self.values(meaning, operands, o, s, accumulators)
        self.result_bits = s.wd
        reads = self.table_reads(o.get("table", TABLE_RELU))
        searching = [one for one in operands if one.name != "d"]
        passes = s.wd if meaning.search else int(meaning.measure is not None)
        self.beats = [beat for _ in range(passes) for beat in self.plan(searching, s.length, reads)]
        self.beats += self.plan(operands, s.length, reads)
        self.beat = 0
        self.stages_left = self.arch.core.pipeline.vector_stages
        s.ordinal += 1
        self.busy, self.done = True, False
        self.counts["vector.element"] += s.length * (passes + 1)
        self.counts["vector.multiply"] += s.length if meaning.multiplies else 0
        self.counts["accumulator.read"] += s.length if meaning.accumulators else 0
        self.counts["table_memory.read"] += s.length * reads

    def table_reads(self, table: int) -> int:
        """Return the entries that an element reads, T16."""
        if table >= TABLE_RELU:
            return 0
        if table >= len(self.tables):
            raise ChipError(f"table {table} does not exist; the core has {len(self.tables)}")
        return 2 if self.tables[table].interpolate else 1

    def plan(self, operands: list[Operand], length: int, reads: int) -> list[VectorBeat]:
        """Return the beats, T16."""
        lanes = self.arch.core.vector.lanes
        tables = self.arch.core.table_memory.banks * self.arch.core.table_memory.ports
        beats = []
        for first in range(0, max(length, 1), lanes):
            elements = range(first, min(first + lanes, length))
            left = [(one, word) for one in operands for word in self.words_of(one, elements)]
            by_bank = Counter(self.memory.bank(word) for _, word in left)
            lookups = -(-len(elements) * reads // tables)
            natural = max(1, lookups, *by_bank.values()) if by_bank else max(1, lookups)
            beats.append(VectorBeat(left, natural, elements))
        return beats

    # --- values

    def values(
        self,
        meaning: Meaning,
        operands: list[Operand],
        o: dict[str, int],
        s: VectorState,
        accumulators: list[int],
    ) -> list[int]:
        """Return the elements to write."""
        given = o.get("value", o.get("threshold", o.get("keep", 0)))
        inputs: list[dict[str, int]] = [{"value": given} for _ in range(s.length)]
        for operand in operands:
            if operand.name in ("a", "b"):
                read = self.memory.elements(operand.address, operand.bits, s.length)
                for one, value in zip(inputs, read, strict=True):
                    one[operand.name] = value
            elif operand.name == "scale":
                self.read_scales(operand, inputs)
        if meaning.measure:
            s.norm = meaning.measure([one.get("a", 0) for one in inputs], s.wd)
        if meaning.accumulators:
            if o["acc"] + s.length > len(accumulators):
                raise ChipError(f"accumulators end at {len(accumulators) - 1}")
            for index, one in enumerate(inputs):
                one["acc"] = accumulators[o["acc"] + index]
            zero = s.zero_d
        else:
            zero = 0
        for index, one in enumerate(inputs):
            one["zero"] = zero
            if "stochastic" in (s.rounding, self.numerics.rounding):
                one["random"] = random_bits(
                    self.numerics.seed, s.stream, s.activation, s.ordinal, s.first + index
                )
        table = o.get("table", TABLE_RELU)
        elements = [Element(s, self.numerics, self.tables, table, **one) for one in inputs]
        overflow = self.numerics.requantize_overflow
        made = [fitted(meaning.of(element), s.wd, overflow) for element in elements]
        if meaning.of_all is None:
            return made
        return [fitted(value, s.wd, overflow) for value in meaning.of_all(made, given)]

    def read_scales(self, operand: Operand, inputs: list[dict[str, int]]) -> None:
        """Give every element its multiplier and shift."""
        for index, one in enumerate(inputs):
            at = operand.address * self.memory.word_bytes
            at += 0 if operand.every_beat else 8 * index
            one["multiplier"] = int.from_bytes(self.memory.bytes[at : at + 4], "little")
            one["shift"] = self.memory.bytes[at + 4]
            if one["multiplier"] > MOST_MULTIPLIER or one["shift"] > MOST_SHIFT:
                raise ChipError(f"scale {one} is out of range")

    # --- cycle

    def state(self) -> int:
        """Return the beat that is due; the number of beats while the pipeline drains."""
        return self.beat if self.busy else NO_BEAT

    def cycle(self) -> None:
        """Take a cycle: present the beat's accesses, T19."""
        if self.beat == len(self.beats):
            self.stages_left -= 1
            self.stalls["busy"] += 1
        else:
            self.beat_cycle(self.beats[self.beat])
        self.done = self.beat == len(self.beats) and self.stages_left == 0
        if self.done and self.pooling:
            for (channel, position), value in self.pooling.results.items():
                self.pooling.target.put(channel, position, value)

    def beat_cycle(self, beat: VectorBeat) -> None:
        """Take a cycle of a beat; those beyond its natural ones are waiting."""
        refused = []
        for operand, word in beat.left:
            if self.memory.bank(word) in self.memory.users:
                refused.append((operand, word))
            else:
                self.access(operand, word, beat.elements)
        beat.left = refused
        beat.elapsed += 1
        self.stalls["busy" if beat.elapsed <= beat.natural_cycles else "port"] += 1
        if not refused and beat.elapsed >= beat.natural_cycles:
            self.beat += 1

    def access(self, operand: Operand, word: int, elements: range) -> None:
        """Use a word's bank; of a result, write the beat's elements that lie in the word."""
        self.memory.use(self.memory.bank(word), self.name)
        self.counts["data_memory.write" if operand.name == "d" else "data_memory.read"] += 1
        if operand.name != "d" or self.pooling:
            return
        per_word = self.memory.word_bits // operand.bits
        first = (word - operand.address) * per_word
        for index in range(max(first, elements.start), min(first + per_word, elements.stop)):
            self.memory.put_element(operand.address, operand.bits, index, self.results[index])
