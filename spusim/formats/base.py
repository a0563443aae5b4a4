"""What a sparse format has to tell; one file per format derives from this."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spusim.formats.codes import weights_of
from spusim.formats.errors import FormatError
from spusim.formats.layout import Layout


@dataclass(frozen=True)
class EncodedSlice:
    """A PE's slice of a matrix, not yet in words."""

    # (entry places,) integers, column after column: an entry is the low bits of each
    fields: np.ndarray
    starts: np.ndarray  # (columns + 1,) int64: first entry place of each column, and the end
    flags: np.ndarray  # (columns with an index of their own, index flags) bool


class Format(ABC):
    """One way to store a slice. Slices come and go as (columns, slice rows): column after column.

    The defaults are those of a format that stores weights as they are, without indices.
    """

    name: ClassVar[str]
    stores_nonzeros: ClassVar[bool] = False  # and nothing else: places are nonzero weights

    def check(self, layout: Layout) -> None:
        """Raise FormatError for a layout that this format cannot follow."""
        return

    def check_weight(self, weight: np.ndarray, layout: Layout) -> None:
        """Raise FormatError for a weight (rows, columns) that this format cannot store."""
        return

    def entry_bits(self, layout: Layout) -> int:
        """Return the bits of an entry place."""
        return layout.weight_bits

    def pointer_bits(self, layout: Layout) -> int:
        """Return the bits of a column pointer; 0 where none are stored."""
        return layout.pointer_bits

    def index_span(self, layout: Layout) -> int:
        """Return the consecutive columns that share their index bits and pointer."""
        return 1

    def index_flags(self, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the index bits that columns share, from the rows of the slices, elementwise."""
        return np.zeros_like(heights)

    def values(self, fields: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the weights of entries (n,)."""
        return weights_of(fields, layout)

    def unused_places(self, weight: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the entry places of each column that belong to no row at all, (columns,)."""
        return np.zeros(weight.shape[1], np.int64)

    @abstractmethod
    def places(self, marks: np.ndarray, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Count entry places from nonzero marks (steps, pes, group, columns) -> (pes, columns).

        heights (pes,): the rows that each PE owns. The columns begin with a span's first.
        """

    @abstractmethod
    def encode(self, weight: np.ndarray, layout: Layout) -> EncodedSlice:
        """Encode a slice of codes (columns, slice rows): 0 for a weight of zero."""

    @abstractmethod
    def starts(self, flags: np.ndarray, height: int, columns: int, layout: Layout) -> np.ndarray:
        """Return the columns' first entry places, (columns + 1,), from index flags alone."""

    @abstractmethod
    def decode(self, encoded: EncodedSlice, height: int, layout: Layout) -> np.ndarray:
        """Return the slice (columns, height) int64."""


def ends_of(counts: np.ndarray) -> np.ndarray:
    """Return first places from counts per column: (columns,) -> (columns + 1,)."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def damaged(what: str) -> FormatError:
    """Return the error for words that no `pack` can have written."""
    return FormatError(
        f"matrix image is damaged: {what}; it was overwritten or belongs to another layout, "
        "so pack the matrix again"
    )
