"""What the files that write LLVM's instructions for vectors have in common."""

from llvmlite import ir
from numba.core import cgutils

_INT = ir.IntType(32)


def mask(places):
    """Return a shuffle's constant of which element goes to each place."""
    return ir.Constant(ir.VectorType(_INT, len(places)), list(places))


def splat(builder, value, count):
    """Return a vector with a value in every place."""
    undefined = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, undefined, mask([0] * count))


def call(builder, name, result, *args):
    """Call an instruction that LLVM knows by name."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def pointer(context, builder, kind, array, index, to):
    """Return the address of array[index], of a flat array, as that of another type."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), to.as_pointer())
