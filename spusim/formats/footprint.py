"""What a matrix occupies, bit by bit, without packing it."""

from collections.abc import Iterable

import numpy as np

from spusim.formats.bits import words_for
from spusim.formats.checks import check_pointers, checked_weight
from spusim.formats.codes import refuse_stored_zeros
from spusim.formats.errors import FormatError
from spusim.formats.layout import Footprint, Layout
from spusim.formats.places import count_places
from spusim.formats.registry import format_of, index_columns
from spusim.formats.rows import slice_heights


def footprint(weight: np.ndarray, layout: Layout) -> Footprint:
    """Return the bits of weight (rows, columns) in a layout, as `pack` would find them.

    Raises FormatError where `pack` does; the bias is taken to be there if layout has bias_bits.
    """
    weight = checked_weight(weight, layout)
    places, nonzeros = count_places(weight, layout)
    slice_places = places.sum(axis=0, dtype=np.int64)
    return footprint_of(weight, layout, slice_places, int(nonzeros.sum(dtype=np.int64)))


def footprint_of(
    weight: np.ndarray, layout: Layout, slice_places: np.ndarray, nonzeros: int
) -> Footprint:
    """Return the bits from the entry places of each slice, (pes,), and all nonzero weights.

    Raises FormatError for zeros that must be stored and cannot be.
    The indices of run_length's padding entries count as indices, their weights as zeros.
    """
    form = format_of(layout)
    rows, columns = weight.shape
    check_pointers(form, layout, int(slice_places.max()))
    heights = slice_heights(rows, layout)
    places, unused = int(slice_places.sum()), int(form.unused_places(weight, layout).sum())
    entry_bits, pointer_bits = form.entry_bits(layout), form.pointer_bits(layout)
    zeros = places - unused - nonzeros
    refuse_stored_zeros(layout, zeros)
    used = {
        "values": nonzeros * layout.weight_bits,
        "explicit_zeros": zeros * layout.weight_bits,
        "indices": places * (entry_bits - layout.weight_bits)
        + index_columns(layout, columns) * int(form.index_flags(heights, layout).sum()),
        "pointers": layout.pes * (index_columns(layout, columns) + 1) * pointer_bits,
        "bias": rows * layout.bias_bits,
    }
    words = int(bias_words(layout, heights).sum())
    words += sum(words_for(int(n), entry_bits, layout.word_bits) for n in slice_places)
    index_words = layout.pes * pointer_words(layout, columns)
    index_words += int(flag_words(layout, heights, columns).sum())
    total = words * layout.word_bits + index_words * layout.index_word_bits
    return Footprint(**used, padding=total - sum(used.values()))


def bias_words(layout: Layout, heights: np.ndarray) -> np.ndarray:
    """Return the words of bias in front of slices of these rows, elementwise."""
    if not layout.bias_bits:
        return np.zeros_like(heights)
    return np.asarray(-(-heights // (layout.word_bits // layout.bias_bits)))


def pointer_words(layout: Layout, columns: int) -> int:
    """Return the index words of column pointers in front of each PE's index flags."""
    bits = format_of(layout).pointer_bits(layout)
    return (
        words_for(index_columns(layout, columns) + 1, bits, layout.index_word_bits) if bits else 0
    )


def flag_words(layout: Layout, heights: np.ndarray, columns: int) -> np.ndarray:
    """Return the index words in front of no pointers, by rows of the slice, elementwise."""
    flags = index_columns(layout, columns) * format_of(layout).index_flags(heights, layout)
    return np.asarray(-(-flags // layout.index_word_bits))


def smallest_format(weight: np.ndarray, layouts: Iterable[Layout]) -> str:
    """Return the format of the layout with the smallest footprint; the first of equals.

    Layouts whose pointers do not reach are passed over; raises FormatError if none is left.
    """
    sizes: dict[str, int] = {}
    refusals: list[FormatError] = []
    for layout in layouts:
        try:
            total = footprint(weight, layout).total
        except FormatError as refusal:
            refusals.append(refusal)
        else:
            sizes[layout.format] = min(total, sizes.get(layout.format, total))
    if sizes:
        return min(sizes, key=sizes.__getitem__)
    if refusals:
        raise refusals[0]
    raise FormatError("format auto has no format to choose from; list some in core.sparse.formats")
