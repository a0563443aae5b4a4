"""Tiles of a matrix: rows that fit accumulators, columns that fit buffers; stored, multiplied."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spusim.arch import Arch
from spusim.compiler.code import Op
from spusim.compiler.errors import CompileError
from spusim.compiler.modes import position, zero_points
from spusim.compiler.space import CoreSpace
from spusim.compiler.split import elements_per_word, group_rows
from spusim.compiler.storage import StoredMatrix, column_tiles, layout_for, tile_format
from spusim.program import Operand


@dataclass(frozen=True)
class RowRun:
    """Rows of a tile that one instruction requantises: consecutive rows of one strip."""

    strip: int
    offset: int  # in the strip
    acc: int  # first accumulator row
    rows: int


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
        for begin, columns in _parts(arch, operand, weight.shape[1], node.layer, activation_bits)
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


def _parts(
    arch: Arch, operand: Operand, columns: int, layer: str, bits: int
) -> Iterator[tuple[int, int]]:
    """Yield the first column and the columns of what must be in matrices of its own.

    A gap in an operand is no dense position, so no matrix goes across it where those are counted.
    Raises CompileError for what does not begin with a word of elements of `bits`.
    """
    if not arch.numerics.partial_sums.every:
        yield 0, columns
        return
    for at, _, count in operand.runs:
        if at % elements_per_word(arch, bits):
            raise CompileError(
                f"{arch.name}: layer {layer} brings its inputs to {bits} bits, of which parts "
                f"begin within a word there, and numerics.partial_sums.every "
                f"(={arch.numerics.partial_sums.every}) counts the positions of each part; set it "
                "to 0, or bring them to as many bits as they have"
            )
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
