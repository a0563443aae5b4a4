"""Which tensors of a core stay in data memory, and which are kept outside and come by tiles.

Time is counted in steps: a tile of a group is one, and so is any other node. What is loaded for a
step is there from the step before on, what a step makes for outside is there until the step behind
it: a load and a store run beside the computation between them, which is double buffering. All
places follow from these times by first fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from spusim.arch import Arch
from spusim.compiler.distribution import Distribution
from spusim.compiler.errors import CompileError
from spusim.compiler.first_fit import Span, end_of, first_fit
from spusim.compiler.liveness import Block, live_blocks, made_in_place, timeline
from spusim.compiler.places import Places
from spusim.compiler.row_tiles import (
    Elements,
    Group,
    Place,
    groups_of,
    plane_size,
    plane_words,
    planes_of,
    span_words,
    tile_steps,
)
from spusim.compiler.steps import Copy, Step, Unit, nodes_of
from spusim.compiler.tile_buffers import (
    BEFORE,
    Tile,
    TileBuffers,
)
from spusim.compiler.uniform import uniform_constants
from spusim.network.graph import Windowed
from spusim.network.records import Node

TIGHTER = 0.85  # of the room for tiles, where they did not fit beside each other
LEAST_SHARE = 0.2

Symbols = list[tuple[str, int, int]]


@dataclass(frozen=True)
class Residence:
    """Where everything is.

    planned: as in `DataMap`, None for what has no words of its own; outside: tensor -> first word
    of external memory; external_words: those that they take.
    uniform: constant of one value -> its words that are kept, behind all else.
    """

    steps: tuple[Step, ...]
    planned: tuple[int | None, ...]
    buffers: tuple[tuple[str, int, int], ...]
    end: int
    outside: dict[str, int]
    external_words: int
    uniform: dict[str, range]


def plan_residence(
    arch: Arch, plan: Distribution, places: Places, symbols: Symbols, words: int, fed: bool
) -> Residence:
    """Decide what stays of a core's tensors, which `places` gave words of their own each.

    words: what data memory has for them; fed: the host writes frames to external memory. Raises
    CompileError with the numbers for what does not fit even in tiles of single rows.
    """
    return _Planner(arch, plan, places, symbols, words, fed).run()


class _Planner:
    """The decisions while they are made."""

    def __init__(
        self, arch: Arch, plan: Distribution, places: Places, symbols: Symbols, words: int,
        fed: bool,
    ) -> None:  # fmt: skip
        self.arch, self.plan, self.graph = arch, plan, plan.graph
        self.units, self.tiles = groups_of(plan), TileBuffers(plan)
        self.blocks = live_blocks(plan, 0, places, symbols)
        self.input = self.graph.network.input.name
        times = timeline(plan, 0)
        self.unit_of = {node.name: n for n, u in enumerate(self.units) for node in nodes_of(u)}
        self.unit_at = {
            time: self.unit_of[name] for name, time in times.nodes.items() if name in self.unit_of
        }
        self.end = times.end
        self.fed = fed
        self.outside: set[str] = set()
        self.apart: set[int] = set()  # units whose loads and stores have no room beside tiles
        self.uniform = uniform_constants(plan, self._in_groups, words)
        self.words = words - sum(map(len, set(self.uniform.values())))
        if fed and self._can_leave(self.input):
            self.outside.add(self.input)

    def run(self) -> Residence:
        """Move tensors outside, the largest where it is tightest first, until all else fits."""
        while True:
            tight, needed = self._tightest(), 0
            if tight is None:
                found = self._fitted()
                if found.end <= self.words:
                    return _with_uniform(found, self.uniform)
                tight, needed = max(range(len(self.units)), key=self._pressure), found.end
            self._move_out(tight, needed)

    def _fitted(self) -> Residence:
        """Return everything in its place, tiles made smaller where they do not fit together.

        Planes whose tiles are as small as can be are loaded and stored while nothing is computed.
        """
        shares = [1.0] * len(self.units)
        self.apart = set()
        while True:
            found, over = self._placed(shares)
            smaller = {unit for unit in over if shares[unit] > LEAST_SHARE}
            apart = {unit for unit in over - smaller if self._planar(unit)} - self.apart
            if not smaller and not apart:
                return found
            self.apart |= apart
            for unit in smaller:
                shares[unit] *= TIGHTER

    # what can be outside

    def _can_leave(self, name: str) -> bool:
        """Tell whether a tensor can be made and read by tiles."""
        graph, maker = self.graph, self.graph.makers.get(name)
        cut = len(self.plan.layouts[name].firsts) > planes_of(self.plan, name)
        if name in graph.kept or name in graph.states or cut:
            return False
        if maker is None and not self.fed:
            return False
        if maker is not None and not self._is_output(name, maker):
            return False
        return self._in_groups(name)

    def _in_groups(self, name: str) -> bool:
        """Tell whether all that read a tensor are in groups, and take it from outside of them."""
        readers = self.graph.readers[name]
        return bool(readers) and all(
            isinstance(unit := self._unit(node), Group) and name in unit.inputs for node in readers
        )

    def _unit(self, node: Node) -> Unit | None:
        number = self.unit_of.get(node.name)
        return None if number is None else self.units[number]

    def _is_output(self, name: str, maker: Node) -> bool:
        unit = self._unit(maker)
        return isinstance(unit, Group) and unit.output == name

    def _tiled(self, unit: Unit) -> bool:
        """Tell whether a unit is computed by tiles."""
        return isinstance(unit, Group) and not self.outside.isdisjoint((*unit.inputs, unit.output))

    # how much is there

    def _residents(self) -> dict[int, tuple[Span, list[int]]]:
        """Return the words that stay, by their leading block: spans in units, and their blocks."""
        gone = self.outside | set(self.uniform)
        heads: set[str] = set()
        for unit in self.units:
            if isinstance(unit, Group) and self._tiled(unit):
                gone |= set(unit.inner)
                if isinstance(unit.head, Windowed):
                    heads.add(unit.head.a)  # its rows are read again for the next tile
        blocks = [replace(b, span=None) if b.roots & gone else b for b in self.blocks]
        movable = [replace(b, span=None) if b.roots & heads else b for b in blocks]
        leaders = made_in_place(self.plan, 0, movable)
        found: dict[int, tuple[Span, list[int]]] = {}
        for number, block in enumerate(self.blocks):
            if block.roots and block.roots <= gone:
                continue
            span = self._span(block)
            leader = leaders[number]
            if leader in found:
                known, members = found[leader]
                both = Span(span.words, min(known.first, span.first), max(known.last, span.last))
                found[leader] = (both, [*members, number])
            else:
                found[leader] = (span, [number])
        return found

    def _span(self, block: Block) -> Span:
        """Return when a block is needed, in numbers of units."""
        last = len(self.units) - 1
        if block.span is None:
            return Span(block.words, BEFORE, last)
        first = self._when(block.span.first)
        return Span(block.words, first, max(first, self._when(block.span.last)))

    def _when(self, time: int) -> int:
        return len(self.units) - 1 if time >= self.end else self.unit_at.get(time, BEFORE)

    def _pressure(self, unit: int) -> int:
        """Return the words of all that stays while a unit is computed."""
        return sum(s.words for s, _ in self._residents().values() if s.first <= unit <= s.last)

    def _tightest(self) -> int | None:
        """Return the unit that lacks most words, even with the smallest tiles, or None."""
        residents = self._residents()
        lacking = {}
        for number, unit in enumerate(self.units):
            taken = sum(s.words for s, _ in residents.values() if s.first <= number <= s.last)
            if isinstance(unit, Group) and self._tiled(unit):
                taken += self._least_words(unit)
            lacking[number] = taken - self.words
        worst = max(lacking, key=lambda n: lacking[n])
        return worst if lacking[worst] > 0 else None

    def _choices(self, group: Group) -> list[int]:
        """Return the rows that a group's tiles may have, from most to fewest.

        Planes that stay inside lie further apart than those of a tile, unless it is all of them.
        """
        whole = not self.outside.union(self.uniform).issuperset(group.pitched)
        return [group.rows] if whole else [*tile_steps(group)]

    def _least_words(self, group: Group) -> int:
        """Return the words of a group's smallest tiles; planes may be loaded one at a time."""
        least = self.tiles.least_words if group.planar else self.tiles.most_words
        return least(group, self._choices(group)[-1], self.outside)

    def _planar(self, number: int) -> bool:
        unit = self.units[number]
        return isinstance(unit, Group) and unit.planar

    def _move_out(self, tight: int, needed: int) -> None:
        """Have the largest tensor that is there in a unit and can leave be kept outside."""
        candidates = []
        for span, members in self._residents().values():
            if span.first <= tight <= span.last:
                for number in members:
                    block = self.blocks[number]
                    names = [name for name in block.roots if self._can_leave(name)]
                    if len(block.roots) == 1 and names:
                        candidates.append((block.words, number, names[0]))
        if not candidates:
            raise CompileError(self._refusal(tight, needed))
        self.outside.add(max(candidates, key=lambda c: (c[0], -c[1]))[2])

    def _refusal(self, tight: int, needed: int) -> str:
        """Return why a unit does not fit; needed: words of all that was placed, if it was."""
        unit, memory = self.units[tight], self.arch.core.data_memory
        layer = nodes_of(unit)[0].layer
        least, what = self._pressure(tight), "what it reads and makes, and what stays beside it"
        if isinstance(unit, Group) and self._tiled(unit):
            least += self._least_words(unit)
            fewest = self._choices(unit)[-1]
            rows = f"{fewest} row{'s' * (fewest > 1)}"
            how = "one at a time" if unit.planar else "in two buffers each"
            what = f"tiles of {rows} {how}, and what stays beside them"
        needed = max(needed, least)
        total = memory.banks * memory.words
        more = -(-(needed + total - self.words) // memory.banks)
        return (
            f"{self.arch.name}: layer {layer} needs {needed} words of data memory at once ({what}),"
            f" and {self.words} of {total} are for that; set core.data_memory.words={more}, use "
            "narrower activations or smaller images"
        )

    # places

    def _placed(self, shares: Sequence[float]) -> tuple[Residence, set[int]]:
        """Return everything in its place, and the tiled units in whose time that is too much.

        shares: of the room left in a unit's time, what its tiles may take.
        """
        residents = self._residents()
        steps: list[tuple[Unit, Tile | None]] = []
        begins, ends = [], []
        for number, unit in enumerate(self.units):
            begins.append(len(steps))
            if isinstance(unit, Group) and self._tiled(unit):
                taken = sum(s.words for s, _ in residents.values() if s.first <= number <= s.last)
                room = shares[number] * (self.words - taken)
                choices = self._choices(unit)
                rows = self.tiles.rows_within(unit, choices, room, self.outside)
                before: list[tuple[Unit, Tile | None]] = [(unit, None)] * (number in self.apart)
                for each in self.tiles.tiles(unit, rows, self.outside):
                    steps += [*before, (unit, each)]
            else:
                steps.append((unit, None))
            ends.append(len(steps) - 1)
        spans = [
            Span(s.words, BEFORE if s.first == BEFORE else begins[s.first], ends[max(0, s.last)])
            for s, _ in residents.values()
        ]
        stay = len(spans)
        for number, (_, tile) in enumerate(steps):
            for buffer in tile.buffers if tile else ():
                span = buffer.span
                spans.append(replace(span, first=span.first + number, last=span.last + number))
        found = first_fit(spans)
        late = [s for s, at in zip(spans, found, strict=True) if at + s.words > self.words]
        over = {
            number
            for number, unit in enumerate(self.units)
            if self._tiled(unit)
            and any(span.first <= ends[number] and begins[number] <= span.last for span in late)
        }
        planned: list[int | None] = [None] * len(self.blocks)
        for (_, members), address in zip(residents.values(), found[:stay], strict=True):
            for block in members:
                planned[block] = address
        done, buffers = self._steps(steps, iter(found[stay:]))
        outside, words = self._external(begins, ends)
        if self.fed and self.input not in self.outside:
            done = self._with_input(done, planned)
        end = end_of(spans, found)
        whole = Residence(tuple(done), tuple(planned), tuple(buffers), end, outside, words, {})
        return whole, over

    def _steps(
        self, steps: Sequence[tuple[Unit, Tile | None]], places: Iterator[int]
    ) -> tuple[list[Step], list[tuple[str, int, int]]]:
        """Return steps and buffers as symbols, of which equal ones are one."""
        done: list[Step] = []
        symbols: dict[tuple[str, int, int], None] = {}
        for unit, tile in steps:
            if tile is None:
                done.append(Step(unit, idle=isinstance(unit, Group) and self._tiled(unit)))
                continue
            at = [next(places) for _ in tile.buffers]
            origins = {}
            for buffer, address in zip(tile.buffers, at, strict=True):
                for part in buffer.parts:
                    whole = plane_words(self.plan, part.tensor)
                    origins[part.tensor] = Place(address, span_words(self.plan, part), whole)
                symbols[f"{buffer.parts[-1].tensor} tile", address, buffer.span.words] = None
            loads = tuple(Copy(tile.buffers[n].parts[0], at[n]) for n in tile.loaded)
            stores = tuple(Copy(tile.buffers[n].parts[-1], at[n]) for n in tile.stored)
            done.append(Step(unit, tile.rows, origins, loads, stores))
        return done, list(symbols)

    def _with_input(self, steps: list[Step], planned: Sequence[int | None]) -> list[Step]:
        """Have a frame that the host writes to external memory be loaded whole."""
        number = next(n for n, block in enumerate(self.blocks) if self.input in block.roots)
        address = planned[number]
        assert address is not None
        copy = Copy(Elements(self.input, 0, plane_size(self.plan, self.input)), address)
        return [replace(steps[0], loads=(copy, *steps[0].loads)), *steps[1:]]

    def _external(self, begins: list[int], ends: list[int]) -> tuple[dict[str, int], int]:
        """Return first words of what is outside; a frame's keeps its own."""
        names, spans = [], []
        kept = 0
        if self.fed:
            kept = self.plan.layouts[self.input].words[-1]
        for name in sorted(self.outside - {self.input}):
            maker = self.graph.makers[name]
            last = max(self.unit_of[node.name] for node in self.graph.readers[name])
            words = self.plan.layouts[name].words[-1]
            names.append(name)
            spans.append(Span(words, begins[self.unit_of[maker.name]], ends[last] + 1))
        found = first_fit(spans)
        outside = {name: kept + at for name, at in zip(names, found, strict=True)}
        if self.fed:
            outside[self.input] = 0
        return outside, kept + end_of(spans, found)


def _with_uniform(found: Residence, uniform: Mapping[str, range]) -> Residence:
    """Put constants of one value behind all else."""
    end = found.end
    placed = {name: range(at.start + end, at.stop + end) for name, at in uniform.items()}
    end = max((at.stop for at in placed.values()), default=found.end)
    symbols = {(f"{name} (all alike)", at.start, len(at)) for name, at in placed.items()}
    return replace(found, uniform=placed, end=end, buffers=(*found.buffers, *sorted(symbols)))
