"""Arrays without a reference count, for handles whose owner keeps the arrays alive.

Compiled code counts references atomically whenever it takes an array out of a handle, which costs
more than most of what the chip's clock does in a cycle. A borrowed array has nothing to count.
"""

import numba as nb
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic
def _pointer(typing_context, address):
    """Turn an address into a pointer."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@nb.njit(cache=True, inline="always")
def borrow(array):
    """Return the same C-contiguous array, without a hold on its memory."""
    return nb.carray(_pointer(array.ctypes.data), array.shape, array.dtype)
