"""State of the sparse engine between two cycles: rules T7 to T14, for `stepping`."""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.layout import M, P

# Engine state. After it, for each pushed column, the last cycle in which a PE freed its slot.
(
    PHASE, OPERAND, OPERANDS, SRC, NEXT, TOTAL, WINDOW, PENDING, SCANNED, SCAN_AT, LEFT, MATRIX,
    CYCLE, GRANTED,
) = range(14)  # fmt: skip
ENGINE_STATE = 14
IDLE, LOADING, RUNNING, DRAINING = range(4)
# state of PEs, field by field; AT: the cycle that a PE comes to next
BANKS, FETCHED, FETCHES, POPPED, COST, BEAT, BEATS_END, ENTRIES, AT, DONE, SPENT = range(11)
PE_STATE = 11

BY_ROUTER, BY_VECTOR, BY_ENGINE = 1, 2, 3  # who was granted a bank in a cycle
SPARE_SLOTS = 64  # places of a short pencil may lie beyond the last accumulator
EVERY_BANK = -1  # as a mask
NEVER_UPDATED = np.int64(-(1 << 40))

_PES, _BANKS, _WORD_BYTES = int(P.PES), int(P.BANKS), int(P.WORD_BYTES)
_PRIVATE, _HAZARD = int(P.PRIVATE_WEIGHTS), int(P.HAZARD_STALL)
_COLUMNS, _ABITS, _FETCH = int(M.COLUMNS), int(M.ACTIVATION_BITS), int(M.FETCH)


@kernel
def start_engine(core, m, src, n, accumulate, state, pes, last):
    """Set the stepping state to the first cycle of a product of n pushed columns.

    state (ENGINE_STATE + columns,), pes (PE_STATE, pes), last (pes, slots): cycle of the last
    update of a row; all int64.
    """
    matrix = core.matrices[m]
    state[:] = 0
    pes[:] = 0
    if core.params[_HAZARD]:
        last[:] = NEVER_UPDATED
    state[PHASE] = LOADING
    state[SRC], state[TOTAL], state[MATRIX] = src, n, m
    state[WINDOW] = -1
    count = core.params[_PES]
    if not core.params[_PRIVATE]:
        word_bits = 8 * core.params[_WORD_BYTES]
        state[OPERANDS] = (matrix[_COLUMNS] * matrix[_ABITS] + word_bits - 1) // word_bits
        for bank in range(core.params[_BANKS]):
            pes[BANKS, bank % count] |= np.int64(1) << bank
    for p in range(count):
        pes[FETCHES, p] = core.fetch[matrix[_FETCH] + (count if accumulate else 0) + p]
