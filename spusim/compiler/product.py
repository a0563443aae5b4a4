"""Matrix-vector products: rows tiled over accumulators, columns over buffers, and requantised.

Linear and Lstm share this. The rows of a core are those of its part of every gate, gate after gate
(a Linear has one gate).
"""

import math
from dataclasses import dataclass

import numpy as np

from spusim.arch import Arch
from spusim.compiler.code import Op, op, vector_op
from spusim.compiler.errors import CompileError
from spusim.compiler.memory import SCALE_ALIGN_WORDS, Vector
from spusim.compiler.space import CoreSpace
from spusim.compiler.stages import Part, elements_per_word, group_rows
from spusim.compiler.storage import StoredMatrix, column_tiles, layout_for
from spusim.network.records import Linear, Lstm, Requant


@dataclass(frozen=True)
class RowRun:
    """Rows of a tile that one instruction requantises: consecutive outputs of one gate."""

    gate: int
    offset: int  # in the core's part of the gate
    acc: int  # first accumulator row
    rows: int


@dataclass(frozen=True)
class Scaling:
    """How a run is requantised; `scale` is a word address, None for `vqs`."""

    run: RowRun
    mnemonic: str
    shift: int
    scale: int | None


@dataclass(frozen=True)
class RowTile:
    """Rows that fill the accumulators once: a matrix per tile of columns, then the scalings."""

    columns: tuple[tuple[StoredMatrix, int], ...]  # (matrix, first column)
    scalings: tuple[Scaling, ...]


@dataclass(frozen=True)
class ProductPlan:
    """All that a core computes of M x, and from where."""

    name: str
    operand: Vector
    tiles: tuple[RowTile, ...]


@dataclass(frozen=True)
class GateOutput:
    """Where a gate's requantised rows go, through which table; gate is its name, maybe empty."""

    gate: str
    vector: Vector
    table: int


def row_tiles(gates: int, size: int, most_rows: int, step: int) -> tuple[tuple[RowRun, ...], ...]:
    """Cut `gates` times `size` rows into tiles of at most `most_rows`, at multiples of `step`.

    `step` counts within a gate; most_rows must be at least step.
    """
    tiles: list[list[RowRun]] = [[]]
    used = 0
    for gate in range(gates):
        offset = 0
        while offset < size:
            rows = min(size - offset, most_rows - used)
            if rows < size - offset:
                rows -= rows % step
            if rows:
                tiles[-1].append(RowRun(gate, offset, used, rows))
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


def plan_scalings(
    space: CoreSpace, layer: Linear | Lstm, part: Part, bits: int
) -> tuple[tuple[Scaling, ...], ...]:
    """Cut a core's rows into tiles, and store the scale entries of their runs.

    bits: of the vectors that requantised rows go to, which are cut at words.
    """
    arch = space.arch
    gates = 4 if isinstance(layer, Lstm) else 1
    step = math.lcm(group_rows(arch), elements_per_word(arch, bits))
    tiles = row_tiles(gates, part.size, most_tile_rows(arch, step, layer.name), step)
    return tuple(tuple(_scaling(space, layer, gates, part, run) for run in tile) for tile in tiles)


def gate_rows(layer: Linear | Lstm, gates: int, part: Part, run: RowRun) -> slice:
    """Return the rows of a layer's weight that a run of a core's part is."""
    first = len(layer.weight) // gates * run.gate + part.offset + run.offset
    return slice(first, first + run.rows)


def _scaling(
    space: CoreSpace, layer: Linear | Lstm, gates: int, part: Part, run: RowRun
) -> Scaling:
    multiplier, shift = _rows_of(layer.requant, gate_rows(layer, gates, part, run))
    if len(multiplier) > 1:
        name = f"{layer.name}.scale.{run.gate}.{run.offset}"
        return Scaling(run, "vqc", 0, space.scale(name, multiplier, shift))
    if multiplier[0] > 1:
        return Scaling(run, "vqm", 0, space.scale(f"{layer.name}.scale", multiplier, shift))
    return Scaling(run, "vqs", int(shift[0]), None)


def _rows_of(requant: Requant, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return (multiplier, shift) of rows: one each where all rows agree."""
    pair = [x if len(x) == 1 else x[rows] for x in (requant.multiplier, requant.shift)]
    multiplier, shift = np.broadcast_arrays(*pair)
    if (multiplier == multiplier[0]).all() and (shift == shift[0]).all():
        return multiplier[:1], shift[:1]
    return multiplier, shift


def plan_product(
    space: CoreSpace,
    layer: Linear | Lstm,
    part: Part,
    operand: Vector,
    weight: np.ndarray,
    scalings: tuple[tuple[Scaling, ...], ...],
) -> ProductPlan:
    """Pack a core's tiles. weight (all rows, columns): the layer's, as the operand lies."""
    gates = 4 if isinstance(layer, Lstm) else 1
    tiles = []
    for number, tile in enumerate(scalings):
        rows = np.concatenate(
            [np.arange(len(weight))[gate_rows(layer, gates, part, s.run)] for s in tile]
        )
        bias = None if layer.bias is None else layer.bias[rows]
        name = f"{layer.name}.r{number}" if len(scalings) > 1 else layer.name
        columns = store_tile(
            space, name, layer.name, weight[rows], bias, layer.weight_bits, layer.input.bits
        )
        tiles.append(RowTile(columns, tile))
    return ProductPlan(layer.name, operand, tuple(tiles))


def store_tile(
    space: CoreSpace, name: str, layer: str, weight: np.ndarray, bias: np.ndarray | None,
    weight_bits: int, activation_bits: int,
) -> tuple[tuple[StoredMatrix, int], ...]:  # fmt: skip
    """Store a tile of rows, (rows, columns), as a matrix per tile of columns; bias in the first."""
    arch, form = space.arch, space.formats[layer]
    layout = layout_for(arch, form, weight_bits, bias is not None)
    unbiased = layout_for(arch, form, weight_bits, False)
    cuts = column_tiles(arch, layout, weight.shape, activation_bits, layer, space.check_capacity)
    stored = []
    for first, end in cuts:
        tile_name = f"{name}.c{first}" if len(cuts) > 1 else name
        tile_bias, tile_layout = (bias, layout) if first == 0 else (None, unbiased)
        tile = space.matrices.add(
            tile_name, layer, weight[:, first:end], tile_bias, tile_layout, activation_bits
        )
        stored.append((tile, first))
    return tuple(stored)


def lower_matrix(columns: tuple[tuple[StoredMatrix, int], ...], operand: Vector) -> list[Op]:
    """Return the matrix-vector instructions of a tile of rows: the first starts, others go on."""
    ops = []
    for tile, first in columns:
        onward = "a" if first else ""
        ops.append(
            op(
                tile.mnemonic + onward,
                f"{tile.name}: {tile.packed.rows} rows x {tile.packed.columns} columns",
                m=tile.number,
                src=operand.part(first, tile.packed.columns).address,
                acc=0,
            )
        )
    return ops


def lower_product(plan: ProductPlan, outputs: tuple[GateOutput, ...]) -> list[Op]:
    """Return a product's instructions; each tile is requantised before the next one starts."""
    ops: list[Op] = []
    for tile in plan.tiles:
        ops += lower_matrix(tile.columns, plan.operand)
        ops += [_requantise(plan.name, s, outputs[s.run.gate]) for s in tile.scalings]
    return ops


def _requantise(name: str, scaling: Scaling, output: GateOutput) -> Op:
    run = scaling.run
    target = output.vector.part(run.offset, run.rows)
    state = {"len": run.rows, "wd": target.bits}
    operands = {"d": target.address, "acc": run.acc, "table": output.table}
    if scaling.scale is None:
        state["sd"] = scaling.shift
    else:
        operands["scale"] = scaling.scale // SCALE_ALIGN_WORDS
    comment = f"{name}: {output.gate or 'outputs'} {run.offset} to {run.offset + run.rows - 1}"
    return vector_op(scaling.mnemonic, comment, state, **operands)
