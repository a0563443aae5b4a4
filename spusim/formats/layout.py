"""Records of a packed matrix: how it was asked for, and what came out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    """How to pack: everything the bit image depends on besides the weights."""

    format: str  # dense, bitmap, run_length, pencil, block, n_of_m
    pes: int
    word_bits: int  # of the weight memory
    index_word_bits: int  # of the index memory
    weight_bits: int  # 1 (a sign), 2 (ternary), 4, 8, 16; two's complement from 2 on
    group: int = 1  # rows of a pencil, block or N:M group (its M); 1 for the other formats
    index_bits: int = 4  # run_length: relative row index
    pointer_bits: int = 0  # column pointers; 0: not stored (summed up while loading)
    bias_bits: int = 0  # 0: no bias
    extent: int = 0  # columns of a block, N of an N:M group; 0 for the other formats
    codebook: tuple[int, ...] = ()  # what weights of 4 bits are indices of; empty: integers

    @property
    def weight_kind(self) -> str:
        """Weights as `core.precisions` names them, such as `8`, or `c16` with a codebook."""
        return weight_kind(self.weight_bits, self.codebook)


def weight_kind(weight_bits: int, codebook: Sequence[int] = ()) -> str:
    """Return what `core.precisions` calls weights: their bits, with a codebook its entries'."""
    if not codebook:
        return str(weight_bits)
    return "c8" if min(codebook) >= -128 and max(codebook) < 128 else "c16"


@dataclass(frozen=True)
class Footprint:
    """Bits of a packed matrix over all PEs; `total` is what it occupies."""

    values: int  # nonzero weights
    explicit_zeros: int  # stored zeros: dense, padding of run_length, inside kept groups
    indices: int
    pointers: int
    bias: int
    padding: int  # unused ends of words, short groups' unused places

    @property
    def total(self) -> int:
        """All bits."""
        return (
            self.values + self.explicit_zeros + self.indices
            + self.pointers + self.bias + self.padding
        )  # fmt: skip


@dataclass(frozen=True)
class PackedMatrix:
    """A matrix as the PEs' memories hold it.

    Per PE p: `slices[p]` the words of bias then entries, `indices[p]` the words of pointers then
    indices (stored in front of the slice with `preload`, else in the index memory). Words are
    rows of a (words, word_bits / 8) uint8 array, little-endian, lowest bits first.
    """

    layout: Layout
    rows: int
    columns: int
    slices: tuple[np.ndarray, ...]
    indices: tuple[np.ndarray, ...]
    bias_words: tuple[int, ...]  # words of bias at the head of each slice
    footprint: Footprint


@dataclass(frozen=True)
class OutlinedMatrix(PackedMatrix):
    """A matrix of which only the extent of its words is known, as they would be packed.

    Enough to place and to time it; its words are all zero, and must not be read.
    """

    weight: np.ndarray  # (rows, columns) integers
    entries: np.ndarray  # (columns, pes) int32: entry places
    nonzeros: np.ndarray  # (columns, pes) int32: nonzero weights


@dataclass(frozen=True)
class ColumnCounts:
    """Static counts of a packed matrix; (columns, pes) int32 arrays.

    They fix time and energy: rules T5 and T6 of docs/timing.md turn them into cycles.
    """

    entries: np.ndarray  # entry places of the column
    words: np.ndarray  # words that hold them
    beats: np.ndarray  # T5 cycles for `entries_per_beat`; 0 where there are no entries
    nonzeros: np.ndarray  # nonzero weights among the entries
    index_words: np.ndarray  # index memory words read when the column is popped
    slice_rows: np.ndarray  # (pes,) rows that a PE owns
