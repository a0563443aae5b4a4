"""One product on its own, on a core whose other units do nothing."""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.engine import matvec_fault, multiply
from spusim.kernels.layout import C, Fault

_INSTRUCTION, _NONE, _MATRIX = int(C.INSTRUCTION), int(Fault.NONE), int(Fault.MATRIX)


@kernel
def run_product(core, m, src, acc, accumulate):
    """Execute one product as a thread without loops would; return (fault, cycles)."""
    if m >= core.matrices.shape[0]:
        return _MATRIX, np.int64(0)
    fault = matvec_fault(core, m, src, acc)
    if fault != _NONE:
        return fault, np.int64(0)
    cycles, _ = multiply(core, m, src, acc, accumulate)
    core.counters[_INSTRUCTION] += 1
    return _NONE, cycles
