"""The static counts that fix a matrix's time: entries, words and beats by column and PE (T5)."""

import numpy as np

from spusim.formats.base import ends_of
from spusim.formats.checks import checked_weight
from spusim.formats.codes import BINARY_BITS
from spusim.formats.errors import FormatError
from spusim.formats.image import read_slices
from spusim.formats.layout import ColumnCounts, Layout, OutlinedMatrix, PackedMatrix
from spusim.formats.places import count_places
from spusim.formats.registry import entries_per_word, format_of
from spusim.formats.rows import slice_heights
from spusim.kernels.counts import lay_places

# A column's own pointer and the next one's, which ends it.
POINTER_READS = 2


def column_counts(
    matrix: PackedMatrix | np.ndarray, entries_per_beat: int, layout: Layout | None = None
) -> ColumnCounts:
    """Count what each column costs each PE, (columns, pes) int32 arrays.

    matrix: a packed matrix, or the weight (rows, columns) with the layout that it would be packed
    in; both give the same. entries_per_beat: E of T5. Raises FormatError as `pack` does.
    """
    if entries_per_beat < 1:
        raise FormatError(f"entries_per_beat (={entries_per_beat}) must be at least 1")
    if isinstance(matrix, PackedMatrix):
        layout, rows = matrix.layout, matrix.rows
        if isinstance(matrix, OutlinedMatrix):
            places, nonzeros = matrix.entries, matrix.nonzeros
        else:
            places, nonzeros = _packed_places(matrix)
    elif layout is None:
        raise FormatError("column_counts of a bare weight needs the layout to pack it in")
    else:
        rows = len(matrix)
        places, nonzeros = count_places(checked_weight(matrix, layout), layout)
    words, beats = _words_and_beats(places, entries_per_word(layout), entries_per_beat)
    heights = slice_heights(rows, layout)
    return ColumnCounts(
        entries=places,
        words=words,
        beats=beats,
        nonzeros=nonzeros,
        index_words=_index_words(layout, heights, len(places)),
        slice_rows=heights.astype(np.int32),
    )


def _packed_places(packed: PackedMatrix) -> tuple[np.ndarray, np.ndarray]:
    form, layout = format_of(packed.layout), packed.layout
    places = np.empty((packed.columns, layout.pes), np.int32)
    nonzeros = np.empty_like(places)
    heights = slice_heights(packed.rows, layout).tolist()
    encoded = read_slices(layout, packed.rows, packed.columns, packed.slices, packed.indices)
    for pe, part in enumerate(encoded):
        places[:, pe] = np.diff(part.starts)
        if layout.weight_bits == BINARY_BITS:
            # the unused places of a short group are bits too, and no weights
            nonzeros[:, pe] = np.count_nonzero(form.decode(part, heights[pe], layout), axis=1)
        else:
            nonzeros[:, pe] = np.diff(ends_of(form.values(part.fields, layout) != 0)[part.starts])
    return places, nonzeros


def _words_and_beats(
    places: np.ndarray, per_word: int, per_beat: int
) -> tuple[np.ndarray, np.ndarray]:
    words, beats = np.empty_like(places), np.empty_like(places)
    lay_places(places, per_word, per_beat, words, beats)
    return words, beats


def _index_words(layout: Layout, heights: np.ndarray, columns: int) -> np.ndarray:
    form = format_of(layout)
    flags = form.index_flags(heights, layout).astype(np.int64)
    pointers = POINTER_READS if form.pointer_bits(layout) else 0
    if not flags.any():
        return np.full((columns, layout.pes), pointers, np.int32)
    starts = (np.arange(columns) // form.index_span(layout))[:, None] * flags
    words = (starts + flags - 1) // layout.index_word_bits - starts // layout.index_word_bits + 1
    return (np.where(flags > 0, words, 0) + pointers).astype(np.int32)
