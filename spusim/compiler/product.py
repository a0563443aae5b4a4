"""Matrix-vector products: rows tiled over accumulators, columns over buffers, and requantised."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spusim.arch import Arch
from spusim.compiler.code import Op, vector_op
from spusim.compiler.copying import CopyingProduct
from spusim.compiler.distribution import Distribution
from spusim.compiler.errors import CompileError
from spusim.compiler.memory import SCALE_ALIGN_WORDS, Vector
from spusim.compiler.merge import operand_name, void_elements
from spusim.compiler.modes import drawing, position, rounding_of, zero_points
from spusim.compiler.normalising import normalisation, normalised_place
from spusim.compiler.places import Places
from spusim.compiler.space import CoreSpace
from spusim.compiler.split import elements_per_word, group_rows
from spusim.compiler.storage import StoredMatrix, column_tiles, layout_for, tile_format
from spusim.network.graph import head_rows
from spusim.network.records import Head, Product, Requant
from spusim.program import TABLE_NONE, Operand

MOST_RIGHT = 62


@dataclass(frozen=True)
class RowRun:
    """Rows of a tile that one instruction requantises: consecutive rows of one strip."""

    strip: int
    offset: int  # in the strip
    acc: int  # first accumulator row
    rows: int


@dataclass(frozen=True)
class Strip:
    """Rows of a head that a core computes and that come to lie together."""

    head: int
    first: int  # row of the head
    rows: int


@dataclass(frozen=True)
class Group:
    """Windows with the same strips, whose elements lie alike, so that they share matrices.

    columns (columns,): places of the window's elements from its first word on. windows: their
    first elements, of an operand of `size` elements of `bits` with a zero point, planar where gaps
    are what planes of `pixels` leave of words; numbers: which of the product's they are.
    sources: first word of each window; targets: first word of each strip, window by window.
    """

    strips: tuple[Strip, ...]
    columns: np.ndarray
    windows: tuple[int, ...]
    numbers: tuple[int, ...]
    size: int
    bits: int
    zero_point: int
    sources: tuple[int, ...]
    targets: tuple[tuple[int, ...], ...]
    planar: bool = False
    pixels: int = 1


@dataclass(frozen=True)
class Scaling:
    """How rows are requantised; `scale` is a word address, None for `vqs`.

    most_right: the largest shift.
    """

    run: RowRun
    mnemonic: str
    shift: int
    scale: int | None
    most_right: int


class Named(Protocol):
    """Whose matrix is stored: a product, or a layer on its own."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def layer(self) -> str:
        """The layer that it is of, for people."""

    @property
    def weight_bits(self) -> int:
        """Bits of a weight."""

    @property
    def codebook(self) -> tuple[int, ...]:
        """Entries that its weights are indices of; empty: they are integers."""


Columns = tuple[tuple[StoredMatrix, int], ...]  # (matrix, first column)


def row_tiles(sizes: tuple[int, ...], most_rows: int, step: int) -> tuple[tuple[RowRun, ...], ...]:
    """Cut strips of `sizes` rows into tiles of at most `most_rows`, at multiples of `step`.

    `step` counts within a strip; most_rows must be at least step.
    """
    tiles: list[list[RowRun]] = [[]]
    used = 0
    for strip, size in enumerate(sizes):
        offset = 0
        while offset < size:
            rows = min(size - offset, most_rows - used)
            if rows < size - offset:
                rows -= rows % step
            if rows:
                tiles[-1].append(RowRun(strip, offset, used, rows))
            offset, used = offset + rows, used + rows
            if offset < size:
                tiles.append([])
                used = 0
    return tuple(tuple(tile) for tile in tiles)


def most_tile_rows(arch: Arch, step: int, name: str) -> int:
    """Return the rows of a matrix that the accumulators of a core hold.

    Raises CompileError where they do not even hold `step`.
    """
    group = group_rows(arch)
    rows = arch.core.pes * (arch.core.accumulators // group * group)
    if rows < step:
        raise CompileError(
            f"{arch.name}: layer {name} must be cut at multiples of {step} rows, and core.pes x "
            f"core.accumulators (={arch.core.pes} x {arch.core.accumulators}) hold {rows} of them; "
            f"give each PE {-(-step // arch.core.pes // group) * group} accumulators"
        )
    return rows


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
    found: dict[tuple[tuple[Strip, ...], bytes], list[tuple[int, int, int, tuple[int, ...]]]] = {}
    for number, first in enumerate(node.windows):
        where = everywhere[first : first + node.weight.shape[1]]
        word = int(where[0]) // per_word
        columns = where - word * per_word
        strips, targets = _strips(space, node, number, plan, places)
        if strips:
            key = (strips, columns.astype(np.int64).tobytes())
            found.setdefault(key, []).append((first, number, operand.address + word, targets))
    groups = []
    for (strips, columns_bytes), members in found.items():
        windows, numbers, sources, targets_of = zip(*members, strict=True)
        columns = np.frombuffer(columns_bytes, np.int64)
        groups.append(
            Group(
                strips, columns, windows, numbers, layout.size, operand.bits, zero_point, sources,
                targets_of,
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
        scalings = [_scaling(space, node, group.strips[run.strip], run) for run in tile]
        for window, source, targets in zip(
            group.numbers, group.sources, group.targets, strict=True
        ):
            ops += lower_matrix(space, columns, source, group.zero_point, begin)
            ops += [
                _requantise(space, node, group.strips[s.run.strip], s, targets[s.run.strip], window)
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
    runs = _runs(group.columns)
    operand = Operand(operand_name(node), group.size, group.windows, runs, group.pixels)

    def void(first: int, end: int) -> int:
        begin, stop = np.searchsorted(group.columns, (first, end))
        gaps = (end - first - int(stop - begin)) * len(rows) if group.planar else 0
        return gaps + void_elements(node, rows, np.arange(begin, stop))

    return store_tile(space, name, node, weight, bias, group.bits, operand, void)


def _runs(columns: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Return (place, first column, columns) of columns that lie together; columns (n,) rising.

    In front of a window that begins within a word are the elements before it.
    """
    before = int(columns[0])
    begins = np.flatnonzero(np.diff(columns, prepend=columns[0] - 2) != 1)
    ends = [*begins[1:], len(columns)]
    runs = [
        (int(columns[begin]), int(begin), int(end - begin))
        for begin, end in zip(begins, ends, strict=True)
    ]
    runs[0] = (0, -before, before + runs[0][2])
    return tuple(runs)


def _scaling(space: CoreSpace, node: Product, strip: Strip, run: RowRun) -> Scaling:
    head = node.heads[strip.head]
    first = strip.first + run.offset
    multiplier, shift = requant_rows(head.requant, slice(first, first + run.rows))
    if len(multiplier) > 1:
        # What shifts left has multiplier 1, and scale entries shift right only.
        left = np.maximum(-shift, 0)
        name = f"{head.output.name}.scale.{first}"
        scale = space.scale(name, multiplier << left, np.maximum(shift, 0))
        return Scaling(run, "vqc", 0, scale, int(shift.max()))
    if multiplier[0] > 1:
        scale = space.scale(f"{node.name}.scale", multiplier, shift)
        return Scaling(run, "vqm", 0, scale, int(shift[0]))
    return Scaling(run, "vqs", int(shift[0]), None, int(shift[0]))


def requant_rows(requant: Requant, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return (multiplier, shift) of rows: one each where all rows agree."""
    pair = [x if len(x) == 1 else x[rows] for x in (requant.multiplier, requant.shift)]
    multiplier, shift = np.broadcast_arrays(*pair)
    if (multiplier == multiplier[0]).all() and (shift == shift[0]).all():
        return multiplier[:1], shift[:1]
    return multiplier, shift


def store_tile(
    space: CoreSpace, name: str, node: Named, weight: np.ndarray, bias: np.ndarray | None,
    activation_bits: int, operand: Operand, void: Callable[[int, int], int] = lambda *_: 0,
) -> Columns:  # fmt: skip
    """Store a tile of rows, (rows, columns), as a matrix per tile of columns; bias in the first.

    void: elements of columns [first, end) that are zero only because products were merged, or
    planes do not fill their words.
    """
    arch = space.arch
    form = tile_format(arch, space.formats[node.name], weight, node.weight_bits, node.codebook)
    layout = layout_for(arch, form, node.weight_bits, bias is not None, node.codebook)
    unbiased = layout_for(arch, form, node.weight_bits, False, node.codebook)
    codebook = space.tables.codebook(node.codebook)
    cuts = [
        (begin + first, begin + end)
        for begin, columns in _parts(arch, operand, weight.shape[1])
        for first, end in column_tiles(
            arch,
            layout,
            (len(weight), columns),
            activation_bits,
            node.layer,
            space.check_capacity,
            space.slicing(node.name).index_words,
        )
    ]
    stored = []
    for first, end in cuts:
        tile_name = f"{name}.c{first}" if len(cuts) > 1 else name
        tile_bias, tile_layout = (bias, layout) if first == 0 else (None, unbiased)
        tile = space.matrices.add(
            tile_name, node.layer, weight[:, first:end], tile_bias, tile_layout, activation_bits,
            operand.part(first, end), void(first, end), codebook,
        )  # fmt: skip
        stored.append((tile, first))
    return tuple(stored)


def _parts(arch: Arch, operand: Operand, columns: int) -> Iterator[tuple[int, int]]:
    """Yield the first column and the columns of what must be in matrices of its own.

    A gap in an operand is no dense position, so no matrix goes across it where those are counted.
    """
    if not arch.numerics.partial_sums.every:
        yield 0, columns
        return
    for at, _, count in operand.runs:
        yield at, count


def lower_matrix(
    space: CoreSpace, columns: Columns, source: int, zero_point: int = 0, begin: int = 0
) -> list[Op]:
    """Return the matrix-vector instructions of a tile of rows: the first starts, others go on.

    begin: dense position of the operand's first element.
    """
    ops = []
    for tile, first in columns:
        onward = "a" if first else ""
        position_ = begin + tile.operand.runs[0][1] - tile.operand.runs[0][0]
        operands = {
            "m": tile.number,
            "src": source + first // elements_per_word(space.arch, tile.activation_bits),
            "acc": 0,
        }
        ops.append(
            Op(
                tile.mnemonic + onward,
                f"{tile.name}: {tile.packed.rows} rows x {tile.packed.columns} columns",
                operands,
                modes={**zero_points(operand=zero_point), **position(space.arch, position_)},
            )
        )
    return ops


def _requantise(
    space: CoreSpace, node: Product, strip: Strip, scaling: Scaling, target: int, window: int
) -> Op:
    run, head = scaling.run, node.heads[strip.head]
    bits = head.output.quantum.bits
    whole = Vector(target, strip.rows, bits, space.data.word_bits)
    rounding = rounding_of(space.arch, node.rounding)
    state: dict[str, int | str] = {"len": run.rows, "wd": bits, "rounding": rounding}
    operands = {"d": whole.part(run.offset, run.rows).address, "acc": run.acc}
    operands["table"] = head_table(space, head)
    if scaling.scale is None:
        state["sd"] = scaling.shift
    else:
        operands["scale"] = scaling.scale // SCALE_ALIGN_WORDS
    first = strip.first + run.offset
    shown = head.output.name.removeprefix(f"{node.layer}.")
    comment = f"{node.name}: {shown} {first} to {first + run.rows - 1}"
    output = window * len(node.weight) + head.first + first
    most_right = MOST_RIGHT if node.normalised_bits else scaling.most_right
    modes = {
        **zero_points(result=head.output.quantum.zero_point),
        **drawing(space.arch, node.name, node.rounding, output, most_right),
        **({} if node.normalised_bits else {"nset": {"shift": 0}}),
    }
    return vector_op(scaling.mnemonic, comment, state, modes, **operands)


def head_table(space: CoreSpace, head: Head) -> int:
    """Return the operand `table` of a head's function."""
    if head.function is None:
        return TABLE_NONE
    return space.tables.of(head.function, head.entry or head.output.quantum, head.output.quantum)
