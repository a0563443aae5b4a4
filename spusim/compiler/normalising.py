"""The instruction that finds the scale of a product's operand in every frame (A13 to A15)."""

from spusim.compiler.code import Op, State, vector_op
from spusim.compiler.errors import CompileError
from spusim.compiler.memory import Vector
from spusim.compiler.modes import rounding_of
from spusim.compiler.space import CoreSpace
from spusim.network.records import Product
from spusim.numerics import STOCHASTIC

MOST_NORMALISED = 2**16 - 1  # elements that `vset` counts


def normalised_place(space: CoreSpace, node: Product, operand: Vector) -> Vector:
    """Return the place of an operand that every frame brings to fewer bits, gaps and all."""
    if operand.elements > MOST_NORMALISED:
        raise CompileError(
            f"layer {node.layer} has {operand.elements} inputs with one scale found at run time, "
            f"and an instruction counts {MOST_NORMALISED} elements; quantise it with static scales"
        )
    return space.data.vector(f"{node.name}.normalised", operand.elements, node.normalised_bits)


def normalisation(space: CoreSpace, node: Product, source: Vector, target: Vector) -> Op:
    """Return what finds the frame's scale (A13); it never rounds stochastically (A15)."""
    rounding = node.rounding or space.arch.numerics.rounding
    state: State = {"len": source.elements, "wa": source.bits, "wd": target.bits}
    wanted = "half_up" if rounding == STOCHASTIC else rounding
    state["rounding"] = rounding_of(space.arch, wanted)
    operands = {"d": target.address, "a": source.address}
    return vector_op("vnrm", f"{node.name}: scale of {node.input}", state, {}, **operands)
