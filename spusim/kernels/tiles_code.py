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

    def emit(self, weights, x, columns):
        """Emit it, and return the sums; weights and x are pointers, columns whole groups."""
        builder, zero = self.builder, ir.Constant(_LONG, 0)
        nothing = ir.Constant(self.ints, [0] * self.ints.count)
        before, loop = builder.basic_block, builder.append_basic_block("columns")
        summed, after = builder.append_basic_block("summed"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed(">", columns, zero), loop, after)
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
            phi.add_incoming(nothing, before)
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, columns), loop, summed)
        builder.position_at_end(summed)
        totals = [
            functools.reduce(builder.add, added[part :: self.parts]) for part in range(self.parts)
        ]
        builder.branch(after)
        builder.position_at_end(after)
        sums = [builder.phi(self.ints) for _ in totals]
        for phi, total in zip(sums, totals, strict=True):
            phi.add_incoming(nothing, before)
            phi.add_incoming(total, summed)
        return sums

    def store(self, totals, start, sums, rows) -> None:
        """Store sums plus what they start with, of so many rows; start and sums are pointers."""
        builder, count = self.builder, self.ints.count
        longs = ir.VectorType(_LONG, count)
        width = ir.Constant(_INT, _LONG.width // 8)
        for part, total in enumerate(totals):
            first = ir.Constant(_LONG, part * count)
            numbers = ir.Constant(longs, [part * count + k for k in range(count)])
            own = builder.icmp_signed("<", numbers, splat(builder, rows, count))
            here, there = (
                builder.bitcast(builder.gep(array, [first]), longs.as_pointer())
                for array in (start, sums)
            )
            nothing = ir.Constant(longs, [0] * count)
            name = f"v{count}i{_LONG.width}.p0"
            began = call(builder, f"llvm.masked.load.{name}", longs, here, width, own, nothing)
            found = builder.sext(builder.add(builder.trunc(began, self.ints), total), longs)
            call(builder, f"llvm.masked.store.{name}", ir.VoidType(), found, there, width, own)

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
def sum_quickly(_context, weights, at, x, begin, columns, start, sums, to, rows):
    """Do as `tiles.sum_tile`."""

    def generate(context, builder, signature, args):
        def place(array, index):
            return builder.gep(_data(context, builder, signature, args, array), [args[index]])

        loop = _TileLoop(builder)
        totals = loop.emit(place(0, 1), place(2, 3), args[4])
        loop.store(totals, place(5, 7), place(6, 7), args[8])
        return context.get_dummy_value()

    index = types.int64
    return types.void(weights, index, x, index, index, start, sums, index, index), generate
