"""dense: every weight of the slice, no indices, no pointers."""

from typing import ClassVar

import numpy as np

from spusim.formats.base import EncodedSlice, Format
from spusim.formats.layout import Layout


class Dense(Format):
    """Every weight stored; what a machine without weight sparsity reads."""

    name: ClassVar[str] = "dense"

    def pointer_bits(self, layout: Layout) -> int:
        """Return 0: a column's place is its number times the rows."""
        return 0

    def places(self, marks: np.ndarray, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Count the rows of the slice in every column."""
        return np.repeat(heights[:, None], marks.shape[3], axis=1)

    def encode(self, weight: np.ndarray, layout: Layout) -> EncodedSlice:
        """Take the weights as they are."""
        columns, height = weight.shape
        flags = np.zeros((columns, 0), bool)
        return EncodedSlice(weight.reshape(-1), self.starts(flags, height, columns, layout), flags)

    def starts(self, flags: np.ndarray, height: int, columns: int, layout: Layout) -> np.ndarray:
        """Columns follow each other every `height` places."""
        return np.arange(columns + 1, dtype=np.int64) * height

    def decode(self, encoded: EncodedSlice, height: int, layout: Layout) -> np.ndarray:
        """Return the weights as they are."""
        return self.values(encoded.fields, layout).reshape(len(encoded.flags), height)
