"""block: R consecutive rows x C consecutive columns kept or dropped together, one bit a block."""

from typing import ClassVar

import numpy as np

from spusim.formats.base import EncodedSlice, Format, ends_of
from spusim.formats.errors import FormatError
from spusim.formats.layout import Layout


class Block(Format):
    """Kept blocks, a column of each after the other; one cut short below is filled with zeros.

    The layout's `group` is R, its `extent` C. C columns share one row of the map.
    """

    name: ClassVar[str] = "block"

    def check(self, layout: Layout) -> None:
        """Refuse a block without columns."""
        if not 1 <= layout.extent <= 255:
            raise FormatError(
                f"extent (={layout.extent}) of a block layout must be its columns, 1 to 255; a "
                "block of one column is a pencil"
            )

    def index_span(self, layout: Layout) -> int:
        """Return the columns of a block."""
        return layout.extent

    def index_flags(self, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Return one bit per block across the slice."""
        return np.asarray(-(-heights // layout.group))

    def places(self, marks: np.ndarray, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Count R places for every column of a block with a nonzero weight."""
        columns = marks.shape[3]
        firsts = np.arange(0, columns, layout.extent)
        kept = np.logical_or.reduceat(marks.any(axis=2), firsts, axis=2)
        counts = kept.sum(axis=0, dtype=np.int32) * layout.group
        return np.repeat(counts, layout.extent, axis=1)[:, :columns]

    def unused_places(self, weight: np.ndarray, layout: Layout) -> np.ndarray:
        """Count the missing rows of the columns of kept blocks that are cut short below."""
        rows, columns = weight.shape
        short = rows % layout.group
        if not short:
            return np.zeros(columns, np.int64)
        firsts = np.arange(0, columns, layout.extent)
        kept = np.logical_or.reduceat((weight[-short:] != 0).any(axis=0), firsts)
        return np.asarray(np.repeat(kept, layout.extent)[:columns] * (layout.group - short))

    def encode(self, weight: np.ndarray, layout: Layout) -> EncodedSlice:
        """Keep the blocks with a nonzero weight, whole."""
        columns, height = weight.shape
        filled = np.pad(weight, ((0, 0), (0, -height % layout.group)))
        stripes = filled.reshape(columns, -1, layout.group)
        firsts = np.arange(0, columns, layout.extent)
        flags = np.logical_or.reduceat(stripes.any(axis=2), firsts, axis=0)
        fields = stripes[self._spread(flags, columns, layout)].reshape(-1)
        return EncodedSlice(fields, self.starts(flags, height, columns, layout), flags)

    def starts(self, flags: np.ndarray, height: int, columns: int, layout: Layout) -> np.ndarray:
        """Count R places in each column for each bit that is set for it."""
        counts = flags.sum(axis=1) * layout.group
        return ends_of(np.repeat(counts, layout.extent)[:columns])

    def _spread(self, flags: np.ndarray, columns: int, layout: Layout) -> np.ndarray:
        """Give every column its row of the map: (map rows, blocks) -> (columns, blocks)."""
        return np.repeat(flags, layout.extent, axis=0)[:columns]

    def decode(self, encoded: EncodedSlice, height: int, layout: Layout) -> np.ndarray:
        """Put blocks where bits are set, and drop the rows that do not exist."""
        columns = len(encoded.starts) - 1
        kept = self._spread(encoded.flags, columns, layout)
        weight = np.zeros((*kept.shape, layout.group), np.int64)
        weight[kept] = self.values(encoded.fields, layout).reshape(-1, layout.group)
        return weight.reshape(columns, -1)[:, :height]
