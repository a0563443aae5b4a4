"""Accumulators to activations: how each row of a product is requantised, in which instruction."""

from dataclasses import dataclass

import numpy as np

from spusim.compiler.code import Op, vector_op
from spusim.compiler.matrix_tiles import RowRun
from spusim.compiler.memory import SCALE_ALIGN_WORDS, Vector
from spusim.compiler.modes import drawing, rounding_of, zero_points
from spusim.compiler.space import CoreSpace
from spusim.network.records import Head, Product, Requant
from spusim.numerics import MOST_RIGHT
from spusim.program import TABLE_NONE


@dataclass(frozen=True)
class Strip:
    """Rows of a head that a core computes and that come to lie together."""

    head: int
    first: int  # row of the head
    rows: int


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


def scaling_of(space: CoreSpace, node: Product, strip: Strip, run: RowRun) -> Scaling:
    """Return how a run of a strip's rows is requantised, with its scale entries placed."""
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


def requantise(
    space: CoreSpace, node: Product, strip: Strip, scaling: Scaling, target: int, window: int
) -> Op:
    """Return the instruction for a run of a window's rows; target: the strip's first word."""
    run, head = scaling.run, node.heads[strip.head]
    bits = head.output.quantum.bits
    whole = Vector(target, strip.rows, bits, space.data.word_bits)
    rounding = rounding_of(space.arch, node.rounding)
    state: dict[str, int | str] = {"len": run.rows, "wd": bits, "rounding": rounding}
    operands = {"d": whole.part(run.offset, run.rows).address, "acc": run.acc}
    operands["table"] = _head_table(space, head)
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


def _head_table(space: CoreSpace, head: Head) -> int:
    """Return the operand `table` of a head's function."""
    if head.function is None:
        return TABLE_NONE
    return space.tables.of(head.function, head.entry or head.output.quantum, head.output.quantum)
