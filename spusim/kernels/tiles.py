"""Value plane of a product by tiles: 16 rows, and only the columns in which they have weights.

A tile's columns are the same in every product, so that its weights lie in the order in which they
are multiplied, two columns side by side for the multiply-add of 16-bit pairs; places that fill a
tile up have weights of zero. The activations of a tile's columns are brought together first. Adding
a zero changes no sum, and sums are modulo 2**32 in any order, so that the result is that of
`matvec.add_columns`. A plain twin defines either step.
"""

import functools

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from spusim.kernels.compiling import kernel
from spusim.kernels.lanes import MULTIPLY_ADD, PLACES
from spusim.kernels.layout import M

TILE = 16  # rows
GROUP = 8  # columns to which a tile's are filled up
MASK = 32  # columns of a mask
_ROWS, _COLUMNS, _WIDE = int(M.ROWS), int(M.COLUMNS), int(M.WIDE)
_WEIGHTS, _MASKS = int(M.TILES), int(M.TILE_MASKS)
_SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (16, 32, 64))
COMPACTS = bool(PLACES) and bool(llvm.get_host_cpu_features().get("avx512vbmi2"))


def _call(builder, name, result, *args):
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _splat(builder, value, count):
    kind = ir.VectorType(value.type, count)
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_INT, 0))
    zeros = ir.Constant(ir.VectorType(_INT, count), [0] * count)
    return builder.shuffle_vector(first, undefined, zeros)


def _data(context, builder, signature, args, k):
    return context.make_array(signature.args[k])(context, builder, args[k]).data


@intrinsic
def _compact_quickly(_context, x, at, mask, out, to):
    shorts = ir.VectorType(_SHORT, MASK)

    def generate(context, builder, signature, args):
        source = builder.gep(_data(context, builder, signature, args, 0), [args[1]])
        target = builder.gep(_data(context, builder, signature, args, 3), [args[4]])
        values = builder.load(builder.bitcast(source, shorts.as_pointer()), align=2)
        wanted = builder.bitcast(args[2], ir.VectorType(ir.IntType(1), MASK))
        name = "llvm.x86.avx512.mask.compress.v32i16"
        kept = _call(builder, name, shorts, values, ir.Constant(shorts, [0] * MASK), wanted)
        builder.store(kept, builder.bitcast(target, shorts.as_pointer()), align=2)
        return builder.zext(builder.ctpop(args[2]), _LONG)

    index = types.int64
    return index(x, index, types.uint32, out, index), generate


@kernel
def compact_plainly(x, at, mask, out, to):
    """Do as `compact`."""
    n = 0
    for k in range(MASK):
        if mask >> np.uint32(k) & np.uint32(1):
            out[to + n] = x[at + k]
            n += 1
    return np.int64(n)


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
            factors = builder.bitcast(_splat(builder, both, PLACES // 2), self.shorts)
            for part in range(self.parts):
                at = builder.add(first, ir.Constant(_LONG, 2 * TILE * pair + PLACES * part))
                kind = ir.VectorType(weights.type.pointee, PLACES)  # of 16 bits, or of 8
                here = builder.bitcast(builder.gep(weights, [at]), kind.as_pointer())
                loaded = builder.load(here, align=1)
                if kind != self.shorts:
                    loaded = builder.sext(loaded, self.shorts)
                name = MULTIPLY_ADD[PLACES][1]
                products.append(_call(builder, name, self.ints, loaded, factors))
        return products


@intrinsic
def _sum_quickly(_context, weights, at, x, begin, columns, sums, to):
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


@kernel
def sum_tile_plainly(weights, at, x, begin, columns, sums, to):
    """Do as `sum_tile`."""
    total = sums[to : to + TILE]
    total[:] = 0
    for i in range(0, columns, 2):
        one, two = np.int32(x[begin + i]), np.int32(x[begin + i + 1])
        pair = weights[at + i * TILE : at + (i + 2) * TILE]
        for r in range(TILE):
            total[r] += np.int32(np.int32(pair[2 * r]) * one) + np.int32(pair[2 * r + 1] * two)


# compact(x int16, at, mask uint32, out int16, to): writes those of x[at : at + 32] whose bit of the
# mask is set to out[to:], and anything behind them up to 32 in all; returns how many they are
compact = _compact_quickly if COMPACTS else compact_plainly
# sum_tile(weights int16 or int8, at, x int16, begin, columns, sums int32, to): sums[to + r] =
# weights of row r of the tile times x[begin : begin + columns], modulo 2**32
sum_tile = _sum_quickly if PLACES else sum_tile_plainly


@kernel
def _compact_all(core, matrix):
    """Bring every tile's activations together in `core.tile_x`."""
    total = matrix[_COLUMNS]
    words = (total + MASK - 1) // MASK
    for j in range(words * MASK):
        core.x16[j] = np.int16(core.x[j])
    at, begin = matrix[_MASKS], np.int64(0)
    for _ in range((matrix[_ROWS] + TILE - 1) // TILE):
        to = begin
        for word in range(words):
            to += compact(core.x16, np.int64(word * MASK), core.tile_masks[at + word],
                          core.tile_x, to)  # fmt: skip
        begin += np.int64(core.tile_masks[at + words])
        at += words + 1


@kernel
def _sum_tiles(core, matrix, tile_weights):
    """Put the sums of every tile's rows in `core.acc32`."""
    rows, words = matrix[_ROWS], (matrix[_COLUMNS] + MASK - 1) // MASK
    weights, at, begin = matrix[_WEIGHTS], matrix[_MASKS] + words, np.int64(0)
    for row in range(0, rows, TILE):
        columns = np.int64(core.tile_masks[at])
        sum_tile(tile_weights, weights, core.tile_x, begin, columns, core.acc32, np.int64(row))
        weights += columns * TILE
        begin += columns
        at += words + 1


@kernel
def add_tiles(core, matrix, start, sums):
    """Put start (rows,) plus a tiled matrix's product with x in sums (rows,) int64.

    All of x must fit 16 bits; `core.x` must have zeros up to a whole mask. Sums are modulo 2**32.
    """
    _compact_all(core, matrix)
    if matrix[_WIDE]:
        _sum_tiles(core, matrix, core.tiles16)
    else:
        _sum_tiles(core, matrix, core.tiles8)
    rows = matrix[_ROWS]
    found = core.acc32[:rows]
    for r in range(rows):
        sums[r] = np.int32(np.int32(start[r]) + found[r])
