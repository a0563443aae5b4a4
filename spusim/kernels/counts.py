"""Counting a stored matrix: what its columns have for each PE, and in how many words that lies."""

import numpy as np

from spusim.kernels.declare import kernel
from spusim.kernels.scratch import zeros


@kernel
def count_owned(marks, owner, counts):
    """Count each PE's marks in every column; counts (columns, pes) int32.

    marks (rows, columns) uint8, 0 or 1; owner (rows,): the PE of each row.
    """
    columns, pes = counts.shape
    found = zeros((pes, columns), np.int32)
    for row in range(marks.shape[0]):
        own = owner[row]
        for column in range(columns):
            found[own, column] += marks[row, column]
    for column in range(columns):
        for p in range(pes):
            counts[column, p] = found[p, column]


@kernel
def lay_places(places, per_word, per_beat, words, beats):
    """Count the words that a column's places lie in, and the beats that these take (T2, T5).

    places, words, beats (columns, pes) int32; per_word: places of a word, per_beat: of a beat.
    """
    columns, pes = places.shape
    taken = zeros(pes, np.int64)  # of the word in which the next column begins
    for column in range(columns):
        for p in range(pes):
            left = np.int64(places[column, p])
            n, spent = np.int64(0), np.int64(0)
            while left:
                here = min(left, per_word - taken[p])
                taken[p] = (taken[p] + here) if taken[p] + here < per_word else np.int64(0)
                left -= here
                n += 1
                spent += 1 if here <= per_beat else (here + per_beat - 1) // per_beat
            words[column, p], beats[column, p] = n, spent
