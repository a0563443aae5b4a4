"""Where tensors are cut: into pieces that lie together, from the beginning of a word on.

Corresponding elements of tensors (see `Relation`) are cut alike, so that an element-wise
instruction finds both its operands at words, and what is joined or cut need not be moved.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from types import UnionType

import numpy as np

from spusim.arch import Arch
from spusim.compiler.graph import Graph, Whole
from spusim.compiler.memory import words_of
from spusim.compiler.shares import share_unit
from spusim.compiler.split import elements_per_word, group_rows, split
from spusim.network.graph import head_rows, inputs_of
from spusim.network.records import Constant, Convolution, Cut, Join, Pooling, Product, Prune

Cuts = dict[str, set[int]]


@dataclass(frozen=True)
class Layout:
    """How a tensor lies when all of it lies together: its pieces' first elements and sizes.

    planar: pieces are planes of an image, which are sent and copied with what lies between them.
    loose: and that may hold anything, for no product reads it.
    """

    name: str
    bits: int
    word_bits: int
    firsts: tuple[int, ...]
    size: int
    planar: bool = False
    loose: bool = False

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Elements of each piece."""
        ends = (*self.firsts[1:], self.size)
        return tuple(end - first for first, end in zip(self.firsts, ends, strict=True))

    @cached_property
    def words(self) -> tuple[int, ...]:
        """First word of each piece, and the end of the last."""
        found = [0]
        for size in self.sizes:
            found.append(found[-1] + words_of(size, self.bits, self.word_bits))
        return tuple(found)

    def fills(self, piece: int) -> bool:
        """Tell whether a piece ends with a word, so that the next one follows without a gap."""
        return self.sizes[piece] * self.bits % self.word_bits == 0

    def extent(self, pieces: range) -> int:
        """Return the elements that consecutive pieces take, with what lies between them."""
        last = pieces.stop - 1
        words = self.words[last] - self.words[pieces.start]
        return words * (self.word_bits // self.bits) + self.sizes[last]

    def index(self, element: int) -> int:
        """Return the piece that an element is in."""
        return bisect_right(self.firsts, element) - 1

    def span(self, first: int, size: int) -> range:
        """Return the pieces with any of `size` elements from `first` on."""
        return range(self.index(first), self.index(first + size - 1) + 1)

    def places(self) -> np.ndarray:
        """Return the places of all elements: (size,) int64, see `place`."""
        per_word = self.word_bits // self.bits
        gaps = np.array(self.words[:-1], np.int64) * per_word - np.array(self.firsts, np.int64)
        return np.arange(self.size) + np.repeat(gaps, self.sizes)

    def place(self, element: int) -> int:
        """Return the place of an element, counted in elements from the first word on."""
        piece = self.index(element)
        return self.words[piece] * (self.word_bits // self.bits) + element - self.firsts[piece]


@dataclass(frozen=True)
class Pieces:
    """All tensors' layouts, and which core is to compute each piece, where a split says so."""

    layouts: dict[str, Layout]
    shares: dict[str, tuple[int, ...]]


def plan_pieces(graph: Graph, arch: Arch) -> Pieces:
    """Cut all tensors where they are joined, cut, or shared out over cores."""
    shared = _shared(graph, arch)
    sections = _close(graph, _sections(graph), ("element", "cut", "state"))
    aligns = _aligns(graph, arch)
    parts = {
        name: [
            (first + part.offset, part.core)
            for first, size in _intervals(sections[name], graph.tensors[name].size)
            for part in split(size, aligns[name], arch.cores)
        ]
        for name in shared
    }
    cuts: Cuts = defaultdict(set)
    for relation in graph.relations:
        cuts[relation.a] |= {relation.a_first, relation.a_first + relation.size}
        cuts[relation.b] |= {relation.b_first, relation.b_first + relation.size}
    for name, found in parts.items():
        cuts[name] |= {first for first, _ in found}
    for name, pixels in graph.pixels.items():
        cuts[name] |= set(range(0, graph.tensors[name].size, pixels))
    closed = _close(graph, cuts, ("element", "cut", "state", "join"))
    word_bits = arch.core.data_memory.word_bits
    exact = _multiplied(graph)
    layouts = {
        name: Layout(
            name, each.quantum.bits, word_bits, _firsts(closed[name], each.size), each.size,
            name in graph.pixels, name in graph.pixels and name not in exact,
        )
        for name, each in graph.tensors.items()
    }  # fmt: skip
    shares = {}
    for name, found in parts.items():
        firsts = [first for first, _ in found]
        shares[name] = tuple(
            found[bisect_right(firsts, first) - 1][1] for first in layouts[name].firsts
        )
    return Pieces(layouts, shares)


def broken_words(layout: Layout) -> bool:
    """Tell whether a piece other than the last leaves part of a word unused."""
    return not all(layout.fills(piece) for piece in range(len(layout.firsts) - 1))


def _shared(graph: Graph, arch: Arch) -> list[str]:
    """Return the tensors to share out: rows of products, and what no product will want whole.

    Of windows what they make, on several cores.
    """
    found = []
    for node in graph.network.nodes:
        if isinstance(node, Product):
            found += [head.output.name for head in node.heads]
        elif (
            isinstance(node, Convolution | Pooling)
            and arch.cores > 1
            and share_unit(graph, node, arch)
        ):
            found.append(node.output.name)
    views = (Join, Cut, Constant)
    made = {name for name, maker in graph.makers.items() if not isinstance(maker, views)}
    wanted = _wanted_whole(graph)
    local = alike(graph, ("element", "state"))
    with_rows = {local[name] for name in found}
    for name in made - set(found):
        others = {other for other in local if local[other] == local[name]}
        if local[name] not in with_rows and not wanted & others:
            found.append(name)
    return [name for name in graph.tensors if name in set(found)]


def _multiplied(graph: Graph) -> set[str]:
    """Return the tensors whose elements products read, with what lies between them."""
    return _operands(graph, Product)


def _wanted_whole(graph: Graph) -> set[str]:
    """Return the tensors whose elements go into some product's or window's operand."""
    return _operands(graph, Whole)


def _operands(graph: Graph, kinds: type | UnionType) -> set[str]:
    wanted: set[str] = set()
    for node in graph.network.nodes:
        if isinstance(node, kinds):
            for name in inputs_of(node):
                wanted |= {name, *(s.root for s in graph.segments(name))}
    return wanted


def _sections(graph: Graph) -> Cuts:
    """Return where tensors begin anew, each section being shared out for itself."""
    cuts: Cuts = defaultdict(set)
    for node in graph.network.nodes:
        if isinstance(node, Cut):
            cuts[node.a] |= {node.first, node.first + node.output.size}
        elif isinstance(node, Product):
            for head, rows in zip(node.heads, head_rows(node), strict=True):
                cuts[head.output.name] |= set(range(0, head.output.size, rows))
    return cuts


def _aligns(graph: Graph, arch: Arch) -> dict[str, int]:
    """Return the units in which tensors are shared out: whole words of all, whole row groups."""
    leaders = alike(graph, ("element", "cut", "state"))
    units: dict[str, int] = defaultdict(lambda: 1)
    for name, each in graph.tensors.items():
        unit = elements_per_word(arch, each.quantum.bits)
        maker = graph.makers.get(name)
        if name in graph.pixels:
            unit = graph.pixels[name] * (group_rows(arch) if isinstance(maker, Product) else 1)
        elif isinstance(maker, Product):
            unit = math.lcm(unit, group_rows(arch))
        if isinstance(maker, Convolution | Pooling) and arch.cores > 1:
            unit = share_unit(graph, maker, arch) or unit
        if isinstance(maker, Prune) and maker.kind == "top":  # is of one core
            unit *= -(-each.size // unit)
        units[leaders[name]] = math.lcm(units[leaders[name]], unit)
    return {name: units[leaders[name]] for name in graph.tensors}


def alike(graph: Graph, kinds: tuple[str, ...]) -> dict[str, str]:
    """Return for each tensor the one that stands for all that relations of these kinds link."""
    leader = {name: name for name in graph.tensors}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for relation in graph.relations:
        if relation.kind in kinds:
            leader[find(relation.b)] = find(relation.a)
    return {name: find(name) for name in graph.tensors}


def _close(graph: Graph, cuts: Cuts, kinds: tuple[str, ...]) -> Cuts:
    """Carry cuts over to all corresponding elements."""
    touching: dict[str, list[tuple[int, int, str, int]]] = defaultdict(list)
    for r in graph.relations:
        if r.kind in kinds:
            touching[r.a].append((r.a_first, r.size, r.b, r.b_first))
            touching[r.b].append((r.b_first, r.size, r.a, r.a_first))
    closed: Cuts = {name: set() for name in graph.tensors}
    waiting: Cuts = defaultdict(set, {name: set(found) for name, found in cuts.items()})
    while waiting:
        name, found = waiting.popitem()
        new = sorted(found - closed[name])
        closed[name].update(new)
        # A tensor may have as many cuts as relations: each looks only at the cuts it touches.
        for first, size, other, there in touching[name] if new else ():
            touched = new[bisect_left(new, first) : bisect_right(new, first + size)]
            if touched:
                waiting[other].update(cut - first + there for cut in touched)
    return closed


def _firsts(cuts: Iterable[int], size: int) -> tuple[int, ...]:
    return tuple(sorted({0, *(cut for cut in cuts if 0 < cut < size)}))


def _intervals(cuts: Iterable[int], size: int) -> list[tuple[int, int]]:
    firsts = _firsts(cuts, size)
    ends = (*firsts[1:], size)
    return [(first, end - first) for first, end in zip(firsts, ends, strict=True)]
