"""Arrays seen in another way, and slices filled from others."""

from spusim.kernels.declare import Deferred, inlined

# (memory, kind): the bytes of a C-contiguous array as elements (n,) of another kind
seen_as = Deferred("spusim.kernels.views_code", "seen_as")


@inlined
def overwrite(target, values):
    """Target = values, both (n,): a slice's assignment, without all that it takes to compile."""
    for k in range(values.shape[0]):
        target[k] = values[k]
