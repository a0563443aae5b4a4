"""Sparse tensor formats: bit images of a matrix in the PEs' memories, and what they cost."""

from spusim.formats.base import EncodedSlice, Format
from spusim.formats.counts import column_counts
from spusim.formats.errors import FormatError
from spusim.formats.footprint import footprint, smallest_format
from spusim.formats.image import pack, unpack, unpack_words
from spusim.formats.layout import ColumnCounts, Footprint, Layout, OutlinedMatrix, PackedMatrix
from spusim.formats.outline import outline
from spusim.formats.registry import FORMATS, entries_per_word, entry_bits, format_of
from spusim.formats.rows import GROUPED, row_owner, slice_heights, slice_rows
from spusim.formats.statistics import StructureStatistics, structure_statistics

__all__ = [
    "FORMATS",
    "GROUPED",
    "ColumnCounts",
    "EncodedSlice",
    "Footprint",
    "Format",
    "FormatError",
    "Layout",
    "OutlinedMatrix",
    "PackedMatrix",
    "StructureStatistics",
    "column_counts",
    "entries_per_word",
    "entry_bits",
    "footprint",
    "format_of",
    "outline",
    "pack",
    "row_owner",
    "slice_heights",
    "slice_rows",
    "smallest_format",
    "structure_statistics",
    "unpack",
    "unpack_words",
]
