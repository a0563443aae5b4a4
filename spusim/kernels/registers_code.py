"""The code of `registers`: what numba makes of its operations."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from spusim.kernels.emitting import call, pointer, splat
from spusim.kernels.registers import FEW, FULL, WORD

_SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (16, 32, 64))
_SHORTS = ir.VectorType(_SHORT, FEW)


class ShortsType(types.Type):
    """Numba's type of eight unsigned 16-bit numbers in a register."""

    def __init__(self):
        super().__init__(name="Shorts")


shorts = ShortsType()


@register_model(ShortsType)
class _ShortsModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _SHORTS)


@intrinsic
def full_shorts(_context):
    """Return eight times the largest number."""

    def generate(_context, _builder, _signature, _args):
        return ir.Constant(_SHORTS, [FULL] * FEW)

    return shorts(), generate


@intrinsic
def grow(_context, value, amount):
    """Add an amount from 0 to FULL to all numbers, up to FULL."""

    def generate(_context, builder, _signature, args):
        amounts = splat(builder, builder.trunc(args[1], _SHORT), FEW)
        return call(builder, f"llvm.uadd.sat.v{FEW}i16", _SHORTS, args[0], amounts)

    return shorts(shorts, types.int64), generate


@intrinsic
def shrink(_context, value, array, at):
    """Subtract array[at : at + 8], a flat array of uint16; no result is below zero."""

    def generate(context, builder, signature, args):
        place = pointer(context, builder, signature.args[1], *args[1:], _SHORTS)
        return builder.sub(args[0], builder.load(place, align=2))

    return shorts(shorts, array, types.int64), generate


@intrinsic
def lowest(_context, value):
    """Return the smallest of the numbers."""

    def generate(_context, builder, _signature, args):
        name = f"llvm.vector.reduce.umin.v{FEW}i16"
        return builder.zext(call(builder, name, _SHORT, args[0]), _LONG)

    return types.int64(shorts), generate


@intrinsic
def store_shorts(_context, value, array):
    """Write the numbers to array[:8] of uint16."""

    def generate(context, builder, signature, args):
        at = ir.Constant(_LONG, 0)
        place = pointer(context, builder, signature.args[1], args[1], at, _SHORTS)
        builder.store(args[0], place, align=2)
        return context.get_dummy_value()

    return types.void(shorts, array), generate


@intrinsic
def nonzero_word(_context, array, at):
    """Return which of array[at : at + 64], a flat array of int32, are not zero, a bit each."""
    numbers = ir.VectorType(_INT, WORD)

    def generate(context, builder, signature, args):
        place = pointer(context, builder, signature.args[0], *args, numbers)
        zeros = ir.Constant(numbers, [0] * WORD)
        on = builder.icmp_unsigned("!=", builder.load(place, align=4), zeros)
        return builder.bitcast(on, _LONG)

    return types.uint64(array, types.int64), generate


@intrinsic
def ones(_context, word):
    """Count the ones of a word."""

    def generate(_context, builder, _signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate


@intrinsic
def first_one(_context, word):
    """Return the place of the lowest one of a word, 64 of zero."""

    def generate(_context, builder, _signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def last_one(_context, word):
    """Return the place of the highest one of a word that is not zero."""

    def generate(_context, builder, _signature, args):
        zeros = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.sub(ir.Constant(_LONG, WORD - 1), zeros)

    return types.int64(types.uint64), generate


@intrinsic
def shifted(_context, value, shift):
    """Return value / 2**shift of 32 bits, floored; shift from 0 to 31."""

    def generate(_context, builder, _signature, args):
        # numba shifts in 64 bits, which halves how many go side by side
        return builder.ashr(args[0], builder.trunc(args[1], _INT))

    return types.int32(types.int32, types.int64), generate
