"""Where everything lies in one core's data memory, and what must be copied because of it.

What a product reads must lie together. So what is joined for a product is made, or received, in
its place there; a state's next value is made in the state's place when nobody reads the old one
any more. Only what is wanted in two places is copied.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from spusim.compiler.distribution import Distribution, root_piece
from spusim.compiler.graph import Whole
from spusim.compiler.memory import Vector, words_of
from spusim.compiler.pieces import Layout
from spusim.compiler.space import CoreSpace
from spusim.network.graph import inputs_of
from spusim.network.records import Constant, Cut, Join, Node, Product, State


@dataclass(frozen=True)
class Move:
    """Elements that are copied from one place to another; both begin with a word."""

    comment: str
    target: Vector
    source: Vector


@dataclass(frozen=True)
class Fill:
    """A vector that every file starts with `value` in."""

    comment: str
    vector: Vector
    value: int


@dataclass
class Places:
    """Addresses on a core. words: of each (root, piece); operands: of what products read."""

    words: dict[tuple[str, int], int] = field(default_factory=dict)
    operands: dict[str, Vector] = field(default_factory=dict)
    joins: dict[str, list[Move]] = field(default_factory=dict)  # by operand
    updates: list[Move] = field(default_factory=list)  # of states, when a frame ends
    fills: list[Fill] = field(default_factory=list)
    restores: list[Move] = field(default_factory=list)  # of states, when a file starts


def place(space: CoreSpace, plan: Distribution) -> Places:
    """Give a core's tensors their places."""
    placer = _Placer(space, plan)
    placer.run()
    return placer.places


class _Placer:
    """A core's places while they are given away."""

    def __init__(self, space: CoreSpace, plan: Distribution) -> None:
        self.space, self.plan, self.graph = space, plan, plan.graph
        self.core, self.layouts = space.core, plan.layouts
        self.places = Places()
        self.homes: dict[str, tuple[int, bool]] = {}  # root -> (first word, all pieces there)
        self.order = _order(plan)
        self.operands = self._operands()
        self.normalised = {
            node.input
            for node in self.graph.network.nodes
            if isinstance(node, Product) and node.normalised_bits
        }
        self.padded: list[tuple[Vector, int]] = []  # and what is put there

    def run(self) -> None:
        """Place what is joined, then states and what replaces them, then all other roots."""
        for name in self.operands:
            if self.graph.is_view(name):
                self._place_operand(name)
        roots = [name for name in self.layouts if self._held(name)]
        for name in roots:
            if name in self.graph.states and name in self.operands:
                self._place_operand(name)
            elif name in self.graph.states and name not in self.homes:
                self._give(name)
        for name in roots:
            if name in self.graph.states:
                self._take_over(name)
        for name in self.operands:
            if name not in self.places.operands:
                self._place_operand(name)
        for name in roots:
            if name not in self.homes:
                self._give(name)
        for name in roots:
            self._note_words(name)
        self._join()
        self._update()
        self._start()

    def _held(self, name: str) -> list[int]:
        """Return the pieces of a root that the core has."""
        if self.graph.is_view(name):
            return []
        held = self.plan.held[name]
        return [piece for piece, cores in enumerate(held) if self.core in cores]

    def _operands(self) -> list[str]:
        """Return what the core's products and windows read, in order."""
        mine = [node for node in self.graph.network.nodes if self.plan.computes(self.core, node)]
        whole = [node for node in mine if isinstance(node, Whole)]
        return list(dict.fromkeys(name for node in whole for name in inputs_of(node)))

    def _place_operand(self, name: str) -> None:
        """Give an operand its words, and with it the roots that it holds whole."""
        layout = self.layouts[name]
        elements = layout.place(layout.size - 1) + 1
        if name in self.homes:
            address = self.homes[name][0]
            inner = Vector(address, elements, layout.bits, layout.word_bits)
            self.places.operands[name] = inner
            if name in self.normalised and (inner.full != inner or elements != layout.size):
                self._pad(name, inner)
            return
        vector = self.space.data.vector(name, elements, layout.bits)
        self.places.operands[name] = vector
        for s in self.graph.segments(name):
            whole = s.first == 0 and s.size == self.layouts[s.root].size
            if whole and s.root not in self.homes and self._held(s.root):
                word = layout.words[layout.index(s.at)]
                self.homes[s.root] = (vector.address + word, True)
        if not layout.loose and (vector.full != vector or elements != layout.size):
            self._pad(name, vector)

    def _pad(self, name: str, vector: Vector) -> None:
        """Have what an operand's words leave unused filled, but no constant that lies in it."""
        layout = self.layouts[name]
        makers = [self.graph.makers.get(s.root) for s in self.graph.segments(name)]
        if not any(isinstance(maker, Constant) for maker in makers):
            self.padded.append((vector.full, self._zero(name)))
            return
        per_word = layout.word_bits // layout.bits
        for piece, words in enumerate(layout.words[1:]):
            target = vector.address + layout.words[piece]
            if not layout.fills(piece) and not self._lies_there(name, piece, target):
                address = vector.address + words - 1
                word = Vector(address, per_word, layout.bits, layout.word_bits)
                self.padded.append((word, self._zero(name)))

    def _lies_there(self, name: str, piece: int, address: int) -> bool:
        """Tell whether a piece is a constant's that lies at an address, and is no copy of it."""
        root, at = root_piece(self.graph, self.layouts, name, piece)
        home, whole = self.homes.get(root, (0, False))
        there = whole and home + self.layouts[root].words[at] == address
        return there and isinstance(self.graph.makers.get(root), Constant)

    def _give(self, name: str) -> None:
        """Give a root words for those of its pieces that the core has."""
        layout, held = self.layouts[name], self._held(name)
        words = sum(layout.words[p + 1] - layout.words[p] for p in held)
        whole = len(held) == len(layout.firsts)
        per_word = layout.word_bits // layout.bits
        last = layout.sizes[held[-1]]
        elements = (words - (layout.words[held[-1] + 1] - layout.words[held[-1]])) * per_word + last
        vector = self.space.data.vector(name, elements, layout.bits)
        self.homes[name] = (vector.address, whole)
        broken = not all(layout.fills(piece) for piece in held)
        constant = isinstance(self.graph.makers.get(name), Constant)
        if broken and self._leaves(name) and not constant:
            self.padded.append((vector.full, self._zero(name)))

    def _zero(self, name: str) -> int:
        """Return the integer that means zero in a tensor."""
        return self.graph.tensors[name].quantum.zero_point

    def _leaves(self, name: str) -> bool:
        """Tell whether whole words of a root are sent."""
        runs = [run for runs in self.plan.exchanges for run in runs] + list(self.plan.output)
        return any(run.root == name and run.sender == self.core for run in runs)

    def _take_over(self, name: str) -> None:
        """Let a state's next value be made in the state's place, if nobody reads it later."""
        state = self.graph.states[name]
        new = self.graph.sole_root(state.next)
        maker = self.graph.makers.get(new or "")
        if new is None or new in self.homes or maker is None or isinstance(maker, Constant):
            return
        whole = self.homes[name][1]
        if not whole and (self._held(new) != self._held(name) or new in self.operands):
            return
        written = self.order[maker.name]
        if any(self.order[node.name] > written for node in self._readers(name)):
            return
        if name in self._roots(maker) and not self._in_place(maker, name):
            return
        self.homes[new] = self.homes[name]

    def _readers(self, root: str) -> Iterator[Node]:
        """Yield the nodes that take elements of a root, through views too."""
        for node in self.graph.network.nodes:
            if not isinstance(node, Join | Cut) and root in self._roots(node):
                yield node

    def _roots(self, node: Node) -> set[str]:
        """Return the roots that a node takes elements of."""
        return {s.root for name in inputs_of(node) for s in self.graph.segments(name)}

    def _in_place(self, maker: Node, root: str) -> bool:
        """Tell whether a node may write where a root lies that it reads.

        A product may not: it reads all of its operand again for every tile of rows. Others may if
        every element comes from its own place.
        """
        if isinstance(maker, Whole):
            return False
        segments = [s for name in inputs_of(maker) for s in self.graph.segments(name)]
        return all(s.first == s.at for s in segments if s.root == root)

    def _note_words(self, name: str) -> None:
        """Note the address of every piece."""
        first, whole = self.homes[name]
        layout, word = self.layouts[name], self.homes[name][0]
        for piece in self._held(name):
            self.places.words[name, piece] = first + layout.words[piece] if whole else word
            word += layout.words[piece + 1] - layout.words[piece]

    # copies

    def _join(self) -> None:
        """Copy what an operand holds but does not lie in it."""
        for name, vector in self.places.operands.items():
            layout = self.layouts[name]
            moves = []
            for piece in range(len(layout.firsts)):
                root, at = root_piece(self.graph, self.layouts, name, piece)
                target = vector.address + layout.words[piece]
                source = self.places.words.get((root, at))
                if source is not None and source != target:
                    moves.append(self._move(f"{root} to {name}", layout, piece, target, source))
            self.places.joins[name] = _merged(moves)

    def _update(self) -> None:
        """Copy what states become, unless it was made there."""
        for name, state in self.graph.states.items():
            layout, moves = self.layouts[name], []
            for piece in self._held(name):
                root, at = root_piece(self.graph, self.layouts, state.next, piece)
                target, source = self.places.words[name, piece], self.places.words[root, at]
                if source != target:
                    moves.append(self._move(f"{name}: next", layout, piece, target, source))
            self.places.updates += _merged(moves)

    def _move(self, comment: str, layout: Layout, piece: int, target: int, source: int) -> Move:
        size, bits, word_bits = layout.sizes[piece], layout.bits, layout.word_bits
        if layout.loose:
            size = words_of(size, bits, word_bits) * word_bits // bits
        vectors = (Vector(word, size, bits, word_bits) for word in (target, source))
        return Move(comment, *vectors)

    # what files start with

    def _start(self) -> None:
        """Fill what words leave unused, then states; constants are there from the start."""
        fills = [Fill("unused places", vector, zero) for vector, zero in self.padded]
        for name, state in self.graph.states.items():
            held = self._held(name)
            if held and np.ndim(state.start):
                self._restore(name, state, held)
            elif held:
                fills += self._state_fills(name, int(state.start), held)
        self.places.fills = list(_needed(fills))
        for node in self.graph.network.nodes:
            if isinstance(node, Constant) and self._held(node.output.name):
                self._store(node.output.name, node.values)

    def _state_fills(self, name: str, value: int, held: list[int]) -> list[Fill]:
        layout = self.layouts[name]
        runs: list[Vector] = []
        for piece in held:
            vector = Vector(
                self.places.words[name, piece], layout.sizes[piece], layout.bits, layout.word_bits
            )
            if runs and runs[-1].address + runs[-1].words == vector.address and (
                runs[-1].full == runs[-1]
            ):  # fmt: skip
                last = runs.pop()
                vector = Vector(
                    last.address, last.elements + vector.elements, layout.bits, layout.word_bits
                )
            runs.append(vector)
        return [Fill(f"{name}: start", vector, value) for vector in runs]

    def _store(self, name: str, values: np.ndarray) -> None:
        """Have a root's pieces hold values when the program is loaded."""
        layout = self.layouts[name]
        for piece in self._held(name):
            first = layout.firsts[piece]
            part = values[first : first + layout.sizes[piece]]
            word = self.places.words[name, piece]
            self.space.constant(name, word, part, layout.bits, self._zero(name))

    def _restore(self, name: str, state: State, held: list[int]) -> None:
        """Keep a state's start values beside it, to be copied when a file starts."""
        layout, moves = self.layouts[name], []
        for piece in held:
            first = layout.firsts[piece]
            part = np.asarray(state.start)[first : first + layout.sizes[piece]]
            kept = self.space.data.vector(f"{name} start", len(part), layout.bits)
            self.space.constant(f"{name} start", kept.address, part, layout.bits)
            target = self.places.words[name, piece]
            moves.append(self._move(f"{name}: start", layout, piece, target, kept.address))
        self.places.restores += _merged(moves)


def _order(plan: Distribution) -> dict[str, tuple[int, int]]:
    """Return when nodes run: by phase, then as they stand in the network."""
    return {
        node.name: (plan.phases[node.name], number)
        for number, node in enumerate(plan.graph.network.nodes)
    }


def _merged(moves: Iterable[Move]) -> list[Move]:
    """Put moves together that go on where the last one ends, at a word."""
    done: list[Move] = []
    for move in moves:
        last = done[-1] if done else None
        if last and _follows(last.target, move.target) and _follows(last.source, move.source):
            done[-1] = Move(
                last.comment if last.comment == move.comment else f"{last.comment} and more",
                _longer(last.target, move.target),
                _longer(last.source, move.source),
            )
        else:
            done.append(move)
    return done


def _follows(first: Vector, second: Vector) -> bool:
    return first.full == first and first.address + first.words == second.address


def _longer(first: Vector, second: Vector) -> Vector:
    return Vector(first.address, first.elements + second.elements, first.bits, first.word_bits)


def _needed(fills: list[Fill]) -> Iterator[Fill]:
    """Yield the fills that no earlier one of the same value holds."""
    earlier: list[Fill] = []
    for fill in fills:
        if not any(
            each.value == fill.value and _holds(each.vector, fill.vector) for each in earlier
        ):
            earlier.append(fill)
            yield fill


def _holds(outer: Vector, inner: Vector) -> bool:
    first, end = inner.address, inner.address + inner.words
    return outer.address <= first and end <= outer.address + outer.words
