"""Sparse tensor formats: bit images of a matrix in the PEs' memories, and what they cost."""

from spusim.formats.base import EncodedSlice, Format
from spusim.formats.codes import check_codebook, padded_codebook, weight_limits
from spusim.formats.counts import column_counts
from spusim.formats.elements import (
    ELEMENT_BITS,
    element_limits,
    pack_elements,
    unfit,
    unpack_elements,
)
from spusim.formats.errors import FormatError
from spusim.formats.footprint import footprint, smallest_format
from spusim.formats.image import pack, unpack, unpack_words
from spusim.formats.layout import (
    ColumnCounts,
    Footprint,
    Layout,
    OutlinedMatrix,
    PackedMatrix,
    weight_kind,
)
from spusim.formats.outline import outline
from spusim.formats.registry import FORMATS, entries_per_word, entry_bits, format_of
from spusim.formats.rows import GROUPED, row_owner, slice_heights, slice_rows
from spusim.formats.statistics import StructureStatistics, structure_statistics
from spusim.formats.stored import read_image, stored_image, stored_words

__all__ = [
    "ELEMENT_BITS",
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
    "check_codebook",
    "column_counts",
    "element_limits",
    "entries_per_word",
    "entry_bits",
    "footprint",
    "format_of",
    "outline",
    "pack",
    "pack_elements",
    "padded_codebook",
    "read_image",
    "row_owner",
    "slice_heights",
    "slice_rows",
    "smallest_format",
    "stored_image",
    "stored_words",
    "structure_statistics",
    "unfit",
    "unpack",
    "unpack_elements",
    "unpack_words",
    "weight_kind",
    "weight_limits",
]
