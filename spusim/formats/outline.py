"""Where the words of a matrix would lie, without writing them: all that placing and timing need."""

import numpy as np

from spusim.formats.bits import words_for
from spusim.formats.checks import checked_bias, checked_weight
from spusim.formats.footprint import bias_words, flag_words, footprint_of, pointer_words
from spusim.formats.layout import Layout, OutlinedMatrix
from spusim.formats.places import count_places
from spusim.formats.registry import entry_bits
from spusim.formats.rows import slice_heights


def outline(weight: np.ndarray, layout: Layout, bias: np.ndarray | None = None) -> OutlinedMatrix:
    """Return what `pack` would, with words of the same number that are not written.

    weight (rows, columns), bias (rows,), integers. Raises FormatError where `pack` does.
    """
    weight = checked_weight(weight, layout)
    rows, columns = weight.shape
    checked_bias(bias, rows, layout)
    entries, nonzeros = count_places(weight, layout)
    slice_entries = entries.sum(axis=0, dtype=np.int64)
    heights = slice_heights(rows, layout)
    heads = bias_words(layout, heights)
    bits, pointers = entry_bits(layout), pointer_words(layout, columns)
    return OutlinedMatrix(
        layout=layout,
        rows=rows,
        columns=columns,
        slices=tuple(
            _unwritten(int(head) + words_for(int(count), bits, layout.word_bits), layout.word_bits)
            for head, count in zip(heads, slice_entries, strict=True)
        ),
        indices=tuple(
            _unwritten(pointers + int(words), layout.index_word_bits)
            for words in flag_words(layout, heights, columns)
        ),
        bias_words=tuple(heads.tolist()),
        footprint=footprint_of(weight, layout, slice_entries, int(nonzeros.sum(dtype=np.int64))),
        weight=weight,
        entries=entries,
        nonzeros=nonzeros,
    )


def _unwritten(words: int, bits: int) -> np.ndarray:
    """Return words of zeros (words, bits / 8) uint8, all of them one byte of memory."""
    return np.broadcast_to(np.uint8(0), (words, bits // 8))
