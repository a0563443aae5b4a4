"""The plan of one core: where everything lies that its stages work on."""

from dataclasses import dataclass

from spusim.compiler.elementwise import PoolPlan
from spusim.compiler.lowering import ELEMENTWISE_PLANNING, MATRIX_PLANNING, LayerPlan
from spusim.compiler.matrix_layers import GATE_OUTPUT, LstmPlan, Place
from spusim.compiler.memory import Vector
from spusim.compiler.product import Scaling, plan_scalings
from spusim.compiler.space import CoreSpace
from spusim.compiler.stages import Part, Stage, elements_per_word
from spusim.network.records import Lstm

Scalings = tuple[tuple[Scaling, ...], ...]


@dataclass(frozen=True)
class Operand:
    """What a stage reads on a core: all inputs x, and behind them an Lstm's hidden state."""

    whole: Vector
    inputs: Vector
    hidden: Vector | None


@dataclass(frozen=True)
class StagePlan:
    """A stage on a core with work: what it reads, how it computes, where its part comes out."""

    stage: Stage
    part: Part
    operand: Operand
    plans: tuple[LayerPlan, ...]
    output: Vector


@dataclass(frozen=True)
class Fill:
    """A vector that every file starts with `value` in."""

    name: str
    vector: Vector
    value: int


@dataclass(frozen=True)
class CorePlan:
    """A core's stages, by number, and what its init thread fills."""

    core: int
    stages: dict[int, StagePlan]
    fills: tuple[Fill, ...]


def plan_core(space: CoreSpace, stages: tuple[Stage, ...]) -> CorePlan:
    """Give a core's stages their place: scale entries first, then vectors, then matrices."""
    mine = [stage for stage in stages if space.core in stage.cores]
    scalings = {stage.number: _scalings(space, stage) for stage in mine}
    operands: dict[int, Operand] = {}
    for stage in mine:
        before = operands.get(stage.number - 1)
        operands[stage.number] = _operand(space, stage, stages, before)
    plans = {}
    for stage in mine:
        n = stage.number
        plans[n] = _plan_stage(space, stage, operands[n], scalings[n], operands.get(n + 1))
    fills: list[Fill] = []
    for fill in (fill for plan in plans.values() for fill in _fills(plan)):
        if not any(_holds(earlier.vector, fill.vector) for earlier in fills):
            fills.append(fill)
    return CorePlan(space.core, plans, tuple(fills))


def _scalings(space: CoreSpace, stage: Stage) -> Scalings:
    if stage.matrix is None:
        return ()
    last = stage.fused or stage.matrix
    bits = GATE_OUTPUT.bits if stage.recurrent else last.output.bits
    return plan_scalings(space, stage.matrix, stage.part_of(space.core), bits)


def _operand(
    space: CoreSpace, stage: Stage, stages: tuple[Stage, ...], before: Operand | None
) -> Operand:
    """Give a stage's operand room, unless it is a hidden state that is there already."""
    bits = stage.input.bits
    name = f"{stage.name}.operand"
    if isinstance(stage.matrix, Lstm):
        unit = elements_per_word(space.arch, bits)
        padded = -(-stage.inputs // unit) * unit
        whole = space.data.vector(name, padded + stage.matrix.hidden, bits)
        inputs = whole.part(0, stage.inputs)
        return Operand(whole, inputs, whole.part(padded, stage.matrix.hidden))
    if before and before.hidden and stages[stage.number - 1].gives_hidden:
        return Operand(before.hidden, before.hidden, None)
    whole = space.data.vector(name, stage.inputs, bits)
    return Operand(whole, whole, None)


def _plan_stage(
    space: CoreSpace, stage: Stage, operand: Operand, scalings: Scalings, after: Operand | None
) -> StagePlan:
    """Plan a stage's layers; its own part comes out in the next operand, if the core has one."""
    part = stage.part_of(space.core)
    target = after.inputs.part(part.offset, part.size) if after else None
    plans: list[LayerPlan] = []
    if stage.matrix:
        value = _matrix_output(space, stage, operand, None if stage.elementwise else target)
        place = Place(part, operand.whole, scalings, value, stage.fused)
        plans.append(MATRIX_PLANNING[type(stage.matrix)](space, stage.matrix, place))
    else:
        value = operand.inputs.part(part.offset, part.size)
    for layer in stage.elementwise:
        wanted = target if layer is stage.elementwise[-1] else None
        plan = ELEMENTWISE_PLANNING[type(layer)](space, layer, value, wanted)
        plans.append(plan)
        value = plan.output
    return StagePlan(stage, part, operand, tuple(plans), value)


def _matrix_output(
    space: CoreSpace, stage: Stage, operand: Operand, target: Vector | None
) -> Vector:
    """Return where a matrix's outputs go: the target, an Lstm's own state, or room of their own."""
    part = stage.part_of(space.core)
    if target:
        return target
    if operand.hidden:
        return operand.hidden.part(part.offset, part.size)
    last = [x for x in (stage.matrix, stage.fused) if x][-1]
    return space.data.vector(f"{last.name}.out", part.size, last.output.bits)


def _fills(plan: StagePlan) -> list[Fill]:
    """Return what must hold a known value: states, and what words of vectors leave unused."""
    name = plan.stage.name
    fills = []
    if plan.operand.hidden or _cut_short(plan.operand.whole):
        fills.append(Fill(f"{name}: operand", plan.operand.whole.full, 0))
    for each in plan.plans:
        if isinstance(each, LstmPlan):
            fills.append(Fill(f"{each.name}: c", each.cell.full, 0))
        if isinstance(each, PoolPlan) and each.state:
            fills.append(Fill(f"{each.name}: state", each.state.full, each.start))
    # Last, since an output may lie in a state, whose value then counts.
    if _cut_short(plan.output):
        fills.append(Fill(f"{name}: output", plan.output.full, 0))
    return fills


def _holds(outer: Vector, inner: Vector) -> bool:
    """Tell whether a vector lies within another, as an output does in the next operand."""
    first, end = inner.address, inner.address + inner.words
    return outer.address <= first and end <= outer.address + outer.words


def _cut_short(vector: Vector) -> bool:
    return vector.full != vector
