"""The steps of a core whose network does not fit: what each computes, loads, stores and fetches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from spusim.compiler.code import Op
from spusim.compiler.convolution import scale_name
from spusim.compiler.lowering import MOST_ELEMENTS, Site, lower, lower_move
from spusim.compiler.memory import FAR_WORDS
from spusim.compiler.residence import Residence
from spusim.compiler.row_tiles import (
    Cuttable,
    Elements,
    Group,
    Rows,
    elements_of,
    span_words,
    tile_window,
    tile_words,
)
from spusim.compiler.space import CoreSpace
from spusim.compiler.steps import Copy, Step, nodes_of
from spusim.compiler.threads import sent_outputs
from spusim.compiler.weight_places import Use, WeightPlaces
from spusim.network.graph import Windowed
from spusim.network.records import Convolution, Node, Product
from spusim.program import PLANAR, Window

WIDTHS = {"d": "wd", "a": "wa", "b": "wb"}  # operand -> its width in the vector state


@dataclass(frozen=True)
class Template:
    """A node's instructions over all rows, and their windows, if it has any, by number."""

    ops: list[Op]
    windows: dict[int, Window]


@dataclass
class Slot:
    """What one thread computes between two meetings, and what must be there before."""

    layer: str
    ops: list[Op] = field(default_factory=list)
    loads: tuple[Copy, ...] = ()
    stores: tuple[Copy, ...] = ()
    matrices: frozenset[int] = frozenset()
    fetches: tuple[int, ...] = ()
    scales: tuple[str, ...] = ()


def slots_of(site: Site, residence: Residence) -> tuple[list[Slot], list[Use]]:
    """Lower all steps in order, and return when and by what each matrix is used."""
    builder = _Builder(site, residence)
    first = sent_outputs(site, set(), builder.sent)  # what no node makes, before it changes
    for step in residence.steps:
        builder.add(step)
    builder.slots[0].ops[:0] = first
    for move in site.places.updates:
        builder.slots[-1].ops += lower_move(move)
    for number, windows in builder.windows.items():
        site.space.matrices.read_in_windows(number, tuple(windows))
    return builder.slots, builder.uses()


class _Builder:
    """Slots while they are made."""

    def __init__(self, site: Site, residence: Residence) -> None:
        self.site, self.residence, self.space = site, residence, site.space
        self.slots: list[Slot] = []
        self.templates: dict[str, Template] = {}  # by node
        self.reuse: dict[int, int] = {}
        self.owner: dict[int, str] = {}  # matrix -> node
        self.windows: dict[int, list[int]] = {}  # matrix -> what each tile reads from, as issued
        self.sent: set[int] = set()
        self.done: set[str] = set()
        self.far = [*self._uniform_places()]

    def _uniform_places(self) -> Iterator[tuple[int, int, range]]:
        """Yield [first, end) of what is placed of constants of one value, and the words kept."""
        for (name, piece), first in self.site.places.words.items():
            if name in self.residence.uniform:
                words = self.site.plan.layouts[name].words
                yield first, first + words[piece + 1] - words[piece], self.residence.uniform[name]

    def add(self, step: Step) -> None:
        """Add a step as a slot, or several if it uses several matrices."""
        nodes = nodes_of(step.unit)
        if step.idle:
            self.slots.append(Slot(nodes[0].layer))
            return
        ops = [
            part for node in nodes for each in self._ops(step, node) for part in self._uniform(each)
        ]
        last = step.tile is None or step.tile.end == _group(step).rows
        if last:
            self.done |= {node.name for node in nodes}
            ops += sent_outputs(self.site, self.done, self.sent)
        first = len(self.slots)
        self.slots += [Slot(nodes[0].layer, part) for part in _parts(ops)]
        self.slots[first].loads = step.loads
        if step.tile is None or step.tile.first == 0:
            names = [scale_name(node) for node in nodes if isinstance(node, Convolution)]
            self.slots[first].scales = tuple(n for n in names if n in self.space.turns)
        self.slots[-1].stores = step.stores
        for slot in self.slots[first:]:
            slot.matrices = frozenset(_matrices(slot.ops))

    def uses(self) -> list[Use]:
        """Return the use of every matrix; those that nothing reads are used at once."""
        found: dict[int, list[int]] = {}
        for number, slot in enumerate(self.slots):
            for matrix in slot.matrices:
                found.setdefault(matrix, []).append(number)
        return [
            Use(
                min(slots), max(slots), self.reuse[tile.number], self.owner[tile.number], min(slots)
            )
            for tile in self.space.matrices.tiles
            for slots in (found.get(tile.number, [0]),)
        ]

    def _ops(self, step: Step, node: Node) -> list[Op]:
        """Return a node's instructions in a step."""
        if step.tile is None:
            return self._lowered(node)
        if node.name not in self.templates:
            before = len(self.space.windows)
            ops = self._lowered(node)
            windows = dict(enumerate(self.space.windows[before:], before))
            del self.space.windows[before:]
            self.templates[node.name] = Template(ops, windows)
        template = self.templates[node.name]
        if isinstance(node, Windowed):
            return [
                _windowed(self, step, node, each, template.windows[int(each.operands["w"])])
                for each in template.ops
            ]
        assert isinstance(node, Cuttable)
        if _group(step).planar:
            return _planes(self, step, node, template.ops)
        return _elementwise(self, step, node, template.ops)

    def _lowered(self, node: Node) -> list[Op]:
        before = len(self.space.matrices.tiles)
        ops = lower(self.site, node)
        reuse = 1
        if isinstance(node, Convolution):
            reuse = node.geometry.positions
        elif isinstance(node, Product):
            reuse = len(node.windows)
        for tile in self.space.matrices.tiles[before:]:
            self.reuse[tile.number], self.owner[tile.number] = reuse, node.name
        return ops

    def _uniform(self, each: Op) -> list[Op]:
        """Have an instruction read a constant of one value again and again, if it reads one."""
        alike = {side: at for side in "ab" if (at := self._alike(each.operands.get(side)))}
        if not alike:
            return [each]
        side, at = next(iter(alike.items()))
        size = len(at) * self.space.data.word_bits // int(each.state[WIDTHS[side]])
        ops = []
        for first in range(0, int(each.state["len"]), size):
            part = _shifted(self.space, each, first, min(size, int(each.state["len"]) - first))
            operands = dict(part.operands) | {side: words.start for side, words in alike.items()}
            ops.append(replace(part, operands=operands))
        return ops

    def _alike(self, address: int | str | None) -> range | None:
        """Return the words that are kept of the constant of one value that a word is of."""
        if address is None or int(address) < FAR_WORDS:
            return None
        for first, end, words in self.far:
            if first <= int(address) < end:
                return words
        return None

    def moved(self, step: Step, address: int) -> int:
        """Return where a word lies in a step whose tensor it is in may be in a buffer."""
        if address < FAR_WORDS or self._alike(address):
            return address
        for name, place in step.origins.items():
            first = self.site.places.words[name, 0]
            if first <= address < first + self.site.plan.layouts[name].words[-1]:
                return place.at(address - first)
        raise KeyError(f"word {address} of {nodes_of(step.unit)[0].name} is in no buffer")


def _group(step: Step) -> Group:
    assert isinstance(step.unit, Group)
    return step.unit


def _tile(step: Step) -> Rows:
    assert step.tile is not None
    return step.tile


def _windowed(builder: _Builder, step: Step, node: Windowed, each: Op, window: Window) -> Op:
    """Return a window's instruction for a tile: fewer rows, of the operand's rows at hand."""
    group, tile, plan = _group(step), _tile(step), builder.site.plan
    source, target = int(each.operands["a"]), int(each.operands["d"])
    made = elements_of(plan, group, tile, node.output.name)
    target = builder.moved(step, target + span_words(plan, made).start)
    begins = 0  # of the rows that are there, in the image
    if group.planar and node.a not in step.origins:  # planes lie as in the whole
        window = replace(window, first_row=tile.first, rows=tile.end - tile.first)
    else:
        part = elements_of(plan, group, tile, node.a)
        row = node.geometry.width * (1 if group.planar else node.geometry.channels)
        under = Rows(part.first // row, -(-part.end // row))
        window, begins = tile_window(window, tile, under), under.first
        source = builder.moved(step, source + span_words(plan, part).start)
    if "m" in each.operands:
        elements = begins * node.geometry.width * node.geometry.channels
        number = int(each.operands["m"])
        elements += builder.space.matrices.tiles[number].operand.windows[0]  # of its first channel
        builder.windows.setdefault(number, []).append(elements)
    operands = {**each.operands, "w": builder.space.equal_window(window), "d": target, "a": source}
    comment = f"{each.comment}, rows {tile.first} to {tile.end - 1}"
    return Op(each.mnemonic, comment, operands, each.state, each.modes)


def _elementwise(builder: _Builder, step: Step, node: Cuttable, template: list[Op]) -> list[Op]:
    """Return the instructions of a tile's elements."""
    plan = builder.site.plan
    part = elements_of(plan, _group(step), _tile(step), node.output.name)
    base = builder.site.places.words[node.output.name, 0]
    layout = plan.layouts[node.output.name]
    ops = []
    for each in template:
        first = (int(each.operands["d"]) - base) * layout.word_bits // layout.bits
        begin, end = max(first, part.first), min(first + int(each.state["len"]), part.end)
        if begin < end:
            ops.append(_cut(builder, step, each, begin - first, end - begin))
    return ops


def _planes(builder: _Builder, step: Step, node: Cuttable, template: list[Op]) -> list[Op]:
    """Return the instructions of a tile's planes, over what lies between them too.

    Of the template those count with which the tensor begins: the others go on with its planes.
    """
    plan, space = builder.site.plan, builder.space
    part = elements_of(plan, _group(step), _tile(step), node.output.name)
    base = builder.site.places.words[node.output.name, 0]
    layout, word_bits = plan.layouts[node.output.name], space.data.word_bits
    elements = tile_words(plan, part) * word_bits // layout.bits
    ops = []
    for each in template:
        if int(each.operands["d"]) != base:
            continue
        first = _cut(builder, step, each, part.first, elements)
        for at in range(0, elements, MOST_ELEMENTS):
            ops.append(_shifted(space, first, at, min(MOST_ELEMENTS, elements - at)))
    return ops


def _cut(builder: _Builder, step: Step, each: Op, skip: int, elements: int) -> Op:
    """Return an instruction on some elements, at the places that they have in a step."""
    part = _shifted(builder.space, each, skip, elements)
    moved = {
        name: builder.moved(step, int(value)) if name in WIDTHS else value
        for name, value in part.operands.items()
    }
    return replace(part, operands=moved)


def _shifted(space: CoreSpace, each: Op, skip: int, elements: int) -> Op:
    """Return an element-wise instruction without its first elements, on as many as wanted."""
    operands = dict(each.operands)
    for name, width in WIDTHS.items():
        if name in operands:
            words = skip * int(each.state[width]) // space.data.word_bits
            operands[name] = int(operands[name]) + words
    return replace(each, operands=operands, state=each.state | {"len": elements})


def _matrices(ops: Iterable[Op]) -> list[int]:
    return [int(each.operands["m"]) for each in ops if "m" in each.operands]


def _parts(ops: list[Op]) -> list[list[Op]]:
    """Cut instructions in front of each that is the first to use a matrix, but the first."""
    parts: list[list[Op]] = [[]]
    known: set[int] = set()
    for each in ops:
        for matrix in _matrices([each]):
            if known and matrix not in known:
                parts.append([])
            known.add(matrix)
        parts[-1].append(each)
    return parts


def scheduled(slots: Sequence[Slot], places: WeightPlaces) -> list[Slot]:
    """Return slots with what is fetched for each, and empty ones where the machine must wait.

    What one slot stores, another loads no sooner than in the stage behind that.
    """
    done: list[Slot] = []
    stored: list[tuple[Elements, int]] = []  # and the slot that makes it
    for number, slot in enumerate(slots):
        needed = [m for m in sorted(places.streamed) if places.brought[m] == number]
        waits = 1 if not places.alone.isdisjoint(needed) else 0
        made = [at for part, at in stored for copy in slot.loads if _meet(part, copy.part)]
        waits = max([waits, *(at + 2 - len(done) for at in made)])
        done += [Slot(slot.layer) for _ in range(waits)]
        stored += [(copy.part, len(done)) for copy in slot.stores]
        done.append(replace(slot, fetches=tuple(needed)))
    return done


def work_of(space: CoreSpace, slots: Sequence[Slot]) -> list[float]:
    """Return about how many cycles the products of each slot take.

    A position takes a cycle for each column that is pushed, of which about half are, or what its
    weights take of all PEs alike. Planes have their weights at a group of positions each.
    """
    core, found = space.arch.core, []
    width = core.pes * min(core.lanes, core.decoder.entries_per_cycle)
    for slot in slots:
        cycles = 0.0
        for each in slot.ops:
            if "m" in each.operands:
                packed = space.matrices.tiles[int(each.operands["m"])].packed
                weights = packed.footprint.values / packed.layout.weight_bits
                window = space.windows[int(each.operands["w"])] if "w" in each.operands else None
                positions = window.rows * window.shape(packed.rows).out_width if window else 1
                planar = window is not None and window.layout == PLANAR
                columns = 0.0 if planar else packed.columns / 2
                each_pe = weights / (core.pes * core.lanes) if planar else weights / width
                cycles += positions * max(columns, each_pe)
        found.append(cycles)
    return found


def _meet(one: Elements, other: Elements) -> bool:
    same = one.tensor == other.tensor
    return same and one.first < other.end and other.first < one.end
