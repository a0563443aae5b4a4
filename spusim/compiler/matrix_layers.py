"""Linear and Lstm: what each needs on a core, and its instructions."""

from dataclasses import dataclass

import numpy as np

from spusim.compiler.code import Op, vector_op
from spusim.compiler.memory import Vector
from spusim.compiler.product import (
    GateOutput,
    ProductPlan,
    Scaling,
    lower_product,
    plan_product,
)
from spusim.compiler.space import CoreSpace
from spusim.compiler.stages import Part
from spusim.network.records import Activation, Linear, Lstm, Quantum
from spusim.program import TABLE_NONE

GATES = ("i", "f", "g", "o")
GATE_FUNCTIONS = ("sigmoid", "sigmoid", "tanh", "sigmoid")
GATE_OUTPUT = Quantum(16, -15)
CELL_BITS = 16


@dataclass(frozen=True)
class Place:
    """Where a matrix layer works on a core: its part, its operand, its scalings, its output.

    `hidden` is where an Lstm's new state goes, `fused` what a Linear's requantisation applies.
    """

    part: Part
    operand: Vector
    scalings: tuple[tuple[Scaling, ...], ...]
    output: Vector
    fused: Activation | None = None


@dataclass(frozen=True)
class LinearPlan:
    """A Linear on a core, with the activation that it applies on the way."""

    product: ProductPlan
    output: GateOutput


@dataclass(frozen=True)
class LstmPlan:
    """An Lstm on a core: gates, state and temporaries of its hidden units."""

    name: str
    product: ProductPlan
    gates: tuple[GateOutput, ...]
    cell: Vector
    kept: Vector
    added: Vector
    cell_table: int
    added_shift: int
    hidden: Vector
    hidden_shift: int


def plan_linear(space: CoreSpace, layer: Linear, place: Place) -> LinearPlan:
    """Store a Linear's rows; its activation's table applies to the requantised sums."""
    product = plan_product(space, layer, place.part, place.operand, layer.weight, place.scalings)
    table = TABLE_NONE
    if place.fused:
        table = space.tables.number(place.fused.function, layer.output.exponent, place.fused.output)
    return LinearPlan(product, GateOutput("", place.output, table))


def lower_linear(plan: LinearPlan) -> list[Op]:
    """Return a Linear's instructions."""
    return lower_product(plan.product, (plan.output,))


def padded_weight(layer: Lstm, operand_columns: int) -> np.ndarray:
    """Return W with zero columns where x is filled up to a word: (4H, operand_columns)."""
    inputs = layer.weight.shape[1] - layer.hidden
    weight = np.zeros((len(layer.weight), operand_columns), layer.weight.dtype)
    weight[:, :inputs] = layer.weight[:, :inputs]
    weight[:, operand_columns - layer.hidden :] = layer.weight[:, inputs:]
    return weight


def plan_lstm(space: CoreSpace, layer: Lstm, place: Place) -> LstmPlan:
    """Store the rows of all four gates of a core's hidden units, and give its vectors room."""
    weight = padded_weight(layer, place.operand.elements)
    product = plan_product(space, layer, place.part, place.operand, weight, place.scalings)
    size, name = place.part.size, layer.name

    def vector(what: str, bits: int) -> Vector:
        return space.data.vector(f"{name}.{what}", size, bits)

    gates = tuple(
        GateOutput(
            gate,
            vector(gate, GATE_OUTPUT.bits),
            space.tables.number(function, layer.gate.exponent, GATE_OUTPUT),
        )
        for gate, function in zip(GATES, GATE_FUNCTIONS, strict=True)
    )
    return LstmPlan(
        name,
        product,
        gates,
        vector("c", CELL_BITS),
        vector("kept", CELL_BITS),
        vector("added", CELL_BITS),
        space.tables.number("tanh", layer.cell.exponent, GATE_OUTPUT),
        layer.cell.exponent - 2 * GATE_OUTPUT.exponent,
        place.output,
        layer.input.exponent - 2 * GATE_OUTPUT.exponent,
    )


def lower_lstm(plan: LstmPlan) -> list[Op]:
    """Return an Lstm's instructions: gates, then c = f c + i g and h = o tanh(c)."""
    i, f, g, o = (gate.vector for gate in plan.gates)
    cell, kept, added = plan.cell, plan.kept, plan.added
    name = plan.name
    sum_state = _state(cell, kept, added) | {"sa": 0, "sb": 0, "sd": 0}
    tanh_state = {"len": cell.elements, "wa": cell.bits, "wd": g.bits, "sa": 0}
    return [
        *lower_product(plan.product, plan.gates),
        _product(f"{name}: f c", kept, f, cell, -GATE_OUTPUT.exponent),
        _product(f"{name}: i g", added, i, g, plan.added_shift),
        vector_op(
            "vadd", f"{name}: c = f c + i g", sum_state,
            d=cell.address, a=kept.address, b=added.address,
        ),
        # g has been used, and its place takes tanh(c).
        vector_op(
            "vlut", f"{name}: tanh(c)", tanh_state,
            d=g.address, a=cell.address, table=plan.cell_table,
        ),
        _product(f"{name}: h = o tanh(c)", plan.hidden, o, g, plan.hidden_shift),
    ]  # fmt: skip


def _state(d: Vector, a: Vector, b: Vector) -> dict[str, int]:
    return {"len": d.elements, "wa": a.bits, "wb": b.bits, "wd": d.bits}


def _product(comment: str, d: Vector, a: Vector, b: Vector, shift: int) -> Op:
    state = _state(d, a, b) | {"sd": shift}
    return vector_op("vmul", comment, state, d=d.address, a=a.address, b=b.address)
