"""A convolution's cycles: what is static planned once, then tiles timed (T33 to T46)."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spusim.formats.counts import column_counts
from spusim.formats.layout import Layout
from spusim.formats.registry import format_of
from spusim.formats.rows import group_of, row_owner
from spusim.kernels.conv_layout import F, Stall
from spusim.kernels.conv_places import count_met, fetch_blocks
from spusim.kernels.conv_queue import BYTE
from spusim.kernels.conv_scan import FLAGS, Pushed, flag_active, list_pushed
from spusim.kernels.conv_time import pixel_tile, row_tile
from spusim.kernels.counts import count_owned
from spusim.kernels.lanes import LANES
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_values import check_tile, checked_weights, sizes_of
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import Convolution

CHANNEL_NUMBERS = 1 << 16  # that a pixel's list of pushed channels can hold


@dataclass(frozen=True)
class RowPlan:
    """What dataflow `row` needs of a convolution's weights; kinds of slices are columns.

    Arrays with one row more than there are columns have the empty entry last.
    """

    shape: Convolution
    engine: ConvEngine
    sizes: np.ndarray
    beats: np.ndarray  # (columns + 1, pes) int32
    counted: np.ndarray  # (columns + 1, pes) bool: beats are `busy`
    costs: np.ndarray  # (64 * (columns + 1),) uint8, or empty where bytes do not do
    even: bool  # all beats are one, and queues too deep to fill
    drain: np.ndarray  # (pes,) int64
    load_cycles: int


@dataclass(frozen=True)
class PixelPlan:
    """What dataflow `pixel` needs; kinds of slices are channels and the empty one, last."""

    shape: Convolution
    engine: ConvEngine
    beats: np.ndarray  # (channels + 1, pes) int32: for one group
    kinds: np.ndarray  # (n,) int32: slices that are pushed for every block
    heights: np.ndarray  # (pes,) int64: filters of each PE
    load_cycles: int


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

    @cached_property
    def column_words(self) -> tuple[np.ndarray, np.ndarray]:
        """Words of weights and of indices of all PEs that a pushed column reads, (columns,)."""
        return self.words.sum(axis=1), self.index_words.sum(axis=1)


def plan_row(
    shape: Convolution,
    weights: np.ndarray,
    engine: ConvEngine,
    layout: Layout,
    load_cycles: int = 0,
) -> RowPlan:
    """Plan a convolution's time in dataflow `row`.

    weights (filters, channels of a group, R, S) integers; layout: how the matrix is stored, its
    PEs the engine's; load_cycles: L of T38. Raises MachineError or FormatError.
    """
    return row_plan(
        shape, engine, stored_counts(shape, weights, engine, layout, "row"), load_cycles
    )


def row_plan(
    shape: Convolution, engine: ConvEngine, counts: StoredCounts, load_cycles: int
) -> RowPlan:
    """Plan it from what the matrix stores; raises MachineError."""
    per_beat = engine.entries_per_beat
    beats = counts.beats
    if engine.weights == "decompress":
        beats = np.maximum(beats, -(-counts.whole // per_beat))
    empty = np.ones((1, engine.pes), np.int32)
    beats = np.concatenate([np.maximum(beats, 1), empty]).astype(np.int32)
    counted = np.concatenate([counts.entries > 0, empty == 0])
    _check_accumulators(engine, int(counts.heights.max()), 1)
    even = bool((beats == 1).all()) and engine.queue_depth > 1 + engine.release_done
    drain = -(-counts.heights // engine.lanes)
    return RowPlan(
        shape, engine, sizes_of(shape), beats, counted, _byte_costs(beats, engine), even, drain,
        load_cycles,
    )  # fmt: skip


def plan_pixel(
    shape: Convolution,
    weights: np.ndarray,
    engine: ConvEngine,
    layout: Layout,
    load_cycles: int = 0,
) -> PixelPlan:
    """Plan a convolution's time in dataflow `pixel`; arguments as for `plan_row`."""
    counts = stored_counts(shape, weights, engine, layout, "pixel")
    return pixel_plan(shape, engine, counts, load_cycles)


def pixel_plan(
    shape: Convolution, engine: ConvEngine, counts: StoredCounts, load_cycles: int
) -> PixelPlan:
    """Plan it from what the matrix stores; raises MachineError."""
    entries, whole = (
        part.reshape(shape.channels, shape.places, engine.pes).sum(axis=1)
        for part in (counts.entries, counts.whole)
    )
    skip = engine.weights == "skip"
    kinds = np.flatnonzero(entries.any(axis=1)) if skip else np.arange(shape.channels)
    if not kinds.size:
        kinds = np.array([shape.channels])
    beats = np.maximum(entries, whole) if engine.weights == "decompress" else entries
    beats = np.concatenate([beats, np.zeros((1, engine.pes), beats.dtype)]).astype(np.int32)
    _check_accumulators(engine, int(counts.heights.max()), engine.group)
    return PixelPlan(shape, engine, beats, kinds.astype(np.int32), counts.heights, load_cycles)


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


def stored_counts(
    shape: Convolution, weights: np.ndarray, engine: ConvEngine, layout: Layout, dataflow: str
) -> StoredCounts:
    """Count a convolution's matrix; arguments as for `plan_row`. Raises MachineError."""
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


def _check_accumulators(engine: ConvEngine, filters: int, each: int) -> None:
    if filters * each > engine.accumulators:
        raise MachineError(
            f"convolution: a PE needs {filters * each} accumulators ({filters} filters at {each} "
            f"positions) and has {engine.accumulators} in each buffer; split the filters, or set "
            f"accumulators to {filters * each}"
        )


def _byte_costs(beats: np.ndarray, engine: ConvEngine) -> np.ndarray:
    """Return costs for the recurrence by bytes, empty where a backlog could exceed a byte."""
    kinds, pes = beats.shape
    if pes > LANES or (engine.queue_depth + 1) * int(beats.max()) > BYTE:
        return np.zeros(0, np.uint8)
    costs = np.zeros((kinds, LANES), np.uint8)
    costs[:, :pes] = beats
    return costs.ravel()


def run_row(plan: RowPlan, x: np.ndarray, first: int = 0, count: int | None = None) -> TileTime:
    """Time `count` positions from `first` on, or all, in dataflow `row`.

    x (channels, height, width) integers. Raises MachineError.
    """
    shape, engine = plan.shape, plan.engine
    count = shape.positions - first if count is None else count
    check_tile(shape, first, count)
    if x.shape != (shape.channels, shape.height, shape.width):
        raise MachineError(
            f"convolution: activations have shape {x.shape}; they must be "
            f"{(shape.channels, shape.height, shape.width)}"
        )
    if shape.channels >= CHANNEL_NUMBERS:
        raise MachineError(
            f"convolution: {shape.channels} channels; at most {CHANNEL_NUMBERS - 1} can be scanned"
        )
    if engine.activations != "skip":
        x = np.ones(x.shape, np.uint8)
    x = np.ascontiguousarray(x)
    times = np.zeros(len(plan.beats), np.int64)
    count_met(x, plan.sizes, first, first + count, times[:-1].reshape(shape.places, -1))
    pushed, windows = _pushed(x.reshape(shape.channels, -1), engine.scanner_width)
    feeder, ring = np.empty(F.COUNT, np.int64), np.empty(engine.queue_depth, np.int64)
    stalls, feeder_stalls = _no_stalls(engine)
    cycles = row_tile(
        first, first + count, plan.sizes, pushed, windows, plan.beats, plan.counted, plan.costs,
        plan.even, engine.release_done, plan.drain, plan.load_cycles, engine.mac_stages, feeder,
        ring, np.empty(engine.pes, np.int64), times, stalls, feeder_stalls,
    )  # fmt: skip
    return TileTime(int(cycles), "row", stalls, feeder_stalls, times, int(feeder[F.WINDOWS]))


def _pushed(x: np.ndarray, width: int) -> tuple[Pushed, int]:
    """Return what a scanner of `width` finds in x (channels, pixels), and a pixel's windows."""
    channels, pixels = x.shape
    flags = np.empty((-(-channels // FLAGS), pixels), np.uint64)
    flag_active(x, flags)
    most = int(np.bitwise_count(flags).sum()) + 1
    found = Pushed(
        np.empty(pixels + 2, np.int32), np.empty(most, np.uint16), np.empty(most, np.uint16),
        np.empty(pixels + 1, np.int32), np.empty(pixels + 1, np.int32),
    )  # fmt: skip
    list_pushed(flags, (np.arange(channels) // width).astype(np.uint16), found)
    return found, -(-channels // width)


def run_pixel(plan: PixelPlan, first: int = 0, count: int | None = None) -> TileTime:
    """Time `count` positions from `first` on, or all, in dataflow `pixel`. Raises MachineError."""
    shape, engine = plan.shape, plan.engine
    count = shape.positions - first if count is None else count
    check_tile(shape, first, count)
    groups = blocks_of(count, int(plan.heights.max()), engine)
    words, _ = fetched_words(shape, block_bounds(first, count, groups, engine), engine)
    empty = plan.kinds[0] == shape.channels
    fetched = np.zeros_like(words) if empty else words
    feeder, ring = np.empty(F.COUNT, np.int64), np.empty(engine.queue_depth, np.int64)
    stalls, feeder_stalls = _no_stalls(engine)
    cycles = pixel_tile(
        plan.beats, plan.beats > 0, plan.kinds, groups,
        np.maximum(1, -(-fetched // engine.feeder_words)), engine.release_done, plan.heights,
        plan.load_cycles, engine.mac_stages, feeder, ring, np.empty(engine.pes, np.int64), stalls,
        feeder_stalls,
    )  # fmt: skip
    pushed = np.zeros(len(plan.beats), np.int64)
    pushed[plan.kinds] = len(groups)
    examined = int(fetched.sum()) * len(plan.kinds)
    return TileTime(int(cycles), "pixel", stalls, feeder_stalls, pushed, examined)


def _no_stalls(engine: ConvEngine) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((engine.pes, Stall.COUNT), np.int64), np.zeros(Stall.COUNT, np.int64)


def blocks_of(positions: int, filters: int, engine: ConvEngine) -> np.ndarray:
    """Return the groups of each block of a tile (T43), filters those of the PE with most."""
    groups = -(-positions // engine.group)
    most = engine.accumulators // engine.group // filters
    blocks = -(-groups // most)
    sizes = np.full(blocks, groups // blocks, np.int64)
    sizes[: groups % blocks] += 1
    return sizes


def block_bounds(first: int, count: int, groups: np.ndarray, engine: ConvEngine) -> np.ndarray:
    """Return the positions at which blocks of so many groups begin, and the end, (n + 1,)."""
    ends = np.minimum(np.cumsum(groups) * engine.group, count)
    return first + np.concatenate([[0], ends])


def fetched_words(
    shape: Convolution, bounds: np.ndarray, engine: ConvEngine
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many words of a channel each block needs, and how many blocks each word (T45).

    bounds: as `block_bounds` gives them. (blocks,) and (words of a plane,) int64.
    """
    per_word = engine.word_bits // engine.activation_bits
    words = np.empty(len(bounds) - 1, np.int64)
    times = np.zeros(-(-shape.height * shape.width // per_word), np.int64)
    fetch_blocks(bounds, sizes_of(shape), per_word, words, times)
    return words, times
