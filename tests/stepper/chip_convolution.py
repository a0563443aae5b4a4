"""Convolutions in a core, T33 to T49: the instruction's words, banks, values and events.

The cycles of a convolution are those that convolution_stepper steps; here they become an
instruction's.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from chip_errors import ChipError
from chip_memory import DataMemory
from chip_numbers import TABLE_INPUT_BITS, fitted, looked_up, shifted
from chip_window import Place, geometry, rounding_of, tensors
from convolution_case import ConvCase, StoredColumn, blocks, store
from convolution_stepper import ConvResult, step
from stepper_storage import ceil_div, index_reads, owned_rows

from spusim.arch import Arch
from spusim.numerics import Numerics
from spusim.program import TABLE_NONE, TABLE_RELU, Table, Window

SCALE_BITS, MOST_MULTIPLIER, MOST_SHIFT = 64, 2**31 - 1, 62
RAW_BITS = 32


class Convolution:
    """One `conv`: all that it does, known at its issue; then the cycles that it takes."""

    def __init__(
        self, w: Window, matrix, arch: Arch, numerics: Numerics, memory: DataMemory,
        tables: tuple[Table, ...], o: dict[str, int],
    ) -> None:  # fmt: skip
        core = arch.core
        self.w, self.arch, self.numerics, self.memory = w, arch, numerics, memory
        self.tables, self.table, self.matrix = tables, o["table"], matrix
        case = geometry(w, matrix.rows)
        if not core.weight_memory or core.ports != "reserved" or core.hazard != "bypass":
            raise ChipError("the engine does not convolve")
        if case.dataflow != core.dataflow or w.activation_bits != matrix.config.activation_bits:
            raise ChipError(f"window {w.name} is for another machine or matrix")
        self.source, self.target = tensors(w, case, matrix.rows, memory, o["d"], o["a"])
        planes = self.source.planes()
        self.case = replace(
            case,
            weight=weights(w, case, matrix),
            x=[[plane[y * w.width :][: w.width] for y in range(w.height)] for plane in planes],
            bias=matrix.bias,
            machine=matrix.config,
            accumulators=core.accumulators,
            feeder_words=core.feeder.words,
            load=max(part.index_words + part.bias_words for part in matrix.slices),
        )
        self.stored = [store(self.case, pe) for pe in range(core.pes)]
        self.accesses = Counter(memory.bank(word) for word in self.words_accessed())

    def start(self) -> None:
        """Step the tile, with the activations that are there now."""
        self.tile: ConvResult = step(self.case)
        self.left = self.cycles = self.duration()

    # --- what is accessed

    def words_accessed(self) -> Iterator[int]:
        """Return every word read or written, as often as it is (T49)."""
        yield from self.words_scanned() if self.case.dataflow == "row" else self.words_fetched()
        yield from sorted(self.target.words())
        yield from self.scale_words()

    def scale_words(self) -> range:
        """Return the words of the scale entries."""
        entries = (0, 1, self.case.filters)[self.w.scaling]
        return self.memory.span(4 * self.w.scale, entries, SCALE_BITS)

    def windows(self) -> Iterator[tuple[Place, range]]:
        """Return pixel and channels of every window of the scanner, T41."""
        width = self.case.machine.scanner_width
        for position in self.case.positions:
            for place in self.case.places():
                pixel = self.case.pixel(position, place)
                for low in range(0, self.case.channels, width) if pixel else ():
                    yield pixel, range(low, min(low + width, self.case.channels))

    def words_scanned(self) -> Iterator[int]:
        """Return the words of every window."""
        for (y, x), channels in self.windows():
            words = {self.source.word(c, y * self.w.width + x) for c in channels}
            if len({self.memory.bank(word) for word in words}) < len(words):
                raise ChipError("a window's words share a bank")
            yield from words

    def fetched_channels(self) -> list[int]:
        """Return the channels that the feeder fetches, T44."""
        taps, every = len(self.case.places()), range(self.case.channels)
        if self.case.machine.weights != "skip":
            return [*every]
        return [
            c for c in every
            if any(column.places for pe in self.stored for column in pe[c * taps : (c + 1) * taps])
        ]  # fmt: skip

    def cut(self) -> list[list[list[int]]]:
        """Return the tile's blocks, T43."""
        config = self.case.machine
        rows = [owned_rows(self.case.filters, config.pes, config.group, p)
                for p in range(config.pes)]  # fmt: skip
        return blocks(self.case, max(map(len, rows)))

    def words_fetched(self) -> Iterator[int]:
        """Return the words of every slice, T45."""
        for block in self.cut():
            at = {self.case.pixel(p, place) for group in block for p in group
                  for place in self.case.places()}  # fmt: skip
            for channel in self.fetched_channels():
                numbers = (y * self.w.width + x for y, x in filter(None, at))
                yield from {self.source.word(channel, number) for number in numbers}

    # --- time

    def lookups(self) -> int:
        """Return the table entries that the results take, T16."""
        if self.table >= TABLE_RELU:
            return 0
        if self.table >= len(self.tables):
            raise ChipError(f"table {self.table} does not exist")
        each = 2 if self.tables[self.table].interpolate else 1
        return each * self.case.filters * len(self.case.positions)

    def duration(self) -> int:
        """T49."""
        core = self.arch.core
        stages = core.pipeline.vector_stages if self.w.output_bits < RAW_BITS else 0
        ports = core.table_memory.banks * core.table_memory.ports
        return max(
            self.tile.cycles + stages, *self.accesses.values(), ceil_div(self.lookups(), ports)
        )

    def stalls(self) -> dict[str, Counter[str]]:
        """Return cycles by unit and cause."""
        more = Counter(drain=self.cycles - self.tile.cycles)
        units = {"scanner" if u == "feeder" else u: c for u, c in self.tile.stalls.items()}
        return {unit: Counter(causes) + more for unit, causes in units.items()}

    # --- values

    def scales(self) -> list[tuple[int, int]]:
        """Return multiplier and shift of every filter."""
        if self.w.scaling == 0:
            return [(1, self.w.shift)] * self.case.filters
        found = []
        for row in range(self.case.filters):
            at = 4 * self.w.scale * self.memory.word_bytes + 8 * row * (self.w.scaling == 2)
            multiplier = int.from_bytes(self.memory.bytes[at : at + 4], "little")
            found.append((multiplier, self.memory.bytes[at + 4]))
            if multiplier > MOST_MULTIPLIER or found[-1][1] > MOST_SHIFT:
                raise ChipError(f"scale {found[-1]} is out of range")
        return found

    def result(self, accumulator: int, multiplier: int, shift: int) -> int:
        """Return f(requantise(accumulator))."""
        plain = self.table in (TABLE_NONE, TABLE_RELU)
        rounding = rounding_of(self.w, self.numerics)
        bits = self.w.output_bits if plain else TABLE_INPUT_BITS
        overflow = self.numerics.requantize_overflow
        value = fitted(shifted(accumulator * multiplier, shift, rounding), bits, overflow)
        if self.table == TABLE_RELU:
            return max(0, value)
        if self.table == TABLE_NONE:
            return value
        looked = looked_up(self.tables[self.table], value, self.numerics.rounding)
        return fitted(looked, self.w.output_bits, overflow)

    def write(self) -> None:
        """Write the results."""
        scales = self.scales()
        for (row, position), value in self.tile.values.items():
            result = self.result(value, *scales[row])
            self.target.put(row, position - self.case.first, result)

    # --- events

    def columns_met(self) -> Iterator[tuple[int, int, int]]:
        """Return number, position and activation of every column at what is inside."""
        for position in self.case.positions:
            for number, (channel, place) in enumerate(self.case.columns()):
                if pixel := self.case.pixel(position, place):
                    yield number, position, self.case.x[channel][pixel[0]][pixel[1]]

    def multiplications(self, column: StoredColumn) -> int:
        """Return those that a column costs, T5, T6."""
        if self.case.machine.weights == "decompress":
            return column.weights
        return sum(1 for row, _ in column.places if row is not None)

    def multiplied(self) -> Counter[str]:
        """Count multiplications."""
        counts: Counter[str] = Counter()
        skips = self.case.machine.activations == "skip" and self.case.dataflow == "row"
        for number, _, value in self.columns_met():
            amount = sum(self.multiplications(pe[number]) for pe in self.stored)
            if value or self.case.machine.activations == "dense":
                counts["mac"] += amount
            elif not skips:
                counts["mac_gated"] += amount
        return counts

    def slices(self) -> Iterator[list[int]]:
        """Return the columns of every entry that is pushed; none of an empty one."""
        taps = len(self.case.places())
        if self.case.dataflow == "pixel":
            channels = self.fetched_channels()
            each = [[*range(c * taps, (c + 1) * taps)] for c in channels] or [[]]
            for _ in self.cut():
                yield from each
            return
        pushed: dict[int, list[list[int]]] = {p: [] for p in self.case.positions}
        for number, position, value in self.columns_met():
            if value or self.case.machine.activations != "skip":
                pushed[position].append([number])
        for entries in pushed.values():
            yield from entries or [[]]

    def words_read(self) -> tuple[int, int, int]:
        """Return entries pushed, and the weight and index words that pops of them read."""
        config = self.case.machine
        per_word = config.word_bits // config.entry_bits
        weight = index = entries = 0
        begins = []
        for pe in self.stored:
            sizes = [len(column.places) for column in pe]
            begins.append([sum(sizes[:n]) for n in range(len(sizes))])
        heights = [len(owned_rows(self.case.filters, config.pes, config.group, p))
                   for p in range(config.pes)]  # fmt: skip
        for columns in self.slices():
            entries += 1
            for pe, begin, rows in zip(self.stored, begins, heights, strict=True):
                weight += len({(begin[c] + k) // per_word for c in columns
                               for k in range(len(pe[c].places))})  # fmt: skip
                index += sum(index_reads(config, c, rows) for c in columns)
        return entries, weight, index

    def counts(self) -> Counter[str]:
        """Count events, by the names of docs/energy.md."""
        case, config, kind = self.case, self.case.machine, self.matrix.kind
        elements = case.filters * len(case.positions)
        macs, (entries, weight, index) = self.multiplied(), self.words_read()
        loaded = sum(part.index_words for part in self.matrix.slices)
        biases = sum(part.bias_words for part in self.matrix.slices if self.matrix.biased)
        written = len(self.target.words())
        small = self.w.output_bits < RAW_BITS
        counts = Counter({
            f"mac.{kind}": macs["mac"], f"mac_gated.{kind}": macs["mac_gated"],
            "codebook.read": macs["mac"] if kind.startswith("c") else 0,
            "accumulator.read": macs["mac"] + elements,
            "accumulator.write": macs["mac"] + elements,
            "queue.push": entries * config.pes, "queue.pop": entries * config.pes,
            "weight_memory.read": weight + loaded + biases,
            "index_memory.read": index, "index_memory.write": loaded,
            "data_memory.read": sum(self.accesses.values()) - written,
            "data_memory.write": written,
            "table_memory.read": self.lookups(),
            "vector.element": elements * small,
            "vector.multiply": elements * small * (self.w.scaling > 0),
        })  # fmt: skip
        if case.dataflow == "row":
            counts["scanner.window"] = sum(1 for _ in self.windows())
            return counts
        bits = case.positions_a_group * config.activation_bits
        busy = sum(c.get("busy", 0) for u, c in self.tile.stalls.items() if u != "feeder")
        counts["queue.word_write"] = sum(1 for _ in self.words_fetched()) * config.pes
        counts["queue.word_read"] = busy * ceil_div(bits, config.operand_word_bits)
        return counts

    def macs(self) -> Counter[str]:
        """Count multiplications by which of their operands are not zero."""
        case, n = self.case, len(self.case.positions)
        nonzero = [sum(case.stored_weight(r, c, p) != 0 for r in range(case.filters))
                   for c, p in case.columns()]  # fmt: skip
        active = [number for number, _, value in self.columns_met() if value]
        return Counter(
            dense=(self.matrix.rows * self.matrix.columns - self.matrix.void) * n,
            weight_nonzero=sum(nonzero) * n,
            activation_nonzero=case.filters // case.groups * len(active),
            effective=sum(nonzero[number] for number in active),
            engine_cycles=self.cycles,
        )


def weights(w: Window, case: ConvCase, matrix) -> list:
    """Return a matrix's weights [filter][channel of its group][ky][kx], T36."""
    inputs, places = w.channels // w.groups, case.places()
    dense = matrix.config.format == "dense"
    stored = inputs if dense else w.channels
    if matrix.columns != stored * len(places):
        raise ChipError(f"matrix {matrix.name} is not for window {w.name}")

    def column(channel: int, place: int) -> int:
        if case.dataflow == "row":
            return place * stored + channel
        return channel * len(places) + place

    found = []
    for row, values in enumerate(matrix.weight):
        first = row // (case.filters // w.groups) * inputs
        own = range(inputs) if dense else range(first, first + inputs)
        found.append([
            [[values[column(c, ky * w.kernel_width + kx)] for kx in range(w.kernel_width)]
             for ky in range(w.kernel_height)]
            for c in own
        ])  # fmt: skip
        kept = {column(c, p) for c in own for p in range(len(places))}
        if any(value for at, value in enumerate(values) if at not in kept):
            raise ChipError(f"matrix {matrix.name} has weights of other groups")
    return found
