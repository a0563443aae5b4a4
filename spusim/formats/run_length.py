"""run_length: column-wise relative row indices, as in EIE (Han et al., ISCA 2016, section III)."""

from typing import ClassVar

import numpy as np

from spusim.formats.base import EncodedSlice, Format, damaged, ends_of
from spusim.formats.codes import weights_of
from spusim.formats.errors import FormatError
from spusim.formats.layout import Layout


class RunLength(Format):
    """Entries of index (low bits) and weight: the index counts the zero rows skipped before it.

    A gap that an index cannot count is bridged by padding entries: the largest index and a
    weight of zero, which takes a row itself, so that each spans 2**index_bits rows.
    """

    name: ClassVar[str] = "run_length"

    def check(self, layout: Layout) -> None:
        """Refuse a layout without pointers: entries do not say where their column ends."""
        if layout.pointer_bits == 0:
            raise FormatError(
                "run_length needs column pointers, but pointer_bits (=0) stores none; give "
                "core.sparse.pointer_bits, and an index memory that holds them (mode resident), "
                "or choose bitmap or pencil"
            )
        if not 1 <= layout.index_bits <= 16:
            raise FormatError(
                f"index_bits (={layout.index_bits}) of run_length must be between 1 and 16; "
                "EIE uses 4"
            )

    def entry_bits(self, layout: Layout) -> int:
        """Return the bits of index and weight."""
        return layout.index_bits + layout.weight_bits

    def values(self, fields: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the weights above the indices."""
        return weights_of(fields >> layout.index_bits, layout)

    def places(self, marks: np.ndarray, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Count nonzero weights and the padding of the gaps before them."""
        steps, pes, _, columns = marks.shape
        gap = np.zeros((pes, columns), np.int32)
        total = np.zeros((pes, columns), np.int32)
        for step in range(steps):
            mark = marks[step, :, 0].astype(np.int32)
            total += ((gap >> layout.index_bits) + 1) * mark
            gap = (gap + 1) * (1 - mark)
        return total

    def encode(self, weight: np.ndarray, layout: Layout) -> EncodedSlice:
        """Keep the nonzero weights, each behind the padding that its gap needs."""
        columns, height = weight.shape
        column, row = np.nonzero(weight)
        # In one long column, sentinels in front of each make every gap a plain difference.
        place = column * (height + 1) + row + 1
        first = np.diff(column, prepend=-1) > 0
        before = np.where(first, column * (height + 1), np.roll(place, 1))
        gap = place - before - 1
        lengths = (gap >> layout.index_bits) + 1
        largest = (1 << layout.index_bits) - 1
        fields = np.full(int(lengths.sum()), largest, np.int64)
        weights = weight[column, row].astype(np.int64) & ((1 << layout.weight_bits) - 1)
        fields[np.cumsum(lengths) - 1] = (gap & largest) | (weights << layout.index_bits)
        starts = ends_of(lengths)[np.searchsorted(column, np.arange(columns + 1))]
        return EncodedSlice(fields, starts, np.zeros((columns, 0), bool))

    def starts(self, flags: np.ndarray, height: int, columns: int, layout: Layout) -> np.ndarray:
        """Refuse: only the pointers say it."""
        raise FormatError("run_length cannot find its columns without pointers; store them")

    def decode(self, encoded: EncodedSlice, height: int, layout: Layout) -> np.ndarray:
        """Step down each column by index + 1 rows an entry."""
        columns = len(encoded.flags)
        indices = encoded.fields & ((1 << layout.index_bits) - 1)
        reached = ends_of(indices + 1)
        column = np.repeat(np.arange(columns), np.diff(encoded.starts))
        row = reached[1:] - reached[encoded.starts[column]] - 1
        if (row >= height).any():
            bad = int(np.argmax(row >= height))
            raise damaged(
                f"entry {bad} of column {column[bad]} is in row {row[bad]} of a slice of {height}"
            )
        weight = np.zeros((columns, height), np.int64)
        weight[column, row] = self.values(encoded.fields, layout)
        return weight
