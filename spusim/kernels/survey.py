"""What a product's time and counts ask of its operand: which activations are not zero.

The pattern is found 64 activations at a time; what is counted for pushed columns is summed over
all columns, side by side, those of zeros with nothing.
"""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.layout import M, P
from spusim.kernels.registers import WORD, first_one, last_one, nonzero_word, ones

_COLUMNS, _STATS = int(M.COLUMNS), int(M.STATS)
_ENTRIES, _WORDS, _INDEX_WORDS = int(M.ENTRIES), int(M.WORDS), int(M.INDEX_WORDS)
_ALL, _WIDTH, _STARTS = int(P.PUSH_ALL), int(P.SCAN_WIDTH), int(P.WINDOW_STARTS)
_ONE = np.uint64(1)
COLUMNS_A_ROUND = 8


@kernel
def note_pattern(core, total):
    """Note in `core.pattern` which of x (total,) are not zero, with zeros after it; count them."""
    words = (total + WORD - 1) // WORD
    for j in range(total, words * WORD):
        core.x[j] = 0
    n = np.int64(0)
    for word in range(words):
        on = nonzero_word(core.x, np.int64(word * WORD))
        core.pattern[word] = on
        n += ones(on)
    return n


@kernel
def list_columns(core, total):
    """Write the columns of the pattern to `core.columns`, ascending, and anything behind them."""
    columns, n = core.columns, np.int64(0)
    for word in range((total + WORD - 1) // WORD):
        on = core.pattern[word]
        end = n + ones(on)
        while n < end:  # so many a round, whether they are there or not: nobody guesses when
            for k in range(COLUMNS_A_ROUND):
                columns[n + k] = word * WORD + first_one(on)
                on &= on - _ONE
            n += COLUMNS_A_ROUND
        n = end


@kernel
def scanned_windows(core, total):
    """Count the scanner's windows with a pushed column; return them and the last one's number.

    Windows must fill words of the pattern. -1 is the last window where nothing is pushed.
    """
    width, starts = core.params[_WIDTH], np.uint64(core.params[_STARTS])
    if core.params[_ALL]:
        windows = (total + width - 1) // width
        return windows, windows - 1
    used, last = np.int64(0), np.int64(-1)
    for word in range((total + WORD - 1) // WORD):
        on = core.pattern[word]
        if on:
            last = core.windows[word * WORD + last_one(on)]
        step = 1
        while step < width:
            on |= on >> np.uint64(step)
            step *= 2
        used += ones(on & starts)
    return used, last


@kernel
def largest_magnitude(x, total):
    """Return the largest |x| of x (total,) int32."""
    low, high = np.int32(0), np.int32(0)
    for j in range(total):
        low, high = min(low, x[j]), max(high, x[j])
    return max(-np.int64(low), np.int64(high))


@kernel
def _sum_nonzero(x, entries, nonzeros, words, index_words, uses, always):
    """Sum four counts (n,) of columns whose x is not zero, and count one more use of them."""
    done, effective, read, indices = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for j in range(x.shape[0]):
        on = np.int32(x[j] != 0)
        done = np.int32(done + on * entries[j])
        effective = np.int32(effective + on * nonzeros[j])
        read = np.int32(read + on * words[j])
        indices = np.int32(indices + on * index_words[j])
        uses[j] += on | always
    return np.int64(done), np.int64(effective), np.int64(read), np.int64(indices)


@kernel
def sum_pushed(core, matrix):
    """Sum the static counts of a product's columns, and note their uses.

    Returns MACs of pushed columns, MACs and nonzero weights of those that are not zero, words and
    index words of pushed ones. No sum over a matrix needs more than 31 bits.
    """
    begin, total = matrix[_STATS], matrix[_COLUMNS]
    end = begin + total
    stats, always = core.stats, np.int32(core.params[_ALL])
    done, effective, words, indices = _sum_nonzero(
        core.x[:total], stats[0, begin:end], stats[1, begin:end], stats[2, begin:end],
        stats[3, begin:end], core.uses[begin:end], always,
    )  # fmt: skip
    if always:
        return matrix[_ENTRIES], done, effective, matrix[_WORDS], matrix[_INDEX_WORDS]
    return done, done, effective, words, indices
