"""Arrays that kernels make for themselves, of which nobody counts who refers to them.

All that were made are given back when the kernel that Python called returns or raises. A kernel
that may make more and more of them until then gives its own back with `release`.

    fresh(shape, kind)  an array of that shape (an integer or a tuple), not filled
    zeros(shape, kind)  the same, filled with zeros
    copied(array)       a copy of a C-contiguous array
    release(array)      gives back an array, and all that were made after it
"""

from spusim.kernels.declare import Deferred

_CODE = "spusim.kernels.scratch_code"
fresh, zeros = Deferred(_CODE, "fresh"), Deferred(_CODE, "zeros")
copied, release = Deferred(_CODE, "copied"), Deferred(_CODE, "release")
