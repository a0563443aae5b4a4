"""The code of `seldom`: attributes of the function that numba is writing."""

from numba.core import types
from numba.extending import intrinsic


@intrinsic
def apart(_context):
    """Have the function that calls this stay one of its own."""

    def generate(context, builder, _signature, _args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def seldom(_context):
    """Do as `apart`, and take calls of the function to be unlikely."""

    def generate(context, builder, _signature, _args):
        builder.function.attributes.add("noinline")
        builder.function.attributes.add("cold")
        return context.get_dummy_value()

    return types.void(), generate
