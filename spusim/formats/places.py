"""Entry places and nonzero weights by column and PE, counted without packing."""

import numpy as np

from spusim.formats.layout import Layout
from spusim.formats.registry import format_of
from spusim.formats.rows import group_of, owned, row_owner, slice_heights
from spusim.kernels.counts import count_owned

# Weights looked at together: bounds the memory, and stays near the caches.
BLOCK_WEIGHTS = 1 << 21


def count_places(weight: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return entry places and nonzero weights, each (columns, pes) int32."""
    form, group = format_of(layout), group_of(layout)
    rows, columns = weight.shape
    heights = slice_heights(rows, layout)
    places = np.empty((columns, layout.pes), np.int32)
    nonzeros = np.empty_like(places)
    owner = row_owner(rows, layout.pes, group)
    span = form.index_span(layout)
    block = max(1, BLOCK_WEIGHTS // (rows * span)) * span
    for first in range(0, columns, block):
        part = slice(first, first + block)
        marks = np.ascontiguousarray(weight[:, part] != 0)
        count_owned(marks.view(np.uint8), owner, nonzeros[part])
        if not form.stores_nonzeros:
            places[part] = form.places(owned(marks, layout.pes, group), heights, layout).T
    if form.stores_nonzeros:
        places[:] = nonzeros
    return places, nonzeros
