"""What a convolution's stored matrix costs, whatever is before and behind the engine (T36 to T46).

Counted once by columns and PEs, and summed up to what each kind of slice costs.
"""

from dataclasses import dataclass, replace

import numpy as np

from spusim.formats.counts import column_counts
from spusim.formats.layout import Layout
from spusim.formats.registry import entries_per_word, format_of
from spusim.formats.rows import group_of, row_owner
from spusim.kernels.counts import count_owned
from spusim.machine.conv_engine import ConvEngine
from spusim.machine.conv_values import checked_weights
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import Convolution


@dataclass(frozen=True)
class SliceCosts:
    """What slices cost, by kind: columns (`row`) or channels (`pixel`), and the empty one, last.

    weight_words, index_words: what all PEs read for one that is pushed. nonzeros, macs (columns,):
    over all PEs.
    """

    beats: np.ndarray  # (kinds, pes) int32; of `pixel` for one group of positions
    counted: np.ndarray  # (kinds, pes) bool: beats are `busy`
    pushed: np.ndarray  # (n,) int32: kinds that `pixel` pushes for every block
    heights: np.ndarray  # (pes,) int64: filters of each PE
    weight_words: np.ndarray  # (kinds - 1,) int64
    index_words: np.ndarray  # (kinds - 1,) int64
    nonzeros: np.ndarray
    macs: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(int(part.nbytes) for part in vars(self).values())


@dataclass(frozen=True)
class StoredCounts:
    """Of the stored matrix, (columns, pes): entry places, beats of T5, weights of the groups.

    words, index_words: read for a pushed column; nonzeros, macs (columns,): over all PEs.
    """

    entries: np.ndarray
    beats: np.ndarray
    whole: np.ndarray
    heights: np.ndarray  # (pes,)
    words: np.ndarray
    index_words: np.ndarray
    nonzeros: np.ndarray
    macs: np.ndarray


def slice_costs(
    shape: Convolution, weights: np.ndarray, engine: ConvEngine, layout: Layout, dataflow: str
) -> SliceCosts:
    """Return what a convolution's slices cost an engine's PEs and lanes.

    weights (filters, channels of a group, R, S) integers; layout: how the matrix is stored, its
    PEs the engine's. Raises MachineError or FormatError.
    """
    counts = stored_counts(shape, weights, engine, layout, dataflow)
    if dataflow == "row":
        return _of_columns(counts, engine)
    return _of_channels(shape, counts, engine, entries_per_word(layout))


def _of_columns(counts: StoredCounts, engine: ConvEngine) -> SliceCosts:
    """Cost of every column (T42)."""
    beats = counts.beats
    if engine.weights == "decompress":
        beats = np.maximum(beats, -(-counts.whole // engine.entries_per_beat))
    empty = np.ones((1, engine.pes), np.int32)
    return SliceCosts(
        beats=np.concatenate([np.maximum(beats, 1), empty]).astype(np.int32),
        counted=np.concatenate([counts.entries > 0, empty == 0]),
        pushed=np.zeros(0, np.int32),
        heights=counts.heights,
        weight_words=counts.words.sum(axis=1, dtype=np.int64),
        index_words=counts.index_words.sum(axis=1, dtype=np.int64),
        nonzeros=counts.nonzeros,
        macs=counts.macs,
    )


def _of_channels(
    shape: Convolution, counts: StoredCounts, engine: ConvEngine, per_word: int
) -> SliceCosts:
    """Cost of every channel (T44, T46); per_word: entries of a word of weights."""
    by_channel = (shape.channels, shape.places, engine.pes)
    entries, whole = (
        part.reshape(by_channel).sum(axis=1) for part in (counts.entries, counts.whole)
    )
    skip = engine.weights == "skip"
    pushed = np.flatnonzero(entries.any(axis=1)) if skip else np.arange(shape.channels)
    if not pushed.size:
        pushed = np.array([shape.channels])
    beats = np.maximum(entries, whole) if engine.weights == "decompress" else entries
    beats = np.concatenate([beats, np.zeros((1, engine.pes), beats.dtype)]).astype(np.int32)
    return SliceCosts(
        beats=beats,
        counted=beats > 0,
        pushed=pushed.astype(np.int32),
        heights=counts.heights,
        weight_words=_words_of_slices(entries, per_word).sum(axis=1),
        index_words=counts.index_words.sum(axis=1).reshape(shape.channels, -1).sum(axis=1),
        nonzeros=counts.nonzeros,
        macs=counts.macs,
    )


def _words_of_slices(entries: np.ndarray, per_word: int) -> np.ndarray:
    """Return the words that each channel's entries lie in, from entries, both (channels, pes)."""
    ends = np.cumsum(entries, axis=0, dtype=np.int64)
    first, last = (ends - entries) // per_word, (ends - 1) // per_word
    words: np.ndarray = np.where(entries > 0, last - first + 1, 0)
    return words


def stored_counts(
    shape: Convolution, weights: np.ndarray, engine: ConvEngine, layout: Layout, dataflow: str
) -> StoredCounts:
    """Count a convolution's matrix; arguments as for `slice_costs`."""
    if layout.pes != engine.pes:
        raise MachineError(
            f"convolution: the matrix is stored for {layout.pes} PEs, the engine has {engine.pes}"
        )
    if (engine.weights == "dense") != (layout.format == "dense"):
        raise MachineError(
            f"convolution: weights (={engine.weights}) do not go with format {layout.format}; "
            "dense weights are stored dense, others are not"
        )
    matrix = _matrix(shape, weights, dataflow)
    dense = layout.format == "dense"
    # what `dense` stores of groups is what a bitmap would store if all weights were 1
    stored = _of_group(shape, dataflow).astype(np.int8) if dense else matrix
    layout = replace(layout, format="bitmap", codebook=()) if dense else layout
    counts = column_counts(stored, engine.entries_per_beat, layout)
    whole = _whole(shape, layout, dataflow)
    macs = counts.entries.sum(axis=1) - format_of(layout).unused_places(stored, layout)
    if engine.weights == "decompress":
        macs = whole.sum(axis=1)
    return StoredCounts(
        counts.entries, counts.beats, whole, counts.slice_rows.astype(np.int64), counts.words,
        np.zeros_like(counts.index_words) if dense else counts.index_words,
        np.count_nonzero(matrix, axis=0), macs,
    )  # fmt: skip


def _matrix(shape: Convolution, weights: np.ndarray, dataflow: str) -> np.ndarray:
    """Return the stored matrix (filters, columns) of T36."""
    weights = checked_weights(shape, weights)
    inputs, filters = shape.channels // shape.groups, shape.filters // shape.groups
    spread = np.zeros((shape.filters, shape.channels, *weights.shape[2:]), np.int16)
    for group in range(shape.groups):
        rows = slice(group * filters, (group + 1) * filters)
        spread[rows, group * inputs : (group + 1) * inputs] = weights[rows]
    ordered = spread.transpose(0, 2, 3, 1) if dataflow == "row" else spread
    return np.ascontiguousarray(ordered).reshape(shape.filters, -1)


def _of_group(shape: Convolution, dataflow: str) -> np.ndarray:
    """Return which columns (T36) are of each filter's group, (filters, columns) bool."""
    columns = np.arange(shape.channels * shape.places)
    channels = columns % shape.channels if dataflow == "row" else columns // shape.places
    inputs, filters = shape.channels // shape.groups, shape.filters // shape.groups
    own = np.arange(shape.filters)[:, None] // filters
    return np.asarray(channels[None, :] // inputs == own)


def _whole(shape: Convolution, layout: Layout, dataflow: str) -> np.ndarray:
    """Count each PE's weights in each column, zeros too, (columns, pes) int32."""
    owner = row_owner(shape.filters, layout.pes, group_of(layout))
    if shape.groups == 1:
        heights = np.bincount(owner, minlength=layout.pes).astype(np.int32)
        return np.broadcast_to(heights, (shape.channels * shape.places, layout.pes))
    whole = np.zeros((shape.channels * shape.places, layout.pes), np.int32)
    count_owned(_of_group(shape, dataflow).view(np.uint8), owner, whole)
    return whole
