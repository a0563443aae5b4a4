"""Which rows each beat of each column updates, and which bank it reads: what `stepping` walks."""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.scratch import zeros

DENSE, BITMAP, RUN_LENGTH, PENCIL, BLOCK, N_OF_M = range(6)


@kernel
def _kept(weights, first, last, begin, end):
    """Whether rows [first, last) have a nonzero weight in columns [begin, end)."""
    for j in range(begin, end):
        for r in range(first, last):
            if weights[r, j] != 0:
                return True
    return False


@kernel
def _group_slots(weights, j, first, last, group, kept, slot, slots, at):
    """Slots of an N:M group (T2): its nonzero weights, and the first zeros that fill it up."""
    zeros = kept
    for r in range(first, last):
        zeros -= np.int64(weights[r, j] != 0)
    for k in range(group):
        zero = first + k >= last or weights[first + k, j] == 0
        if zero and zeros <= 0:
            continue
        zeros -= np.int64(zero)
        slots[at] = slot + k if first + k < last else -1
        at += 1
    return at


@kernel
def entry_slots(weights, format_code, group, extent, index_bits, pes, offsets, slots):
    """Fill slots with the slice row that each entry place updates, -1 for none.

    weights (rows, columns); extent: of the layout; offsets (columns * pes,): where column j of
    PE p starts, at j * pes + p; slots (entries,) int32.
    """
    rows, columns = weights.shape
    step = group if format_code >= PENCIL else 1
    longest = (1 << index_bits) - 1
    for j in range(columns):
        for p in range(pes):
            at = offsets[j * pes + p]
            gap = 0
            slot = 0
            for first in range(p * step, rows, pes * step):
                last = min(first + step, rows)
                if format_code == N_OF_M:
                    at = _group_slots(weights, j, first, last, step, extent, slot, slots, at)
                    slot += step
                    continue
                begin, end = j, j + 1
                if format_code == BLOCK:
                    begin = j // extent * extent
                    end = min(begin + extent, columns)
                if format_code == DENSE or _kept(weights, first, last, begin, end):
                    # Padding zeros of a long gap sit on the rows that they skip to.
                    while format_code == RUN_LENGTH and gap > longest:
                        slots[at] = slot - gap + longest
                        at += 1
                        gap -= longest + 1
                    for k in range(step):
                        slots[at] = slot + k if first + k < rows else -1
                        at += 1
                    gap = 0
                else:
                    gap += 1
                slot += step


@kernel
def lay_beats(entries, beats, per_word, per_beat, first_word, banks_per_pe, private, out, begins):
    """Fill out (beats + 1, 2) with each beat's first entry and bank, begins with first beats.

    entries, beats (columns, pes): counts; first_word (pes,): words in front of the entries;
    begins (columns * pes + 1,): first beat of column j at PE p. Bank -1: no contended read.
    """
    columns, pes = entries.shape
    places = zeros(pes, np.int64)
    entry = np.int64(0)
    beat = np.int64(0)
    for j in range(columns):
        for p in range(pes):
            begins[j * pes + p] = beat
            left = np.int64(entries[j, p])
            while left:
                word = places[p] // per_word
                here = min(left, per_word - places[p] % per_word)
                bank = p + pes * ((first_word[p] + word) % banks_per_pe)
                left -= here
                places[p] += here
                fresh = True
                while here:
                    taken = min(here, per_beat)
                    out[beat, 0] = entry
                    out[beat, 1] = bank if fresh and not private else -1
                    entry += taken
                    here -= taken
                    beat += 1
                    fresh = False
    begins[columns * pes] = beat
    out[beat, 0] = entry
    out[beat, 1] = -1
