"""Prices: pJ for each counted event, leakage, and area, of one architecture in one technology."""

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import get_args

from spusim.arch.precisions import codebook_entry_bits
from spusim.arch.reuse import OfArch
from spusim.arch.spec import Arch, Precision
from spusim.energy.hardware import (
    VECTOR_BITS,
    Memory,
    lanes,
    memories,
    product_bits,
    window_bits,
    window_words,
)
from spusim.energy.surface import Surface
from spusim.energy.technology import Technology

Rows = tuple[tuple[float, ...], ...]  # of a technology table
# Terms of the energy, in the order of reports; behind them those that only some machines have.
TERMS = (
    "mac",
    "accumulator",
    "queue",
    "scanner",
    "data_memory",
    "weight_memory",
    "index_memory",
    "table_memory",
    "vector",
    "instruction_memory",
    "router",
    "link",
    "clock",
    "leakage",
)
NOT_COVERED = (
    "area covers memories, MAC lanes, accumulators, queues, scanner and vector unit; not "
    "sequencer, sparse decoders, router, host link, pads and wiring between blocks"
)
EXTERNAL_NOT_COVERED = (
    "the external memory's refresh and standby, the dma units and the ports beside those of T18 "
    "(T57) are not covered"
)
# Each of the memories' events, and which access of which memory it is.
_ACCESSES = {
    "accumulator.read": ("accumulator", "read_pj"),
    "accumulator.write": ("accumulator", "write_pj"),
    "queue.push": ("queue", "write_pj"),
    "queue.pop": ("queue", "read_pj"),
    "queue.word_write": ("slots", "write_pj"),
    "queue.word_read": ("slots", "read_pj"),
    "data_memory.read": ("data_memory", "read_pj"),
    "data_memory.write": ("data_memory", "write_pj"),
    "weight_memory.read": ("weight_memory", "read_pj"),
    "weight_memory.write": ("weight_memory", "write_pj"),
    "index_memory.read": ("index_memory", "read_pj"),
    "index_memory.write": ("index_memory", "write_pj"),
    "table_memory.read": ("table_memory", "read_pj"),
    "instruction_memory.read": ("instruction_memory", "read_pj"),
}
CODEBOOK_READ = "codebook.read"
EXTERNAL = ("external_memory.read", "external_memory.write")
# Every name a count can have, whether or not the architecture has the unit.
EVENTS = frozenset(
    [
        *_ACCESSES,
        *(f"mac.{precision}" for precision in get_args(Precision)),
        *(f"mac_gated.{precision}" for precision in get_args(Precision)),
        CODEBOOK_READ,
        *("scanner.window", "vector.element", "vector.multiply"),
        *("router.word", "link.word", "cycle", *EXTERNAL),
    ]
)
# Columns of the mac table.
_MAC_AREA, _MAC_PJ, _MAC_LEAKAGE = 2, 3, 4


@dataclass(frozen=True)
class Cost:
    """Energy of an access, area and leakage of one memory."""

    read_pj: float
    write_pj: float
    area_um2: float
    leakage_uw: float
    is_sram: bool = True


@dataclass(frozen=True)
class Prices:
    """What an architecture costs in a technology.

    events: count name -> (term, pJ each); leakage_uw: of the whole chip; area_um2: by term.
    """

    events: dict[str, tuple[str, float]]
    leakage_uw: float
    area_um2: dict[str, float]
    notes: tuple[str, ...]


def price(arch: Arch, technology: Technology) -> Prices:
    """Price every event that the machine counts, the leakage and the area."""
    return _PRICED(arch, technology)


def _priced(arch: Arch, technology: Technology) -> Prices:
    return _Pricing(arch, technology).prices()


_PRICED = OfArch(_priced)


@dataclass
class _Pricing:
    arch: Arch
    tech: Technology
    notes: list[str] = field(default_factory=list)

    @cached_property
    def parts(self) -> dict[str, Memory]:
        """Memories of the chip."""
        return memories(self.arch)

    def prices(self) -> Prices:
        costs = {name: self._memory(part) for name, part in self.parts.items()}
        logic = self._logic_area()
        area = {name: logic.get(name, 0.0) for name in TERMS if name in {*costs, *logic}}
        for name, part in self.parts.items():
            area[part.term] += part.copies * costs[name].area_um2
        clocked = sum(logic.values()) + sum(
            part.copies * costs[name].area_um2
            for name, part in self.parts.items()
            if not costs[name].is_sram
        )
        events = {
            **self._engine_events(costs),
            **self._vector_events(),
            **self._transfer_events(sum(area.values())),
            **self._external_events(),
            "cycle": ("clock", clocked * self.tech.clock.pj_per_um2.value),
        }
        missing = (EXTERNAL_NOT_COVERED,) if self.arch.external_memory else ()
        return Prices(
            events, self._leakage(costs, logic), area, (NOT_COVERED, *missing, *self.notes)
        )

    def _engine_events(self, costs: dict[str, Cost]) -> dict[str, tuple[str, float]]:
        parts = self.parts
        events = {
            event: (parts[name].term, getattr(costs[name], access))
            for event, (name, access) in _ACCESSES.items()
            if name in costs
        }
        for precision in self.arch.core.precisions:
            events[f"mac.{precision}"] = ("mac", self._mac(precision, _MAC_PJ))
            events[f"mac_gated.{precision}"] = ("mac", 0.0)
        if entry_bits := codebook_entry_bits(self.arch.core):
            read = entry_bits * self.tech.registers.access_pj_per_bit.value
            events[CODEBOOK_READ] = ("mac", read)
        window_pj = window_bits(self.arch) * self.tech.logic.add_pj_per_bit.value
        if "scanner" in costs:
            buffer = costs["scanner"]
            window_pj += window_words(self.arch) * (buffer.read_pj + buffer.write_pj)
        events["scanner.window"] = ("scanner", window_pj)
        return events

    def _vector_events(self) -> dict[str, tuple[str, float]]:
        add = VECTOR_BITS * self.tech.logic.add_pj_per_bit.value
        registers = 3 * VECTOR_BITS * self.tech.registers.access_pj_per_bit.value
        return {
            "vector.element": ("vector", add + registers),
            "vector.multiply": ("vector", self.tech.logic.multiply_pj.value),
        }

    def _transfer_events(self, chip_area_um2: float) -> dict[str, tuple[str, float]]:
        bits = self.arch.core.data_memory.word_bits
        edge_mm = math.sqrt(chip_area_um2 / self.arch.cores) / 1000
        hop = edge_mm * self.tech.wire.pj_per_bit_mm.value
        buffered = 2 * self.tech.registers.access_pj_per_bit.value
        return {
            "router.word": ("router", bits * (hop + buffered)),
            "link.word": ("link", bits * self.tech.link.pj_per_bit.value),
        }

    def _external_events(self) -> dict[str, tuple[str, float]]:
        """Price a word of external memory, where there is one."""
        memory = self.arch.external_memory
        if memory is None:
            return {}
        bit_pj = memory.pj_per_bit or self.tech.external_memory.pj_per_bit.value
        word_pj = self.arch.core.data_memory.word_bits * bit_pj
        return dict.fromkeys(EXTERNAL, ("external_memory", word_pj))

    def _logic_area(self) -> dict[str, float]:
        """Area of what is neither SRAM nor a register file, by term."""
        figures = self.tech.logic
        add = figures.add_area_um2_per_bit.value
        registers = 3 * VECTOR_BITS * self.tech.registers.area_um2_per_bit.value
        element = VECTOR_BITS * add + figures.multiply_area_um2.value + registers
        return {
            "mac": lanes(self.arch) * self._lane(_MAC_AREA),
            "scanner": self.arch.cores * window_bits(self.arch) * add,
            "vector": self.arch.cores * self.arch.core.vector.lanes * element,
        }

    def _leakage(self, costs: dict[str, Cost], logic: dict[str, float]) -> float:
        stored = sum(part.copies * costs[name].leakage_uw for name, part in self.parts.items())
        rest = (logic["scanner"] + logic["vector"]) * self.tech.logic.leakage_uw_per_um2.value
        return stored + lanes(self.arch) * self._lane(_MAC_LEAKAGE) + rest

    def _lane(self, column: int) -> float:
        """Return a figure of the multipliers that a lane's most demanding precision needs."""
        return max(
            macs * self._mac(precision, column)
            for precision, macs in self.arch.core.precisions.items()
        )

    def _mac(self, precision: str, column: int) -> float:
        rows, product = self.tech.mac.rows, product_bits(precision)
        bits = self.arch.numerics.accumulator_bits
        figure, covered = _mac_figure(rows, column, product, bits)
        if not covered:
            self._note(f"a MAC of {precision} bits into {bits}", "mac", rows)
        return figure

    def _memory(self, part: Memory) -> Cost:
        if part.kibibytes < self.tech.registers.below_kibibytes.value:
            return self._register_file(part)
        rows = self.tech.sram.rows
        cost, covered = _sram_cost(rows, part.kibibytes, part.word_bits)
        if not covered:
            self._note(
                f"{part.term} of {part.kibibytes:g} KiB x {part.word_bits} bit", "sram", rows
            )
        return cost

    def _register_file(self, part: Memory) -> Cost:
        figures = self.tech.registers
        access = part.word_bits * figures.access_pj_per_bit.value
        area = part.words * part.word_bits * figures.area_um2_per_bit.value
        leakage = area * self.tech.logic.leakage_uw_per_um2.value
        return Cost(access, access, area, leakage, is_sram=False)

    def _note(self, what: str, table: str, rows: tuple[tuple[float, ...], ...]) -> None:
        first, second = ([row[axis] for row in rows] for axis in (0, 1))
        note = (
            f"{what} lies beyond the {table} table of {self.tech.name} ({min(first):g} to "
            f"{max(first):g}, {min(second):g} to {max(second):g}): extrapolated"
        )
        if note not in self.notes:
            self.notes.append(note)


@lru_cache(maxsize=256)  # the points of a sweep share most of their memories
def _sram_cost(rows: Rows, kibibytes: float, word_bits: int) -> tuple[Cost, bool]:
    """Return a memory's cost, and whether the table's rows cover it."""
    read, write, area, leakage = (
        Surface.over(rows, column, logarithmic=True) for column in (3, 4, 2, 5)
    )
    at = (kibibytes, word_bits)
    return Cost(read.at(*at), write.at(*at), area.at(*at), leakage.at(*at)), read.covers(*at)


@lru_cache(maxsize=256)
def _mac_figure(rows: Rows, column: int, product: float, bits: int) -> tuple[float, bool]:
    """Return a multiplier's figure, and whether the table's rows cover it."""
    surface = Surface.over(rows, column, logarithmic=False, first_axis=lambda bits: bits * bits)
    return surface.at(product, bits), surface.covers(product, bits)
