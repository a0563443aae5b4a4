"""When a core's vectors are needed, and which words may therefore be used twice.

All that a core does in a frame is in one order: tokens put its threads one behind the other, and a
thread its instructions. So a vector is needed from the first instruction of that order that writes
it to the last that reads it. What is there when a file starts, or goes from one frame to the next
(states, constants, words whose unused places are filled once), is needed for ever.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from spusim.compiler.distribution import Distribution
from spusim.compiler.first_fit import Span, first_fit
from spusim.compiler.places import Places
from spusim.network.graph import Elementwise, inputs_of
from spusim.network.records import Constant, Cut, Join, Prune

Symbols = list[tuple[str, int, int]]


@dataclass(frozen=True)
class Timeline:
    """The order of what a core does in a frame; time 0 is before all of it, `end` after."""

    nodes: dict[str, int]  # computed here -> time
    receives: tuple[int, ...]  # of each phase
    sends: tuple[int, ...]  # of each phase's exchange
    end: int


@dataclass(frozen=True)
class Block:
    """Words given away at once: symbol, the roots that lie in it, and when it is needed.

    span None: for ever.
    """

    name: str
    words: int
    roots: frozenset[str]
    span: Span | None


def timeline(plan: Distribution, core: int) -> Timeline:
    """Return the order in which a core receives, computes and sends."""
    nodes: dict[str, int] = {}
    receives, sends, time = [], [], 1
    for phase in range(len(plan.exchanges) + 1):
        receives.append(time)
        time += 1
        for node in plan.graph.network.nodes:
            if plan.phases[node.name] == phase and plan.computes(core, node):
                nodes[node.name] = time
                time += 1
        sends.append(time)
        time += 1
    return Timeline(nodes, tuple(receives), tuple(sends), time)


def live_blocks(plan: Distribution, core: int, places: Places, symbols: Symbols) -> list[Block]:
    """Return when each of the symbols is needed, to which `places` were given without sharing."""
    reader = _Liveness(plan, core, places, symbols)
    return reader.blocks()


def shared_words(plan: Distribution, core: int, places: Places, symbols: Symbols) -> list[int]:
    """Return new first words of all symbols, of which those that never meet may share words."""
    blocks = live_blocks(plan, core, places, symbols)
    leaders = _in_place(plan, core, blocks)
    last = timeline(plan, core).end
    spans: dict[int, Span] = {}
    for number, leader in enumerate(leaders):
        span = blocks[number].span or Span(blocks[number].words, 0, last)
        known = spans.get(leader, span)
        spans[leader] = replace(
            known, first=min(known.first, span.first), last=max(known.last, span.last)
        )
    words = dict(zip(spans, first_fit(list(spans.values())), strict=True))
    return [words[leader] for leader in leaders]


class _Liveness:
    """First and last time of every symbol while they are found."""

    def __init__(self, plan: Distribution, core: int, places: Places, symbols: Symbols) -> None:
        self.plan, self.graph, self.core = plan, plan.graph, core
        self.places, self.symbols = places, symbols
        self.times = timeline(plan, core)
        self.firsts = [address for _, address, _ in symbols]
        self.touched: list[list[int]] = [[] for _ in symbols]
        self.kept: set[int] = set()
        self.roots: list[set[str]] = [set() for _ in symbols]

    def blocks(self) -> list[Block]:
        """Return all symbols as blocks."""
        self._keep()
        for root, piece in self.places.words:
            self._made(root, piece)
        self._read()
        self._sent()
        return [
            Block(name, words, frozenset(self.roots[n]), self._span(n, words))
            for n, (name, _, words) in enumerate(self.symbols)
        ]

    def _span(self, number: int, words: int) -> Span | None:
        times = self.touched[number]
        if number in self.kept or not times:
            return None
        return Span(words, min(times), max(times))

    def _at(self, address: int) -> int:
        """Return the number of the symbol that a word belongs to."""
        return bisect_right(self.firsts, address) - 1

    def _touch(self, root: str, piece: int, time: int) -> None:
        address = self.places.words.get((root, piece))
        if address is not None:
            self.touched[self._at(address)].append(time)

    def _keep(self) -> None:
        """Keep what files start with."""
        for fill in self.places.fills:
            self.kept.add(self._at(fill.vector.address))
        for move in self.places.restores:
            self.kept |= {self._at(move.source.address), self._at(move.target.address)}

    def _made(self, root: str, piece: int) -> None:
        """Note when a root's piece gets its values, by a node, a message or before all."""
        block = self._at(self.places.words[root, piece])
        self.roots[block].add(root)
        maker = self.graph.makers.get(root)
        if root in self.graph.states or isinstance(maker, Constant):
            self.kept.add(block)
        elif maker is None:
            self._touch(root, piece, 0)
        elif self.core in self.plan.workers[root][piece]:
            self._touch(root, piece, self.times.nodes[maker.name])

    def _read(self) -> None:
        """Note what nodes read, and what becomes of states when a frame ends."""
        for node in self.graph.network.nodes:
            time = self.times.nodes.get(node.name)
            if time is None or isinstance(node, Join | Cut | Constant):
                continue
            for name in inputs_of(node):
                self._view(name, time)
                if name in self.places.operands:
                    self.touched[self._at(self.places.operands[name].address)].append(time)
        for state in self.graph.states.values():
            self._view(state.next, self.times.end)

    def _view(self, name: str, time: int) -> None:
        for segment in self.graph.segments(name):
            for piece in self.plan.layouts[segment.root].span(segment.first, segment.size):
                self._touch(segment.root, piece, time)

    def _sent(self) -> None:
        """Note what messages carry, here and from here."""
        for phase, runs in enumerate(self.plan.exchanges):
            for run in runs:
                time = None
                if run.sender == self.core:
                    time = self.times.sends[phase]
                elif self.core in run.receivers:
                    time = self.times.receives[phase + 1]
                for piece in run.pieces if time is not None else ():
                    self._touch(run.root, piece, time or 0)
        for run in self.plan.output:
            maker = self.graph.makers.get(run.root)
            if run.sender == self.core:
                for piece in run.pieces:  # as soon as it is made
                    self._touch(run.root, piece, self.times.nodes[maker.name] if maker else 0)


def _in_place(plan: Distribution, core: int, blocks: list[Block]) -> list[int]:
    """Return for each block the first of those in whose words it is made, element by element."""
    leaders = list(range(len(blocks)))
    alone = {next(iter(b.roots)): n for n, b in enumerate(blocks) if len(b.roots) == 1}
    for node, time in _elementwise(plan, core):
        made = alone.get(node.output.name)
        for name in inputs_of(node):
            old = alone.get(plan.graph.sole_root(name) or "")
            if made is None or old is None or leaders[made] != made or old == made:
                continue
            if _replaces(blocks[old], blocks[made], time) and _alike(plan, blocks, old, made):
                leaders[made] = leaders[old]
    return leaders


def _elementwise(plan: Distribution, core: int) -> Iterator[tuple[Elementwise | Prune, int]]:
    """Yield the nodes that compute an element from those at its place, with their times."""
    times = timeline(plan, core).nodes
    for node in plan.graph.network.nodes:
        if isinstance(node, Elementwise | Prune) and node.name in times:
            yield node, times[node.name]


def _replaces(old: Block, new: Block, time: int) -> bool:
    """Tell whether what is made at a time may take the words of what is last read then."""
    if old.span is None or new.span is None:
        return False
    return old.span.last == time == new.span.first


def _alike(plan: Distribution, blocks: list[Block], old: int, new: int) -> bool:
    """Tell whether the only roots of two blocks lie in just the same way."""
    layouts = [plan.layouts[root] for root in chain(blocks[old].roots, blocks[new].roots)]
    held = [plan.held[layout.name] for layout in layouts]
    same = layouts[0].words == layouts[1].words and layouts[0].bits == layouts[1].bits
    return same and held[0] == held[1] and blocks[old].words == blocks[new].words
