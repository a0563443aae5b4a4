"""The code of `tiles`: what numba makes of its steps where the processor has them."""

import functools

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from spusim.kernels.emitting import call, splat
from spusim.kernels.lanes import MULTIPLY_ADD, PLACES
from spusim.kernels.tiles import GROUP, MASK, TILE

_SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (16, 32, 64))


def _data(context, builder, signature, args, k):
    return context.make_array(signature.args[k])(context, builder, args[k]).data


@intrinsic
def compact_quickly(_context, x, at, mask, out, to):
    """Do as `tiles.compact`."""
    shorts = ir.VectorType(_SHORT, MASK)

    def generate(context, builder, signature, args):
        source = builder.gep(_data(context, builder, signature, args, 0), [args[1]])
        target = builder.gep(_data(context, builder, signature, args, 3), [args[4]])
        values = builder.load(builder.bitcast(source, shorts.as_pointer()), align=2)
        wanted = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), MASK))
        name = "llvm.x86.avx512.mask.compress.v32i16"
        kept = call(builder, name, shorts, values, ir.Constant(shorts, [0] * MASK), wanted)
        builder.store(kept, builder.bitcast(target, shorts.as_pointer()), align=2)
        return builder.zext(builder.ctpop(args[2]), _LONG)

    index = types.int64
    return index(x, index, types.uint32, out, index), generate


class _TileLoop:
    """Emits the loop over a tile's columns, a group a step, with its sums in registers.

    Every pair of a group has sums of its own, which do not wait for each other.
    """

    def __init__(self, builder):
        self.builder, self.parts = builder, 2 * TILE // PLACES
        self.shorts = ir.VectorType(_SHORT, PLACES)
        self.ints = ir.VectorType(_INT, PLACES // 2)

    def emit(self, weights, x, columns, sums) -> None:
        """Emit it; weights, x and sums are pointers, and columns whole groups, at least one."""
        builder, zero = self.builder, ir.Constant(_LONG, 0)
        before, loop = builder.basic_block, builder.append_basic_block("columns")
        builder.branch(loop)
        builder.position_at_end(loop)
        i = builder.phi(_LONG)
        i.add_incoming(zero, before)
        sofar = [builder.phi(self.ints) for _ in range(GROUP // 2 * self.parts)]
        added = [
            builder.add(phi, product)
            for phi, product in zip(sofar, self._products(weights, x, i), strict=True)
        ]
        following = builder.add(i, ir.Constant(_LONG, GROUP))
        i.add_incoming(following, loop)
        for phi, value in zip(sofar, added, strict=True):
            phi.add_incoming(ir.Constant(self.ints, [0] * self.ints.count), before)
            phi.add_incoming(value, loop)
        after = builder.append_basic_block("summed")
        builder.cbranch(builder.icmp_signed("<", following, columns), loop, after)
        builder.position_at_end(after)
        for part in range(self.parts):
            total = functools.reduce(builder.add, added[part :: self.parts])
            place = builder.gep(sums, [ir.Constant(_LONG, part * self.ints.count)])
            builder.store(total, builder.bitcast(place, self.ints.as_pointer()), align=4)

    def _products(self, weights, x, i):
        builder, products = self.builder, []
        first = builder.mul(i, ir.Constant(_LONG, TILE))
        for pair in range(GROUP // 2):
            place = builder.gep(x, [builder.add(i, ir.Constant(_LONG, 2 * pair))])
            both = builder.load(builder.bitcast(place, _INT.as_pointer()), align=2)
            factors = builder.bitcast(splat(builder, both, PLACES // 2), self.shorts)
            for part in range(self.parts):
                at = builder.add(first, ir.Constant(_LONG, 2 * TILE * pair + PLACES * part))
                kind = ir.VectorType(weights.type.pointee, PLACES)  # of 16 bits, or of 8
                here = builder.bitcast(builder.gep(weights, [at]), kind.as_pointer())
                loaded = builder.load(here, align=1)
                if kind != self.shorts:
                    loaded = builder.sext(loaded, self.shorts)
                name = MULTIPLY_ADD[PLACES][1]
                products.append(call(builder, name, self.ints, loaded, factors))
        return products


@intrinsic
def sum_quickly(_context, weights, at, x, begin, columns, sums, to):
    """Do as `tiles.sum_tile`."""

    def generate(context, builder, signature, args):
        def place(k):
            data = _data(context, builder, signature, args, k)
            return builder.gep(data, [args[k + 1]])

        zero = ir.Constant(_LONG, 0)
        some = builder.icmp_signed(">", args[4], zero)
        with builder.if_else(some) as (then, otherwise):
            with then:
                _TileLoop(builder).emit(place(0), place(2), args[4], place(5))
            with otherwise:
                ints = ir.VectorType(_INT, TILE)
                none = ir.Constant(ints, [0] * TILE)
                builder.store(none, builder.bitcast(place(5), ints.as_pointer()), align=4)
        return context.get_dummy_value()

    index = types.int64
    return types.void(weights, index, x, index, index, sums, index), generate
