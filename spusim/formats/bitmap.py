"""bitmap: the nonzero weights, and one bit a row that says which they are."""

from typing import ClassVar

import numpy as np

from spusim.formats.base import EncodedSlice, Format, ends_of
from spusim.formats.layout import Layout


class Bitmap(Format):
    """Nonzero weights; bit k of a column's index is set for a nonzero k-th row of the slice."""

    name: ClassVar[str] = "bitmap"
    stores_nonzeros: ClassVar[bool] = True

    def index_flags(self, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Return one bit per row of the slice."""
        return heights

    def places(self, marks: np.ndarray, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Count the nonzero weights."""
        return np.asarray(marks[:, :, 0].sum(axis=0, dtype=np.int32))

    def encode(self, weight: np.ndarray, layout: Layout) -> EncodedSlice:
        """Keep the nonzero weights."""
        flags = weight != 0
        return EncodedSlice(weight[flags], self.starts(flags, 0, len(flags), layout), flags)

    def starts(self, flags: np.ndarray, height: int, columns: int, layout: Layout) -> np.ndarray:
        """Count the bits that are set."""
        return ends_of(flags.sum(axis=1))

    def decode(self, encoded: EncodedSlice, height: int, layout: Layout) -> np.ndarray:
        """Put the entries where bits are set."""
        weight = np.zeros(encoded.flags.shape, np.int64)
        weight[encoded.flags] = self.values(encoded.fields, layout)
        return weight
