"""pencil: N consecutive rows of a column kept or dropped together, one bit a pencil."""

from typing import ClassVar

import numpy as np

from spusim.formats.base import EncodedSlice, Format, ends_of
from spusim.formats.layout import Layout


class Pencil(Format):
    """Kept pencils, each in N entry places; one cut short by the last row is filled with zeros."""

    name: ClassVar[str] = "pencil"

    def index_flags(self, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Return one bit per pencil of the slice."""
        return np.asarray(-(-heights // layout.group))

    def places(self, marks: np.ndarray, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Count N places for every pencil with a nonzero weight."""
        kept = np.asarray(marks.any(axis=2))
        return np.asarray(kept.sum(axis=0, dtype=np.int32) * layout.group)

    def unused_places(self, weight: np.ndarray, layout: Layout) -> np.ndarray:
        """Count the missing rows of the columns that keep a short last pencil."""
        short = len(weight) % layout.group
        if not short:
            return np.zeros(weight.shape[1], np.int64)
        kept = (weight[-short:] != 0).any(axis=0)
        return np.asarray(kept * (layout.group - short))

    def encode(self, weight: np.ndarray, layout: Layout) -> EncodedSlice:
        """Keep the pencils with a nonzero weight, whole."""
        columns, height = weight.shape
        filled = np.pad(weight, ((0, 0), (0, -height % layout.group)))
        pencils = filled.reshape(columns, -1, layout.group)
        flags = np.asarray(pencils.any(axis=2))
        return EncodedSlice(
            pencils[flags].reshape(-1), self.starts(flags, 0, columns, layout), flags
        )

    def starts(self, flags: np.ndarray, height: int, columns: int, layout: Layout) -> np.ndarray:
        """Count N places for each bit that is set."""
        return ends_of(flags.sum(axis=1) * layout.group)

    def decode(self, encoded: EncodedSlice, height: int, layout: Layout) -> np.ndarray:
        """Put pencils where bits are set, and drop the rows that do not exist."""
        columns, pencils = encoded.flags.shape
        weight = np.zeros((columns, pencils, layout.group), np.int64)
        values = self.values(encoded.fields, layout)
        weight[encoded.flags] = values.reshape(-1, layout.group)
        return weight.reshape(columns, -1)[:, :height]
