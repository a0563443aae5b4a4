"""The code of `scratch`: arrays in memory that the entry's runtime gives and takes back."""

from itertools import accumulate

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from spusim.kernels.emitting import call

_WORD, _BYTES = ir.IntType(64), ir.IntType(8).as_pointer()
ALLOCATE, RELEASE = "spusim_allocate", "spusim_release"  # see `entry.RUNTIME`
_FULL = "a kernel found no memory for its own arrays"


def _sizes(context, builder, kind, value):
    """Return a shape's sizes as words."""
    parts = [(kind, value)]
    if isinstance(kind, types.BaseTuple):
        parts = list(zip(kind, cgutils.unpack_tuple(builder, value), strict=True))
    return [context.cast(builder, size, part, types.int64) for part, size in parts]


def _make(context, builder, kind, sizes):
    """Return an array that is not filled, and its bytes. Makes the kernel raise MemoryError."""
    itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    first = ir.Constant(_WORD, itemsize)
    count, *strides = reversed([*accumulate(reversed(sizes), builder.mul, initial=first)])
    memory = call(builder, ALLOCATE, _BYTES, count)
    with builder.if_then(cgutils.is_null(builder, memory), likely=False):
        context.call_conv.return_user_exc(builder, MemoryError, (_FULL,))
    array = context.make_array(kind)(context, builder)
    data = builder.bitcast(memory, array.data.type)
    populate_array(array, data, sizes, strides, itemsize, meminfo=None)
    return array, count


def _array_type(shape, kind):
    return types.Array(kind.dtype, len(shape) if isinstance(shape, types.BaseTuple) else 1, "C")


@intrinsic
def fresh(_context, shape, kind):
    """Do as `scratch.fresh`."""

    def generate(context, builder, signature, args):
        sizes = _sizes(context, builder, signature.args[0], args[0])
        return _make(context, builder, signature.return_type, sizes)[0]._getvalue()

    return _array_type(shape, kind)(shape, kind), generate


@intrinsic
def zeros(_context, shape, kind):
    """Do as `scratch.zeros`."""

    def generate(context, builder, signature, args):
        sizes = _sizes(context, builder, signature.args[0], args[0])
        array, count = _make(context, builder, signature.return_type, sizes)
        cgutils.memset(builder, array.data, count, 0)
        return array._getvalue()

    return _array_type(shape, kind)(shape, kind), generate


@intrinsic
def copied(_context, array):
    """Do as `scratch.copied`."""
    made = types.Array(array.dtype, array.ndim, "C")

    def generate(context, builder, signature, args):
        given = context.make_array(signature.args[0])(context, builder, args[0])
        sizes = cgutils.unpack_tuple(builder, given.shape)
        copy, count = _make(context, builder, made, sizes)
        cgutils.raw_memcpy(builder, copy.data, given.data, count, 1)
        return copy._getvalue()

    return (made(array), generate) if array.layout == "C" else None


@intrinsic
def release(_context, array):
    """Do as `scratch.release`."""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        call(builder, RELEASE, ir.VoidType(), builder.bitcast(data, _BYTES))
        return context.get_dummy_value()

    return types.none(array), generate


def give_all_back(builder) -> None:
    """Give back all arrays that a kernel has made."""
    call(builder, RELEASE, ir.VoidType(), ir.Constant(_BYTES, None))
