"""In which order a tensor's elements lie on machines of dataflow `pixel`: who must agree on it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from spusim.compiler.graph import Graph
from spusim.network.graph import Elementwise, Windowed, inputs_of
from spusim.network.records import (
    Cut,
    Join,
    Prune,
)

Pointwise = Elementwise | Prune
VECTOR = 1  # pixels of a plane where a tensor lies as the network has it


@dataclass(frozen=True)
class Channels:
    """`count` channels of an image from `first` on."""

    image: str
    first: int
    count: int


def pixels_of(node: Windowed) -> tuple[int, int]:
    """Return the pixels of what a window reads, and of what it makes."""
    return node.geometry.height * node.geometry.width, node.geometry.positions


def is_ordered(node: Pointwise) -> bool:
    """Tell whether a node depends on the order of elements: of equals, the first stay."""
    return isinstance(node, Prune) and node.kind == "top"


def joined_channels(join: Join, graph: Graph) -> tuple[int, tuple[Channels, ...]] | None:
    """Return the pixels and what is joined at each of them, or None where a Join does no such."""
    cuts = [graph.makers.get(name) for name in join.inputs]
    found = [cut for cut in cuts if isinstance(cut, Cut)]
    if len(found) < len(cuts):
        return None
    for width in range(1, len(cuts) // 2 + 1):
        pixels, rest = divmod(len(cuts), width)
        parts = _channels(found, width, pixels, graph) if not rest else None
        if parts is not None:
            return pixels, parts
    return None


def _channels(
    cuts: list[Cut], width: int, pixels: int, graph: Graph
) -> tuple[Channels, ...] | None:
    """Return what `width` cuts at every pixel take of their images, if they do so alike."""
    sizes = [graph.tensors[cut.a].size for cut in cuts[:width]]
    if any(size % pixels for size in sizes):
        return None
    channels = [size // pixels for size in sizes]
    for number, cut in enumerate(cuts):
        pixel, at = divmod(number, width)
        first = cuts[at]
        alike = (cut.a, cut.output.size) == (first.a, first.output.size)
        if not alike or cut.first != first.first + pixel * channels[at]:
            return None
    ends = (cut.first + cut.output.size for cut in cuts[:width])
    if any(end > count for end, count in zip(ends, channels, strict=True)):
        return None
    return tuple(Channels(cut.a, cut.first, cut.output.size) for cut in cuts[:width])


class Orders:
    """The order of every tensor, by the class of those that correspond element by element."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._leader = {name: name for name in graph.tensors}
        self.joins = self._joins()
        self._link()
        wanted: dict[str, Counter[int]] = defaultdict(Counter)
        for name, pixels in self._wanted():
            wanted[self._class(name)][pixels] += 1
        self._pixels = {name: found.most_common(1)[0][0] for name, found in wanted.items()}
        self.joins = {
            name: found
            for name, found in self.joins.items()
            if self.of(graph.makers[name].output.name) == found[0]  # type: ignore[union-attr]
        }

    def of(self, name: str) -> int:
        """Return the pixels of a tensor's planes."""
        return self._pixels.get(self._class(name), VECTOR)

    def _joins(self) -> dict[str, tuple[int, tuple[Channels, ...]]]:
        found = {}
        for node in self.graph.network.nodes:
            if isinstance(node, Join) and (parts := joined_channels(node, self.graph)):
                found[node.output.name] = parts
        return found

    def _class(self, name: str) -> str:
        while self._leader[name] != name:
            self._leader[name] = self._leader[self._leader[name]]
            name = self._leader[name]
        return name

    def _unite(self, a: str, b: str) -> None:
        self._leader[self._class(b)] = self._class(a)

    def _link(self) -> None:
        for node in self.graph.network.nodes:
            if isinstance(node, Pointwise) and not is_ordered(node):
                for name in inputs_of(node):
                    self._unite(node.output.name, name)
        for output, (_, parts) in self.joins.items():
            for part in parts:
                self._unite(output, part.image)
        for state in self.graph.network.states:
            self._unite(state.tensor.name, state.next)

    def _wanted(self) -> Iterator[tuple[str, int]]:
        """Yield the planes of more than one pixel that windows read and make."""
        for node in self.graph.network.nodes:
            if isinstance(node, Windowed):
                source, made = pixels_of(node)
                if source > 1:
                    yield node.a, source
                if made > 1:
                    yield node.output.name, made
