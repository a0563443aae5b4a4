"""Arrays without a reference count, whose owner in Python keeps them alive."""

from spusim.kernels.declare import Deferred, inlined

_carray = Deferred("numba", "carray")
_pointer = Deferred("spusim.kernels.handles", "pointer")


@inlined
def borrow(array):
    """Return the same C-contiguous array, without a hold on its memory."""
    return _carray(_pointer(array.ctypes.data), array.shape, array.dtype)


@inlined
def seen_as(memory, kind, width):
    """Return a C-contiguous array as elements (n,) of another kind, `width` bytes wide."""
    elements = memory.size * memory.itemsize // width
    return _carray(_pointer(memory.ctypes.data), (elements,), kind)


@inlined
def overwrite(target, values):
    """Target = values, both (n,): a slice's assignment, without all that it takes to compile."""
    for k in range(values.shape[0]):
        target[k] = values[k]
