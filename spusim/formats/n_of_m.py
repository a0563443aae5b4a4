"""n_of_m: N of every M consecutive rows of a column, each with its row within the group."""

from typing import ClassVar

import numpy as np

from spusim.formats.base import EncodedSlice, Format, damaged
from spusim.formats.errors import FormatError
from spusim.formats.layout import Layout


class NOfM(Format):
    """N places a group whatever is in it, so that every column costs every PE the same.

    The layout's `group` is M, its `extent` N. Groups go down a column, since a PE works on one
    column at a time: of groups along a row it would read N of M entries and use one at most.
    """

    name: ClassVar[str] = "n_of_m"

    def check(self, layout: Layout) -> None:
        """Refuse to keep more than there are, or nothing."""
        if not 1 <= layout.extent <= layout.group:
            raise FormatError(
                f"extent (={layout.extent}) of an n_of_m layout must be the weights kept of each "
                f"group of {layout.group} (its N, 1 to M); e.g. group=4 and extent=2 for 2:4"
            )

    def check_weight(self, weight: np.ndarray, layout: Layout) -> None:
        """Refuse a weight with more than N nonzeros in a group."""
        rows, columns = weight.shape
        marks = np.pad(weight != 0, ((0, -rows % layout.group), (0, 0)))
        found = marks.reshape(-1, layout.group, columns).sum(axis=1)
        if found.max() > layout.extent:
            group, column = (int(k) for k in np.argwhere(found > layout.extent)[0])
            first = group * layout.group
            raise FormatError(
                f"rows {first} to {min(first + layout.group, rows) - 1} of column {column} have "
                f"{found[group, column]} nonzero weights, and n_of_m {layout.extent}:"
                f"{layout.group} stores {layout.extent}; prune with structure n_of_m:"
                f"{layout.extent}:{layout.group} (groups of outputs), or use format auto, which "
                "stores such a matrix in another way"
            )

    def pointer_bits(self, layout: Layout) -> int:
        """Return 0: all columns have as many places."""
        return 0

    def index_flags(self, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the bits of the rows within the groups of a column."""
        return self._column_places(heights, layout) * _row_bits(layout)

    def _column_places(self, heights: np.ndarray, layout: Layout) -> np.ndarray:
        return np.asarray(-(-heights // layout.group) * layout.extent)

    def places(self, marks: np.ndarray, heights: np.ndarray, layout: Layout) -> np.ndarray:
        """Count N places a group."""
        counts = self._column_places(heights, layout)
        return np.repeat(counts[:, None], marks.shape[3], axis=1)

    def unused_places(self, weight: np.ndarray, layout: Layout) -> np.ndarray:
        """Count what a last group has fewer rows than places."""
        rows, columns = weight.shape
        short = rows % layout.group
        return np.full(columns, max(0, layout.extent - short) if short else 0)

    def encode(self, weight: np.ndarray, layout: Layout) -> EncodedSlice:
        """Take the nonzero weights of each group, and its first zeros where they are too few."""
        columns, height = weight.shape
        groups = np.pad(weight, ((0, 0), (0, -height % layout.group)))
        groups = groups.reshape(columns, -1, layout.group)
        nonzero_first = np.argsort(groups == 0, axis=2, kind="stable")
        rows = np.sort(nonzero_first[:, :, : layout.extent], axis=2)
        fields = np.take_along_axis(groups, rows, axis=2).reshape(-1)
        flags = (rows[..., None] >> np.arange(_row_bits(layout)) & 1).astype(bool)
        flags = flags.reshape(columns, -1) if flags.size else np.zeros((columns, 0), bool)
        return EncodedSlice(fields, self.starts(flags, height, columns, layout), flags)

    def starts(self, flags: np.ndarray, height: int, columns: int, layout: Layout) -> np.ndarray:
        """Columns follow each other every N places a group."""
        places = int(self._column_places(np.array(height), layout))
        return np.arange(columns + 1, dtype=np.int64) * places

    def decode(self, encoded: EncodedSlice, height: int, layout: Layout) -> np.ndarray:
        """Put each entry in its row, and drop the rows that do not exist."""
        columns, bits = len(encoded.starts) - 1, _row_bits(layout)
        groups = -(-height // layout.group)
        shape = (columns, groups, layout.extent)
        rows = (encoded.flags.reshape(*shape, bits) << np.arange(bits)).sum(axis=3)
        if (rows >= layout.group).any() or (np.diff(rows, axis=2) <= 0).any():
            raise damaged(f"the rows of a group do not ascend below {layout.group}")
        weight = np.zeros((columns, groups, layout.group), np.int64)
        values = self.values(encoded.fields, layout).reshape(shape)
        np.put_along_axis(weight, rows, values, axis=2)
        return weight.reshape(columns, -1)[:, :height]


def _row_bits(layout: Layout) -> int:
    """Return the bits of a row within a group: ceil(log2 M)."""
    return (layout.group - 1).bit_length()
