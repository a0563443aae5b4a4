"""The code of `views`."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import as_dtype


@intrinsic
def seen_as(_context, memory, kind):
    """Do as `views.seen_as`."""
    seen = types.Array(kind.dtype, 1, "C")
    before, width = as_dtype(memory.dtype).itemsize, as_dtype(kind.dtype).itemsize

    def generate(context, builder, signature, args):
        given = context.make_array(signature.args[0])(context, builder, args[0])
        word = given.nitems.type
        size = builder.mul(given.nitems, ir.Constant(word, before))
        count = builder.udiv(size, ir.Constant(word, width))
        array = context.make_array(seen)(context, builder)
        data = builder.bitcast(given.data, array.data.type)
        strides = [ir.Constant(word, width)]
        populate_array(array, data, [count], strides, width, meminfo=None)
        return array._getvalue()

    return (seen(memory, kind), generate) if memory.layout == "C" else None
