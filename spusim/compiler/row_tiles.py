"""What can be computed a few rows at a time: groups of nodes, and what a tile of one needs.

A group is a node and the element-wise ones right behind it that alone read what it makes. A tile
is some rows of its output; of a window's operand it needs the rows under them, of all others just
its own elements. Of planar images these are rows of every plane, and a tile has planes itself.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from spusim.compiler.distribution import Distribution
from spusim.compiler.memory import words_of
from spusim.network.graph import Elementwise, Windowed, inputs_of
from spusim.network.records import Constant, Cut, Join, Node, Prune
from spusim.numerics.convolution import Convolution as Geometry
from spusim.program import Window

Cuttable = Windowed | Elementwise | Prune

LEAST_TILES = 4  # so that loads and stores find something to run beside


@dataclass(frozen=True)
class Group:
    """Nodes that are computed together; `inputs` come from outside.

    rows: of the output, each of `row_elements`; step: rows that are whole words, of which tiles
    have a multiple. pitched: planar tensors that its instructions run through from plane to plane,
    which tiles have closer together than a whole tensor.
    """

    nodes: tuple[Cuttable, ...]
    inputs: tuple[str, ...]
    output: str
    rows: int
    row_elements: int
    step: int
    planar: bool = False
    pitched: tuple[str, ...] = ()

    @property
    def head(self) -> Cuttable:
        """The first node."""
        return self.nodes[0]

    @property
    def inner(self) -> tuple[str, ...]:
        """What its nodes make for each other."""
        return tuple(node.output.name for node in self.nodes[:-1])


@dataclass(frozen=True)
class Rows:
    """Rows [first, end) of an image, and with it elements of a tensor."""

    first: int
    end: int


@dataclass(frozen=True)
class Elements:
    """Elements [first, end) of a tensor, or of each of its planes; `first` begins a word."""

    tensor: str
    first: int
    end: int


def groups_of(plan: Distribution) -> list[Group | Node]:
    """Return all nodes that compute anything in order, those in groups that rows can be cut of."""
    units: list[Group | Node] = []
    chain: list[Cuttable] = []
    for node in (*plan.graph.network.nodes, None):
        if isinstance(node, Join | Cut | Constant):
            continue
        cuttable = node if isinstance(node, Cuttable) and _cuttable(plan, node) else None
        if cuttable and chain and _joins(plan, chain, cuttable):
            chain.append(cuttable)
            continue
        if chain:
            units.append(_group(plan, tuple(chain)))
        chain = [cuttable] if cuttable else []
        if node and not cuttable:
            units.append(node)
    return units


def _joins(plan: Distribution, chain: list[Cuttable], node: Cuttable) -> bool:
    """Tell whether a node alone reads what the one before it makes, element by element.

    It must not read what a window in front reads by planes: with the rows around a tile's these
    lie further apart.
    """
    head, made, graph = chain[0], chain[-1].output.name, plan.graph
    alone = graph.readers[made] == (node,) and made not in graph.kept
    if isinstance(head, Windowed) and head.a in graph.pixels and head.a in inputs_of(node):
        return False
    return not isinstance(node, Windowed) and alone and made in inputs_of(node)


def _cuttable(plan: Distribution, node: Cuttable) -> bool:
    """Tell whether a node's output can be made row by row."""
    if isinstance(node, Prune) and node.kind != "threshold":
        return False
    names = (*inputs_of(node), node.output.name)
    if not all(plan.workers[node.output.name]):  # nobody reads some of it, so it is not made
        return False
    if not any(name in plan.graph.pixels for name in names):
        return all(len(plan.layouts[name].firsts) == 1 for name in names)
    if not all(_whole_planes(plan, name) for name in names):
        return False
    return isinstance(node, Windowed) or _one_pitch(plan, names)


def _whole_planes(plan: Distribution, name: str) -> bool:
    """Tell whether a tensor lies in planes, of which none is cut, and in one place."""
    pixels, layout = plan.graph.pixels.get(name), plan.layouts[name]
    if pixels is None or plan.graph.is_view(name):
        return False
    return layout.firsts == tuple(range(0, layout.size, pixels))


def _one_pitch(plan: Distribution, names: tuple[str, ...]) -> bool:
    """Tell whether an instruction may run over all planes of tensors with what is between them."""
    layouts = [plan.layouts[name] for name in names]
    pitches = {each.words[1] * each.word_bits // each.bits for each in layouts}
    return len(pitches) == 1 and all(each.loose or each.fills(0) for each in layouts)


def _group(plan: Distribution, nodes: tuple[Cuttable, ...]) -> Group:
    head, layouts = nodes[0], plan.layouts
    made = {node.output.name for node in nodes}
    inputs = dict.fromkeys(n for node in nodes for n in inputs_of(node) if n not in made)
    output = nodes[-1].output
    cut = [output.name, *made, *(n for n in inputs if n not in inputs_of(head))]
    if not isinstance(head, Windowed):
        cut += inputs_of(head)
    word_bits = layouts[output.name].word_bits
    planar = output.name in plan.graph.pixels
    if isinstance(head, Windowed):
        shape = head.geometry
        rows, row = shape.out_height, shape.out_width * (1 if planar else shape.filters)
    else:
        row = max(word_bits // layouts[name].bits for name in cut)
        rows = -(-plane_size(plan, output.name) // row)
    step = math.lcm(*(_whole_words(row, layouts[name].bits, word_bits) for name in cut))
    pitched = {output.name, *cut} - {node.output.name for node in nodes[:-1]}
    return Group(
        nodes, tuple(inputs), output.name, rows, row, step, planar,
        tuple(sorted(pitched)) if planar else (),
    )  # fmt: skip


def plane_size(plan: Distribution, name: str) -> int:
    """Return the elements of a tensor's plane, or of all of it."""
    return plan.graph.pixels.get(name, plan.layouts[name].size)


def plane_words(plan: Distribution, name: str) -> int:
    """Return the words from one plane of a tensor to the next, or of all of it."""
    layout = plan.layouts[name]
    return layout.words[1] if name in plan.graph.pixels else layout.words[-1]


def planes_of(plan: Distribution, name: str) -> int:
    """Return a tensor's planes; one that is not planar is a single one."""
    return plan.layouts[name].size // plane_size(plan, name)


def _whole_words(elements: int, bits: int, word_bits: int) -> int:
    """Return the least number of rows of so many elements that fill words."""
    return word_bits // math.gcd(elements * bits, word_bits)


def tiles_of(group: Group, rows: int) -> list[Rows]:
    """Cut a group's output into tiles of at most `rows` rows, a multiple of its step."""
    return [Rows(at, min(at + rows, group.rows)) for at in range(0, group.rows, rows)]


def elements_of(plan: Distribution, group: Group, tile: Rows, name: str) -> Elements:
    """Return what a tile needs, or makes, of a tensor."""
    layout = plan.layouts[name]
    if isinstance(group.head, Windowed) and name == group.head.a:
        shape = group.head.geometry
        row = shape.width * (1 if group.planar else shape.channels)
        under = rows_under(shape, tile, _whole_words(row, layout.bits, layout.word_bits))
        return Elements(name, under.first * row, min(under.end * row, plane_size(plan, name)))
    row = group.row_elements
    return Elements(name, tile.first * row, min(tile.end * row, plane_size(plan, name)))


def span_words(plan: Distribution, span: Elements) -> range:
    """Return the words of a tensor, or of each plane, from its first on, that elements lie in."""
    layout = plan.layouts[span.tensor]
    first = span.first * layout.bits // layout.word_bits
    return range(first, words_of(span.end, layout.bits, layout.word_bits))


def tile_words(plan: Distribution, span: Elements) -> int:
    """Return the words that elements take of a buffer, in all planes."""
    return planes_of(plan, span.tensor) * len(span_words(plan, span))


@dataclass(frozen=True)
class Place:
    """Where a tile's part of a tensor is: some words of each plane, one plane behind the other.

    address: of the first; words: of a plane, that are there; plane_words: of a whole one.
    """

    address: int
    words: range
    plane_words: int

    def at(self, word: int) -> int:
        """Return the address of a word of the whole tensor, of those that are there."""
        plane, inside = divmod(word, self.plane_words)
        return self.address + plane * len(self.words) + inside - self.words.start


def rows_under(shape: Geometry, tile: Rows, step: int) -> Rows:
    """Return the input rows that rows of output need, from and to multiples of `step` rows.

    A tile that sees only padding still has some rows.
    """
    first = tile.first * shape.stride[0] - shape.padding[0]
    end = (tile.end - 1) * shape.stride[0] - shape.padding[0] + shape.reach[0]
    first = min(max(first, 0), shape.height - 1) // step * step
    end = max(min(end, shape.height), first + 1)
    return Rows(first, min(-(-end // step) * step, shape.height))


def tile_window(window: Window, tile: Rows, under: Rows) -> Window:
    """Return the window that makes rows of output from the input's rows `under` them alone.

    Rows of padding above, or rows that are not needed, are left out of what it computes.
    """
    reach = window.dilation_y * (window.kernel_height - 1) + 1
    # where the first place of the first row lies, counted from the first row that is there
    start = tile.first * window.stride_y - window.top - under.first
    first = max(0, -(-start // window.stride_y))
    top = first * window.stride_y - start
    rows, height = tile.end - tile.first, under.end - under.first
    last = (first + rows - 1) * window.stride_y + reach
    return replace(
        window, height=height, top=top, bottom=max(0, last - top - height), first_row=first,
        rows=rows,
    )  # fmt: skip


def tile_steps(group: Group) -> Iterator[int]:
    """Yield the numbers of rows that tiles may have, from few tiles to many."""
    most = -(-group.rows // LEAST_TILES)
    yield from range(-(-most // group.step) * group.step, 0, -group.step)
