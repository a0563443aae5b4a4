"""A network as the compiler looks at it: makers, readers, and which elements are which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from spusim.network.graph import inputs_of, outputs_of, tensors_of
from spusim.network.records import (
    Convolution,
    Cut,
    Join,
    Network,
    Node,
    Pooling,
    Product,
    State,
    Tensor,
)

Whole = Product | Convolution | Pooling  # what reads windows, and so a tensor that lies together


@dataclass(frozen=True)
class Segment:
    """Elements [first, first + size) of a root, as they are found from `at` on in a view."""

    root: str
    first: int
    size: int
    at: int


@dataclass(frozen=True)
class Relation:
    """`size` elements of `a` from a_first on correspond to those of `b` from b_first on.

    kind: "element" (computed one from the other), "cut", "join" or "state".
    """

    kind: str
    a: str
    a_first: int
    b: str
    b_first: int
    size: int


@dataclass(frozen=True)
class PlanarNetwork(Network):
    """A network whose images lie plane after plane. pixels: of a plane, by tensor."""

    pixels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Indexes of a network. A root is a tensor with elements of its own; Join and Cut are views."""

    network: Network

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {each.name: each for each in tensors_of(self.network)}

    @cached_property
    def pixels(self) -> Mapping[str, int]:
        """Pixels of a plane, of each tensor whose planes begin with words of their own."""
        return self.network.pixels if isinstance(self.network, PlanarNetwork) else {}

    @cached_property
    def states(self) -> dict[str, State]:
        """States by their tensor's name."""
        return {state.tensor.name: state for state in self.network.states}

    @cached_property
    def makers(self) -> dict[str, Node]:
        """Node that makes each tensor; states and the input have none."""
        return {out.name: node for node in self.network.nodes for out in outputs_of(node)}

    @cached_property
    def readers(self) -> dict[str, tuple[Node, ...]]:
        """Nodes that take each tensor."""
        found: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.network.nodes:
            for name in dict.fromkeys(inputs_of(node)):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def kept(self) -> frozenset[str]:
        """Tensors that are wanted though no node may take them: output, states' next values."""
        return frozenset([self.network.output, *(s.next for s in self.network.states)])

    def is_view(self, name: str) -> bool:
        """Tell whether a tensor only shows elements of others."""
        return isinstance(self.makers.get(name), Join | Cut)

    @cached_property
    def _segments(self) -> dict[str, tuple[Segment, ...]]:
        found: dict[str, tuple[Segment, ...]] = {}
        for name, each in self.tensors.items():
            maker = self.makers.get(name)
            if isinstance(maker, Join):
                found[name] = _joined(found, maker)
            elif isinstance(maker, Cut):
                found[name] = _cut(found[maker.a], maker.first, each.size)
            else:
                found[name] = (Segment(name, 0, each.size, 0),)
        return found

    def segments(self, name: str) -> tuple[Segment, ...]:
        """Return the roots' elements that a tensor consists of, in order."""
        return self._segments[name]

    def sole_root(self, name: str) -> str | None:
        """Return the root that a tensor is, whole and nothing else, or None."""
        first, *others = self.segments(name)
        whole = first.first == 0 and first.size == self.tensors[first.root].size
        return first.root if whole and not others else None

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """All correspondences of elements."""
        return tuple(self._relations())

    def _relations(self) -> Iterator[Relation]:
        for node in self.network.nodes:
            if isinstance(node, Join):
                at = 0
                for name in node.inputs:
                    size = self.tensors[name].size
                    yield Relation("join", name, 0, node.output.name, at, size)
                    at += size
            elif isinstance(node, Cut):
                yield Relation("cut", node.a, node.first, node.output.name, 0, node.output.size)
            elif not isinstance(node, Whole):
                for name in inputs_of(node):
                    out = node.output
                    yield Relation("element", name, 0, out.name, 0, out.size)
        for state in self.network.states:
            yield Relation("state", state.tensor.name, 0, state.next, 0, state.tensor.size)


def _joined(found: dict[str, tuple[Segment, ...]], node: Join) -> tuple[Segment, ...]:
    segments, at = [], 0
    for name in node.inputs:
        for s in found[name]:
            segments.append(Segment(s.root, s.first, s.size, at + s.at))
        at += sum(s.size for s in found[name])
    return tuple(segments)


def _cut(segments: tuple[Segment, ...], first: int, size: int) -> tuple[Segment, ...]:
    cut = []
    for s in segments:
        begin, end = max(first, s.at), min(first + size, s.at + s.size)
        if begin < end:
            cut.append(Segment(s.root, s.first + begin - s.at, end - begin, begin - first))
    return tuple(cut)
