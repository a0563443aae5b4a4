"""The code of `lanes`: what numba makes of its operations."""

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model

from spusim.kernels.emitting import call, mask, pointer, splat
from spusim.kernels.lanes import LANES, MULTIPLY_ADD, NARROW, PLACES, SLIM, WIDE

_BYTE, _SHORT, _WORD, _LONG = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES = ir.VectorType(_BYTE, LANES)


class LanesType(types.Type):
    """Numba's type of 64 unsigned bytes in a register."""

    def __init__(self):
        super().__init__(name="Lanes")


lanes = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _BYTES)


@intrinsic
def load_lanes(_context, array, at):
    """Return array[at : at + 64], a flat array of uint8, as lanes."""

    def generate(context, builder, signature, args):
        place = pointer(context, builder, signature.args[0], *args, _BYTES)
        return builder.load(place, align=1)

    return lanes(array, types.int64), generate


@intrinsic
def store_lanes(_context, value, array):
    """Write lanes to array[:64] of uint8."""

    def generate(context, builder, signature, args):
        at = ir.Constant(_LONG, 0)
        place = pointer(context, builder, signature.args[1], args[1], at, _BYTES)
        builder.store(args[0], place, align=1)
        return context.get_dummy_value()

    return types.void(lanes, array), generate


@intrinsic
def plus(_context, a, b):
    """Add lanes; the caller knows that no sum exceeds 255."""

    def generate(_context, builder, _signature, args):
        return builder.add(*args)

    return lanes(lanes, lanes), generate


@intrinsic
def less(_context, value, amount):
    """Subtract an amount up to 255 from all lanes, down to zero."""

    def generate(_context, builder, _signature, args):
        amounts = splat(builder, builder.trunc(args[1], _BYTE), LANES)
        return call(builder, f"llvm.usub.sat.v{LANES}i8", _BYTES, args[0], amounts)

    return lanes(lanes, types.int64), generate


@intrinsic
def highest(_context, value):
    """Return the largest of the lanes."""

    def generate(_context, builder, _signature, args):
        name = f"llvm.vector.reduce.umax.v{LANES}i8"
        return builder.zext(call(builder, name, _BYTE, args[0]), _LONG)

    return types.int64(lanes), generate


def _interleavings(places: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return shuffles of two runs into pairs, within 128-bit parts, and of the sums back."""
    parts, half = range(places // 8), places // 2
    low = [at for part in parts for k in range(4) for at in (8 * part + k, places + 8 * part + k)]
    back = [at for part in parts for at in [4 * part + k for k in range(4)]
            + [half + 4 * part + k for k in range(4)]]  # fmt: skip
    return low, [at + 4 for at in low], back[:half], back[half:]


class _PairLoop:
    """Emits the loop over a filter's pairs of weights, with a tile's sums in registers."""

    def __init__(self, builder, tile: int):
        self.builder, self.blocks = builder, tile // PLACES
        self.shorts = ir.VectorType(_SHORT, PLACES)
        self.words = ir.VectorType(_WORD, PLACES // 2)
        self.low, self.high, self.first, self.second = _interleavings(PLACES)

    def emit(self, buffer, offsets, weights, begin, end, sums) -> None:
        """Emit the loop; buffer, offsets, weights and sums are pointers, begin < end are even."""
        builder = self.builder
        before, loop = builder.basic_block, builder.append_basic_block("pairs")
        builder.branch(loop)
        builder.position_at_end(loop)
        i = builder.phi(_LONG)
        i.add_incoming(begin, before)
        sofar = [builder.phi(self.words) for _ in range(2 * self.blocks)]
        added = self._pair(buffer, offsets, weights, i, sofar)
        following = builder.add(i, ir.Constant(_LONG, 2))
        i.add_incoming(following, loop)
        for phi, value in zip(sofar, added, strict=True):
            phi.add_incoming(ir.Constant(self.words, [0] * self.words.count), before)
            phi.add_incoming(value, loop)
        after = builder.append_basic_block("summed")
        builder.cbranch(builder.icmp_signed("<", following, end), loop, after)
        builder.position_at_end(after)
        self._store(added, sums)

    def _pair(self, buffer, offsets, weights, i, sofar):
        builder = self.builder
        runs = []
        for k in range(2):
            at = builder.gep(offsets, [builder.add(i, ir.Constant(_LONG, k))])
            runs.append(builder.gep(buffer, [builder.sext(builder.load(at), _LONG)]))
        kind = ir.VectorType(runs[0].type.pointee, PLACES)  # of 16 bits, or of 8 to be widened
        both = builder.bitcast(builder.gep(weights, [i]), _WORD.as_pointer())
        pair = splat(builder, builder.load(both, align=2), self.words.count)
        pairs = builder.bitcast(pair, self.shorts)
        added = []
        for block in range(self.blocks):
            at = [ir.Constant(_LONG, PLACES * block)]
            loaded = [
                builder.load(builder.bitcast(builder.gep(run, at), kind.as_pointer()), align=1)
                for run in runs
            ]
            one, two = (run if kind == self.shorts else builder.sext(run, self.shorts)
                        for run in loaded)  # fmt: skip
            for shuffle in (self.low, self.high):
                mixed = builder.shuffle_vector(one, two, mask(shuffle))
                product = call(builder, MULTIPLY_ADD[PLACES][1], self.words, mixed, pairs)
                added.append(builder.add(sofar[len(added)], product))
        return added

    def _store(self, added, sums) -> None:
        builder = self.builder
        for block in range(self.blocks):
            for half, shuffle in enumerate((self.first, self.second)):
                at = ir.Constant(_LONG, PLACES * block + self.words.count * half)
                place = builder.bitcast(builder.gep(sums, [at]), self.words.as_pointer())
                ordered = builder.shuffle_vector(
                    added[2 * block], added[2 * block + 1], mask(shuffle)
                )
                builder.store(builder.add(builder.load(place, align=4), ordered), place, align=4)


def _pair_adder(tile: int) -> Callable[..., Any]:
    @intrinsic
    def add(_context, buffer, at, offsets, weights, begin, end, sums, to):
        def generate(context, builder, signature, args):
            def data(k):
                return context.make_array(signature.args[k])(context, builder, args[k]).data

            with builder.if_then(builder.icmp_signed("<", args[4], args[5])):
                _PairLoop(builder, tile).emit(
                    builder.gep(data(0), [args[1]]), data(2), data(3), args[4], args[5],
                    builder.gep(data(6), [args[7]]),
                )  # fmt: skip
            return context.get_dummy_value()

        index = types.int64
        return types.void(buffer, index, offsets, weights, index, index, sums, index), generate

    return add


def plain_pair_adder(tile: int) -> Callable[..., Any]:
    """Return the twin of `add_pairs` for tiles of `tile` positions, in plain loops."""

    @nb.njit(inline="always")
    def add(buffer, at, offsets, weights, begin, end, sums, to):
        total = sums[to : to + tile]
        for i in range(begin, end, 2):
            one, two = buffer[at + offsets[i] :], buffer[at + offsets[i + 1] :]
            w1, w2 = np.int32(weights[i]), np.int32(weights[i + 1])
            for t in range(tile):
                total[t] += np.int32(one[t] * w1) + np.int32(two[t] * w2)

    return add


add_wide, add_narrow, add_slim = (
    (_pair_adder if PLACES else plain_pair_adder)(tile) for tile in (WIDE, NARROW, SLIM)
)
