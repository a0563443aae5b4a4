"""Packing a matrix into the words of the PEs' memories, and reading it back from them (T1, T2)."""

from collections.abc import Sequence

import numpy as np

from spusim.formats.base import EncodedSlice, damaged
from spusim.formats.bits import (
    pack_fields,
    pack_flags,
    sign_extended,
    unpack_fields,
    unpack_flags,
)
from spusim.formats.checks import check_pointers, checked_bias, checked_weight
from spusim.formats.codes import codes_of
from spusim.formats.errors import FormatError
from spusim.formats.footprint import bias_words, footprint_of, pointer_words
from spusim.formats.layout import Layout, OutlinedMatrix, PackedMatrix
from spusim.formats.registry import format_of, index_columns
from spusim.formats.rows import slice_heights, slice_rows


def pack(weight: np.ndarray, layout: Layout, bias: np.ndarray | None = None) -> PackedMatrix:
    """Pack weight (rows, columns) and bias (rows,), integers, into every PE's words.

    The bias is given exactly if layout.bias_bits is positive. Raises FormatError for a layout
    that cannot be built and for a weight, bias or column pointer that does not fit its bits.
    """
    form = format_of(layout)
    weight = checked_weight(weight, layout)
    codes = codes_of(weight, layout)
    rows, columns = weight.shape
    bias = checked_bias(bias, rows, layout)
    slices, indices, places = [], [], []
    for owned_rows in slice_rows(rows, layout):
        encoded = form.encode(np.ascontiguousarray(codes[owned_rows].T), layout)
        check_pointers(form, layout, len(encoded.fields))
        own_bias = None if bias is None else bias[owned_rows]
        slices.append(_slice_words(encoded, layout, own_bias))
        indices.append(_index_words(encoded, layout))
        places.append(len(encoded.fields))
    return PackedMatrix(
        layout=layout,
        rows=rows,
        columns=columns,
        slices=tuple(slices),
        indices=tuple(indices),
        bias_words=tuple(bias_words(layout, slice_heights(rows, layout)).tolist()),
        footprint=footprint_of(weight, layout, np.array(places), int(np.count_nonzero(weight))),
    )


def _slice_words(encoded: EncodedSlice, layout: Layout, bias: np.ndarray | None) -> np.ndarray:
    entry_bits = format_of(layout).entry_bits(layout)
    entries = pack_fields(encoded.fields, entry_bits, layout.word_bits)
    if bias is None:
        return entries
    return np.concatenate([pack_fields(bias, layout.bias_bits, layout.word_bits), entries])


def _index_words(encoded: EncodedSlice, layout: Layout) -> np.ndarray:
    flags = pack_flags(encoded.flags.reshape(-1), layout.index_word_bits)
    pointer_bits = format_of(layout).pointer_bits(layout)
    if not pointer_bits:
        return flags
    pointers = _pointers(encoded.starts, layout)
    return np.concatenate([pack_fields(pointers, pointer_bits, layout.index_word_bits), flags])


def _pointers(starts: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the starts that pointers tell: of the first columns of spans, and the end."""
    return np.append(starts[: -1 : format_of(layout).index_span(layout)], starts[-1])


def unpack(packed: PackedMatrix) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (weight (rows, columns) int32, bias (rows,) int64 or None) of a packed matrix.

    Raises FormatError for one that was outlined.
    """
    if isinstance(packed, OutlinedMatrix):
        raise FormatError("an outlined matrix has no words to read; pack it")
    return unpack_words(packed.layout, packed.rows, packed.columns, packed.slices, packed.indices)


def unpack_words(
    layout: Layout,
    rows: int,
    columns: int,
    slices: Sequence[np.ndarray],
    indices: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode words alone: this defines the bit image.

    slices, indices: one (words, bits / 8) uint8 array a PE, which may go on after the matrix.
    Returns (weight (rows, columns) int32, bias (rows,) int64 or None). Raises FormatError for
    words that are too few, or that contradict themselves.
    """
    form = format_of(layout)
    weight = np.zeros((rows, columns), np.int32)
    encoded = read_slices(layout, rows, columns, slices, indices)
    for own, part in zip(slice_rows(rows, layout), encoded, strict=True):
        weight[own] = form.decode(part, len(own), layout).T
    return weight, _unpack_bias(layout, rows, slices)


def _unpack_bias(layout: Layout, rows: int, slices: Sequence[np.ndarray]) -> np.ndarray | None:
    if not layout.bias_bits:
        return None
    bias = np.zeros(rows, np.int64)
    for own, words in zip(slice_rows(rows, layout), slices, strict=True):
        fields = unpack_fields(words, layout.bias_bits, len(own))
        bias[own] = sign_extended(fields, layout.bias_bits)
    return bias


def read_slices(
    layout: Layout,
    rows: int,
    columns: int,
    slices: Sequence[np.ndarray],
    indices: Sequence[np.ndarray],
) -> list[EncodedSlice]:
    """Return the entries, column starts and index flags that words hold, one item a PE."""
    for kind, memory, bits in (
        ("slices", slices, layout.word_bits),
        ("indices", indices, layout.index_word_bits),
    ):
        shapes = [words.shape for words in memory]
        if len(shapes) != layout.pes or any(shape[1:] != (bits // 8,) for shape in shapes):
            raise FormatError(
                f"{kind} {shapes} must be {layout.pes} arrays, one a PE, of words of "
                f"{bits // 8} bytes"
            )
    heights = slice_heights(rows, layout)
    heads = bias_words(layout, heights)
    return [
        _read_slice(layout, columns, int(heights[pe]), slices[pe][heads[pe] :], indices[pe])
        for pe in range(layout.pes)
    ]


def _read_slice(
    layout: Layout, columns: int, height: int, entry_words: np.ndarray, index_words: np.ndarray
) -> EncodedSlice:
    form = format_of(layout)
    column_flags = int(form.index_flags(np.array(height), layout))
    flag_words = index_words[pointer_words(layout, columns) :]
    indexed = index_columns(layout, columns)
    flags = unpack_flags(flag_words, indexed * column_flags).reshape(indexed, column_flags)
    pointer_bits = form.pointer_bits(layout)
    pointers = None
    if pointer_bits:
        pointers = unpack_fields(index_words, pointer_bits, indexed + 1)
        if pointers[0] != 0 or (np.diff(pointers) < 0).any():
            raise damaged("its column pointers do not ascend from 0")
    if pointers is not None and indexed == columns and not column_flags:
        starts = pointers
    else:
        starts = form.starts(flags, height, columns, layout)
        if pointers is not None and (pointers != _pointers(starts, layout)).any():
            raise damaged("its column pointers contradict its index bits")
    fields = unpack_fields(entry_words, form.entry_bits(layout), int(starts[-1]))
    return EncodedSlice(fields, starts, flags)
