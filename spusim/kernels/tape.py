"""The tape of a core: which activations of every product's operand are not zero.

All that time and counts depend on besides the program. Recorded in a full run, it lets products
be timed again, on this or another architecture, without computing any value.
"""

from spusim.kernels.declare import inlined, kernel
from spusim.kernels.layout import M, P, Tape
from spusim.kernels.vector import read_elements

_TAPE, _WORD_BYTES = int(P.TAPE), int(P.WORD_BYTES)
_RECORD, _REPLAY = int(Tape.RECORD), int(Tape.REPLAY)
_COLUMNS, _ABITS, _AT, _PRODUCTS = (
    int(M.COLUMNS),
    int(M.ACTIVATION_BITS),
    int(M.TAPE),
    int(M.PRODUCTS),
)


@inlined
def replays(core):
    """Whether patterns come from the tape, and no values are computed."""
    return core.params[_TAPE] == _REPLAY


@kernel
def tape_full(core, m):
    """Whether a matrix is about to be used more often than the tape has patterns for."""
    return core.params[_TAPE] and core.matrix_use[m, 2] >= core.matrices[m, _PRODUCTS]


@kernel
def read_operand(core, m, src, zero):
    """Put a product's operand less its zero point, or when replaying its pattern, in `core.x`."""
    matrix = core.matrices[m]
    total, mode = matrix[_COLUMNS], core.params[_TAPE]
    begin = matrix[_AT] + core.matrix_use[m, 2] * total
    if mode == _REPLAY:
        for j in range(total):
            core.x[j] = core.tape[begin + j]
        return
    read_elements(core.memory, src * core.params[_WORD_BYTES], matrix[_ABITS], total, core.x)
    if zero:
        for j in range(total):
            core.x[j] -= zero
    if mode == _RECORD:
        for j in range(total):
            core.tape[begin + j] = core.x[j] != 0
