"""Entry places and nonzero weights by column and PE, counted without packing."""

import numpy as np

from spusim.formats.layout import Layout
from spusim.formats.registry import format_of
from spusim.formats.rows import group_of, owned, slice_heights

# Weights looked at together: bounds the memory, and stays near the caches.
BLOCK_WEIGHTS = 1 << 21


def count_places(weight: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return entry places and nonzero weights, each (columns, pes) int32."""
    form, group = format_of(layout), group_of(layout)
    rows, columns = weight.shape
    heights = slice_heights(rows, layout)
    places = np.empty((columns, layout.pes), np.int32)
    nonzeros = np.empty_like(places)
    span = form.index_span(layout)
    block = max(1, BLOCK_WEIGHTS // (rows * span)) * span
    for first in range(0, columns, block):
        part = slice(first, first + block)
        marks = owned(weight[:, part] != 0, layout.pes, group)
        places[part] = form.places(marks, heights, layout).T
        nonzeros[part] = marks.sum(axis=(0, 2), dtype=np.int32).T
    return places, nonzeros
