"""Activation and PoolTime: what each needs on a core, and its instructions."""

from dataclasses import dataclass

from spusim.compiler.code import Op, vector_op
from spusim.compiler.memory import Vector
from spusim.compiler.space import CoreSpace
from spusim.network.records import Activation, PoolTime


@dataclass(frozen=True)
class ActivationPlan:
    """An activation that no requantisation applies; table None: max(0, .)."""

    name: str
    function: str
    source: Vector
    output: Vector
    table: int | None


@dataclass(frozen=True)
class PoolPlan:
    """A pooling over frames: a running state, and a copy where the output is wanted elsewhere."""

    name: str
    kind: str
    source: Vector
    state: Vector | None
    start: int  # what the state begins a file with
    shift: int
    output: Vector


def plan_activation(
    space: CoreSpace, layer: Activation, source: Vector, target: Vector | None
) -> ActivationPlan:
    """Give an activation its table, and its output room unless it has a target."""
    output = target or space.data.vector(layer.name, source.elements, layer.output.bits)
    table = None
    if layer.function != "relu":
        table = space.tables.number(layer.function, layer.input.exponent, layer.output)
    return ActivationPlan(layer.name, layer.function, source, output, table)


def lower_activation(plan: ActivationPlan) -> list[Op]:
    """Return an activation's one instruction."""
    source, output = plan.source, plan.output
    state = {"len": output.elements, "wa": source.bits, "wd": output.bits}
    operands = {"d": output.address, "a": source.address}
    comment = f"{plan.name}: {plan.function}"
    if plan.table is None:
        return [vector_op("vrelu", comment, state | {"sd": 0}, **operands)]
    return [vector_op("vlut", comment, state | {"sa": 0}, **operands, table=plan.table)]


def plan_pool(space: CoreSpace, layer: PoolTime, source: Vector, target: Vector | None) -> PoolPlan:
    """Give a pooling its state; the state is the output unless it has a target."""
    bits = layer.output.bits
    if layer.kind == "last":
        output = target or space.data.vector(layer.name, source.elements, bits)
        return PoolPlan(layer.name, layer.kind, source, None, 0, 0, output)
    state = space.data.vector(f"{layer.name}.state", source.elements, bits)
    start = -(2 ** (bits - 1)) if layer.kind == "max" else 0
    shift = layer.shift if layer.kind == "mean" else 0
    return PoolPlan(layer.name, layer.kind, source, state, start, shift, target or state)


def lower_pool(plan: PoolPlan) -> list[Op]:
    """Return a pooling's instructions: the state takes the frame in, and is copied if need be."""
    if plan.state is None:
        return [move(f"{plan.name}: last", plan.source, plan.output)]
    source, state = plan.source, plan.state
    mnemonic, comment = {
        "mean": ("vadd", f"{plan.name}: sum over frames"),
        "max": ("vmax", f"{plan.name}: largest over frames"),
    }[plan.kind]
    fields = {"len": state.elements, "wa": state.bits, "wb": source.bits, "wd": state.bits}
    fields |= {"sa": 0, "sb": plan.shift, "sd": 0}
    operands = {"d": state.address, "a": state.address, "b": source.address}
    ops = [vector_op(mnemonic, comment, fields, **operands)]
    if plan.output != state:
        ops.append(move(f"{plan.name}: to the next operand", state, plan.output))
    return ops


def move(comment: str, source: Vector, output: Vector) -> Op:
    """Return the copy of a vector."""
    state = {"len": output.elements, "wa": source.bits, "wd": output.bits, "sd": 0}
    return vector_op("vmov", comment, state, d=output.address, a=source.address)
