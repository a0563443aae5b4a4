"""The load phase of a product, rule T7, and its accesses to data banks but for columns' words.

All of it follows from the matrix and from where the operand lies, and is found once for each.
"""

import numpy as np

from spusim.kernels.banks import hold_banks
from spusim.kernels.declare import kernel, seldom
from spusim.kernels.layout import (
    LOAD_BANKS,
    LOAD_CYCLES,
    LOAD_HELD,
    LOAD_MASK,
    LOAD_READS,
    LOAD_USES,
    M,
    P,
)

_PES, _BANKS, _WORD_BYTES, _WIDTH = int(P.PES), int(P.BANKS), int(P.WORD_BYTES), int(P.SCAN_WIDTH)
_PRIVATE, _COLUMNS, _ABITS = int(P.PRIVATE_WEIGHTS), int(M.COLUMNS), int(M.ACTIVATION_BITS)
_FETCH = int(M.FETCH)


@seldom
def load_cycles(core, matrix, src, accumulate):
    """Length of the load phase, rule T7."""
    pes = core.params[_PES]
    fetch = core.fetch[matrix[_FETCH] + (pes if accumulate else 0) :]
    words = np.int64(0)
    if not core.params[_PRIVATE]:
        bits = matrix[_COLUMNS] * matrix[_ABITS]
        words = (bits + 8 * core.params[_WORD_BYTES] - 1) // (8 * core.params[_WORD_BYTES])
    longest = words
    rounds, more = words // pes, words % pes
    turn = -src % pes  # of PE 0 among those that the operand's words go round
    for p in range(pes):
        longest = max(longest, fetch[p] + rounds + np.int64(turn < more))
        turn = turn + 1 if turn + 1 < pes else 0
    return longest


@kernel
def access_words(accesses, address, words):
    """Count accesses (banks,) to consecutive words of data memory; return their banks' mask."""
    banks = accesses.shape[0]
    rounds, more = words // banks, words % banks
    mask = np.int64(0)
    turn = -address % banks  # of bank 0 among those that the words go round
    for bank in range(banks):
        here = rounds + np.int64(turn < more)
        accesses[bank] += here
        mask |= np.int64(here > 0) << bank
        turn = turn + 1 if turn + 1 < banks else 0
    return mask


@kernel
def _operand_accesses(core, matrix, src, accesses):
    """Count reads of the operand: every word once in the load phase, else every window's.

    Returns their number, and the mask of their banks.
    """
    banks, word_bits = core.params[_BANKS], 8 * core.params[_WORD_BYTES]
    total, bits = matrix[_COLUMNS], matrix[_ABITS]
    window = core.params[_WIDTH] if core.params[_PRIVATE] else total
    reads, mask = np.int64(0), np.int64(0)
    for first in range(0, total, window):
        last = min(first + window, total) - 1
        begin, end = first * bits // word_bits, last * bits // word_bits + 1
        bank = (src + begin) % banks
        reads += end - begin
        mask |= access_words(accesses, bank, end - begin)
    return reads, mask


@seldom
def _bank_accesses(core, matrix, src, accumulate, accesses):
    """Count accesses to data banks but for columns' words; return reads and the banks held."""
    banks, pes = core.params[_BANKS], core.params[_PES]
    reads, mask = _operand_accesses(core, matrix, src, accesses)
    if core.params[_PRIVATE]:
        return reads, mask
    fetched = core.fetch[matrix[_FETCH] + 2 * pes + (banks if accumulate else 0) :]
    for bank in range(banks):
        accesses[bank] += fetched[bank]
    return reads, (np.int64(1) << banks) - 1 if banks < 64 else np.int64(-1)


@seldom
def settle_load(core, memo):
    """Add up the accesses, and the cycles held, of products whose row of `load_memo` this is."""
    for bank in range(core.params[_BANKS]):
        core.bank_busy[bank] += memo[LOAD_USES] * memo[LOAD_BANKS + bank]
    hold_banks(core, memo[LOAD_MASK], memo[LOAD_HELD])
    memo[LOAD_USES] = memo[LOAD_HELD] = 0


@kernel
def load_phase(core, m, src, accumulate):
    """Return what is known of a product before its operand is, a row of `load_memo`; count it.

    Nothing is found anew for a matrix whose operand lies where it lay the last time.
    """
    memo = core.load_memo[m]
    key = 2 * src + (2 if accumulate else 1)
    if memo[0] != key:
        settle_load(core, memo)
        matrix = core.matrices[m]
        memo[0] = key
        memo[LOAD_BANKS:] = 0
        memo[LOAD_CYCLES] = load_cycles(core, matrix, src, accumulate)
        memo[LOAD_READS], memo[LOAD_MASK] = _bank_accesses(
            core, matrix, src, accumulate, memo[LOAD_BANKS:]
        )
    memo[LOAD_USES] += 1
    return memo
