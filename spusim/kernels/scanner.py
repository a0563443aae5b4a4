"""The activation scanner in a window of cycles: rules T8 to T10 and T19."""

import numpy as np

from spusim.kernels.declare import inlined, kernel
from spusim.kernels.engine_state import (
    COST,
    ENGINE_STATE,
    GRANTED,
    MATRIX,
    NEXT,
    PENDING,
    POPPED,
    SCAN_AT,
    SCANNED,
    SRC,
    WINDOW,
)
from spusim.kernels.layout import M, P, S

_BANKS, _WORD_BYTES, _WIDTH = int(P.BANKS), int(P.WORD_BYTES), int(P.SCAN_WIDTH)
_DEPTH, _DONE, _PRIVATE = int(P.QUEUE_DEPTH), int(P.RELEASE_DONE), int(P.PRIVATE_WEIGHTS)
_COLUMNS, _ABITS = int(M.COLUMNS), int(M.ACTIVATION_BITS)
_BUSY, _PORT, _FULL = int(S.BUSY), int(S.PORT), int(S.QUEUE_FULL)


@kernel
def _window_banks(core, state, window):
    """Mask of the banks in which the words of a window of activations lie."""
    matrix = core.matrices[state[MATRIX]]
    width = core.params[_WIDTH]
    word_bits = 8 * core.params[_WORD_BYTES]
    last = min((window + 1) * width, matrix[_COLUMNS]) - 1
    banks = np.int64(0)
    for word in range(window * width * matrix[_ABITS] // word_bits,
                      last * matrix[_ABITS] // word_bits + 1):  # fmt: skip
        banks |= np.int64(1) << ((state[SRC] + word) % core.params[_BANKS])
    return banks


@kernel
def _examine(core, state, target, begin, until, taken, rivals, scanner_stalls):
    """Examine windows up to `target`, or stay in it for a cycle (T8); whether before `until`.

    A scanner that reads the data memory has all words of a window in a cycle, or waits (T19).
    """
    if not (rivals and core.params[_PRIVATE]) or state[WINDOW] == target:
        wanted = max(target - state[WINDOW], 1)
        cycles = min(wanted, until - state[SCAN_AT])
        state[WINDOW] = min(state[WINDOW] + cycles, target)
        state[SCAN_AT] += cycles
        scanner_stalls[_BUSY] += cycles
        return cycles == wanted
    while state[WINDOW] < target and state[SCAN_AT] < until:
        banks = _window_banks(core, state, state[WINDOW] + 1)
        if taken[state[SCAN_AT] - begin] & banks:
            scanner_stalls[_PORT] += 1
        else:
            state[GRANTED] |= banks
            state[WINDOW] += 1
            scanner_stalls[_BUSY] += 1
        state[SCAN_AT] += 1
    return state[WINDOW] == target


@inlined
def _room_from(core, state, pes, until):
    """First cycle in which all queues have a slot for the next column (T10, T12), or `until`."""
    freed = state[NEXT] - core.params[_DEPTH]
    if freed < 0:
        return np.int64(0)
    for p in range(pes.shape[1]):
        # with release `done`, the column that a PE works on holds its slot
        holds = np.int64(core.params[_DONE] and pes[COST, p] > 0)
        if pes[POPPED, p] - holds <= freed:
            return until
    return min(state[ENGINE_STATE + freed] + 1, until)


@inlined
def push_next(core, state, pes, columns, begin, until, taken, rivals, scanner_stalls):
    """Bring the scanner to its next push (T8 to T10); return its cycle, `until` if not before."""
    found = state[SCAN_AT]
    if not state[PENDING]:
        target = core.windows[columns[state[NEXT]]]
        if not _examine(core, state, target, begin, until, taken, rivals, scanner_stalls):
            return until
        state[PENDING] = 1
        found = state[SCAN_AT] - 1
    push = max(found, _room_from(core, state, pes, until))
    next_at = min(push + 1, until)
    scanner_stalls[_FULL] += next_at - state[SCAN_AT]
    state[SCAN_AT] = next_at
    if push < until:
        state[PENDING] = 0
        state[NEXT] += 1
    return push


@kernel
def scan_rest(core, state, begin, until, taken, rivals, scanner_stalls):
    """Let the scanner examine what follows its last push (T8)."""
    width = core.params[_WIDTH]
    last = (core.matrices[state[MATRIX], _COLUMNS] + width - 1) // width - 1
    state[SCANNED] = np.int64(
        state[WINDOW] == last
        or _examine(core, state, last, begin, until, taken, rivals, scanner_stalls)
    )
