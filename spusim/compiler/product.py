"""Matrix-vector products: windows that share matrices, tile by tile multiplied and requantised."""

import math
from dataclasses import dataclass

import numpy as np

from spusim.compiler.code import Op
from spusim.compiler.copying import CopyingProduct
from spusim.compiler.distribution import Distribution
from spusim.compiler.matrix_tiles import (
    Columns,
    RowRun,
    lower_matrix,
    most_tile_rows,
    row_tiles,
    store_tile,
)
from spusim.compiler.memory import Vector
from spusim.compiler.merge import operand_name, void_elements
from spusim.compiler.normalising import normalisation, normalised_place
from spusim.compiler.places import Places
from spusim.compiler.requantising import Strip, requantise, scaling_of
from spusim.compiler.space import CoreSpace
from spusim.compiler.split import elements_per_word, group_rows
from spusim.network.graph import head_rows
from spusim.network.records import Product
from spusim.program import Operand


@dataclass(frozen=True)
class Group:
    """Windows with the same strips, whose elements lie alike, so that they share matrices.

    read (elements,): places of elements from a window's first word on, of which `before` are in
    front of the window. windows: their first elements, of an operand of `size` elements of `bits`
    with a zero point, planar where gaps are what planes of `pixels` leave of words; numbers: which
    of the product's they are.
    sources: first word of each window; targets: first word of each strip, window by window.
    """

    strips: tuple[Strip, ...]
    read: np.ndarray
    before: int
    windows: tuple[int, ...]
    numbers: tuple[int, ...]
    size: int
    bits: int
    zero_point: int
    sources: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]
    planar: bool = False
    pixels: int = 1

    @property
    def columns(self) -> np.ndarray:
        """Places of the window's elements, (columns,)."""
        return self.read[self.before :]


def lower_product(space: CoreSpace, node: Product, plan: Distribution, places: Places) -> list[Op]:
    """Store a core's rows of a product, and return its instructions.

    Each tile of rows is requantised before the next one starts.
    """
    operand, ops = places.operands[node.input], list[Op]()
    if node.normalised_bits:
        source, operand = operand, normalised_place(space, node, operand)
        ops.append(normalisation(space, node, source, operand))
    groups = _groups(space, node, plan, places, operand)
    for number, group in enumerate(groups):
        name = node.name if len(groups) == 1 else f"{node.name}.w{number}"
        ops += _lower_group(space, node, name, group)
    return ops


def _groups(
    space: CoreSpace, node: Product, plan: Distribution, places: Places, operand: Vector
) -> tuple[Group, ...]:
    """Put a product's windows together that can share matrices; operand: where its input lies."""
    layout = plan.layouts[node.input]
    everywhere = layout.places()
    per_word = elements_per_word(space.arch, operand.bits)
    zero_point = plan.graph.tensors[node.input].quantum.zero_point
    found: dict[
        tuple[tuple[Strip, ...], int, bytes], list[tuple[int, int, int, tuple[int, ...]]]
    ] = {}
    for number, first in enumerate(node.windows):
        word = int(everywhere[first]) // per_word
        begin = int(np.searchsorted(everywhere, word * per_word))
        read = everywhere[begin : first + node.weight.shape[1]] - word * per_word
        strips, targets = _strips(space, node, number, plan, places)
        if strips:
            key = (strips, first - begin, read.astype(np.int64).tobytes())
            found.setdefault(key, []).append((first, number, operand.address + word, targets))
    groups = []
    for (strips, before, read_bytes), members in found.items():
        windows, numbers, sources, targets_of = zip(*members, strict=True)
        read = np.frombuffer(read_bytes, np.int64)
        groups.append(
            Group(
                strips, read, before, windows, numbers, layout.size, operand.bits, zero_point,
                sources, targets_of,
                layout.planar,
                plan.graph.pixels.get(node.input, 1),
            )
        )  # fmt: skip
    return tuple(groups)


def _strips(
    space: CoreSpace, node: Product, window: int, plan: Distribution, places: Places
) -> tuple[tuple[Strip, ...], tuple[int, ...]]:
    """Return a core's strips of a window's rows, and the word at which each comes out."""
    strips: list[Strip] = []
    targets: list[int] = []
    for number, (head, rows) in enumerate(zip(node.heads, head_rows(node), strict=True)):
        name, layout = head.output.name, plan.layouts[head.output.name]
        for piece in layout.span(window * rows, rows):
            if space.core not in plan.workers[name][piece]:
                continue
            address = places.words[name, piece]
            strip = Strip(number, layout.firsts[piece] - window * rows, layout.sizes[piece])
            if strips and _goes_on(strips[-1], targets[-1], strip, address, layout.bits, space):
                last = strips.pop()
                strips.append(Strip(number, last.first, last.rows + strip.rows))
            else:
                strips.append(strip)
                targets.append(address)
    return tuple(strips), tuple(targets)


def _goes_on(
    last: Strip, target: int, strip: Strip, address: int, bits: int, space: CoreSpace
) -> bool:
    words, rest = divmod(last.rows * bits, space.data.word_bits)
    follows = last.head == strip.head and last.first + last.rows == strip.first
    return follows and not rest and target + words == address


def _lower_group(space: CoreSpace, node: Product, name: str, group: Group) -> list[Op]:
    arch = space.arch
    widths = {node.heads[strip.head].output.quantum.bits for strip in group.strips}
    step = math.lcm(group_rows(arch), *(elements_per_word(arch, bits) for bits in widths))
    sizes = tuple(strip.rows for strip in group.strips)
    most = min(most_tile_rows(arch, step, node.name), space.slicing(node.name).rows)
    tiles = row_tiles(sizes, max(most, step), step)
    # What copies ends in front of position 0, so that no boundary changes it.
    begin = -node.weight.shape[1] if isinstance(node, CopyingProduct) else 0
    ops: list[Op] = []
    for number, tile in enumerate(tiles):
        tile_name = f"{name}.r{number}" if len(tiles) > 1 else name
        columns = _store_rows(space, node, tile_name, group, tile)
        scalings = [scaling_of(space, node, group.strips[run.strip], run) for run in tile]
        for window, source, targets in zip(
            group.numbers, group.sources, group.targets, strict=True
        ):
            ops += lower_matrix(space, columns, source, group.zero_point, begin)
            ops += [
                requantise(space, node, group.strips[s.run.strip], s, targets[s.run.strip], window)
                for s in scalings
            ]
    return ops


def _store_rows(
    space: CoreSpace, node: Product, name: str, group: Group, tile: tuple[RowRun, ...]
) -> Columns:
    """Store the rows of a tile, with zero columns where the operand has gaps."""
    rows = np.concatenate(
        [
            node.heads[strip.head].first + strip.first + run.offset + np.arange(run.rows)
            for run in tile
            for strip in (group.strips[run.strip],)
        ]
    )
    weight = node.weight[rows]
    if group.columns[-1] + 1 != len(group.columns):
        weight = np.zeros((len(rows), group.columns[-1] + 1), node.weight.dtype)
        weight[:, group.columns] = node.weight[rows]
    bias = None if node.bias is None else node.bias[rows]
    runs = _runs(group.read, group.before)
    operand = Operand(operand_name(node), group.size, group.windows, runs, group.pixels)

    def void(first: int, end: int) -> int:
        begin, stop = np.searchsorted(group.columns, (first, end))
        gaps = (end - first - int(stop - begin)) * len(rows) if group.planar else 0
        return gaps + void_elements(node, rows, np.arange(begin, stop))

    return store_tile(space, name, node, weight, bias, group.bits, operand, void)


def _runs(read: np.ndarray, before: int) -> tuple[tuple[int, int, int], ...]:
    """Return (place, element, elements) of elements that lie together; read (n,) rising.

    Elements are counted from the window's first, in front of which are `before` of them.
    """
    begins = np.flatnonzero(np.diff(read, prepend=read[0] - 2) != 1)
    ends = [*begins[1:], len(read)]
    return tuple(
        (int(read[begin]), int(begin) - before, int(end - begin))
        for begin, end in zip(begins, ends, strict=True)
    )
