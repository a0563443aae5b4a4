"""A convolution's cycles: what is static planned once, then tiles timed (T33 to T46)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spusim.formats.layout import Layout
from spusim.kernels.conv_layout import F, Stall
from spusim.kernels.conv_places import count_met, fetch_blocks
from spusim.kernels.conv_queue import BYTE
from spusim.kernels.conv_scan import FLAGS, Pushed, flag_active, list_pushed
from spusim.kernels.conv_time import pixel_tile, row_tile
from spusim.kernels.lanes import LANES
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_stored import SliceCosts, slice_costs
from spusim.machine.conv_values import check_tile, sizes_of
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import Convolution

CHANNEL_NUMBERS = 1 << 16  # that a pixel's list of pushed channels can hold


@dataclass(frozen=True)
class RowPlan:
    """What dataflow `row` needs of a convolution's weights."""

    shape: Convolution
    engine: ConvEngine
    slices: SliceCosts
    sizes: np.ndarray
    costs: np.ndarray  # (64 * kinds,) uint8: the beats, or empty where bytes do not do
    even: bool  # all beats are one, and queues too deep to fill
    drain: np.ndarray  # (pes,) int64
    load_cycles: int


@dataclass(frozen=True)
class PixelPlan:
    """What dataflow `pixel` needs."""

    shape: Convolution
    engine: ConvEngine
    slices: SliceCosts
    load_cycles: int

    def blocks(self, first: int, count: int) -> "Blocks":
        """Return how a tile of `count` positions from `first` on is cut and fetched."""
        engine = self.engine
        cutting = ConvEngine(
            1, engine.lanes, engine.macs_per_lane, engine.accumulators,
            word_bits=engine.word_bits, activation_bits=engine.activation_bits,
        )  # fmt: skip
        return _blocks(self.shape, first, count, int(self.slices.heights.max()), cutting)


@dataclass(frozen=True)
class Blocks:
    """A tile's blocks (T43): the groups of each, and the words of a channel that it needs (T45).

    times (words of a plane,): how many blocks need each word.
    """

    groups: np.ndarray
    words: np.ndarray
    times: np.ndarray


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
    return row_plan(shape, engine, slice_costs(shape, weights, engine, layout, "row"), load_cycles)


def row_plan(
    shape: Convolution, engine: ConvEngine, slices: SliceCosts, load_cycles: int
) -> RowPlan:
    """Plan it from what the slices cost; raises MachineError."""
    _check_accumulators(engine, int(slices.heights.max()), 1)
    even = engine.queue_depth > 1 + engine.release_done and bool((slices.beats == 1).all())
    drain = -(-slices.heights // engine.lanes)
    costs = _byte_costs(slices.beats, engine)
    return RowPlan(shape, engine, slices, sizes_of(shape), costs, even, drain, load_cycles)


def plan_pixel(
    shape: Convolution,
    weights: np.ndarray,
    engine: ConvEngine,
    layout: Layout,
    load_cycles: int = 0,
) -> PixelPlan:
    """Plan a convolution's time in dataflow `pixel`; arguments as for `plan_row`."""
    slices = slice_costs(shape, weights, engine, layout, "pixel")
    return pixel_plan(shape, engine, slices, load_cycles)


def pixel_plan(
    shape: Convolution, engine: ConvEngine, slices: SliceCosts, load_cycles: int
) -> PixelPlan:
    """Plan it from what the slices cost; raises MachineError."""
    _check_accumulators(engine, int(slices.heights.max()), engine.group)
    return PixelPlan(shape, engine, slices, load_cycles)


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
    shape, engine, slices = plan.shape, plan.engine, plan.slices
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
    times = np.zeros(len(slices.beats), np.int64)
    count_met(x, plan.sizes, first, first + count, times[:-1].reshape(shape.places, -1))
    pushed, windows = _pushed(x.reshape(shape.channels, -1), engine.scanner_width)
    feeder, ring = np.empty(F.COUNT, np.int64), np.empty(engine.queue_depth, np.int64)
    stalls, feeder_stalls = _no_stalls(engine)
    cycles = row_tile(
        first, first + count, plan.sizes, pushed, windows, slices.beats, slices.counted, plan.costs,
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
    shape, engine, slices = plan.shape, plan.engine, plan.slices
    count = shape.positions - first if count is None else count
    check_tile(shape, first, count)
    blocks = plan.blocks(first, count)
    empty = slices.pushed[0] == shape.channels
    fetched = np.zeros_like(blocks.words) if empty else blocks.words
    feeder, ring = np.empty(F.COUNT, np.int64), np.empty(engine.queue_depth, np.int64)
    stalls, feeder_stalls = _no_stalls(engine)
    cycles = pixel_tile(
        slices.beats, slices.counted, slices.pushed, blocks.groups,
        np.maximum(1, -(-fetched // engine.feeder_words)), engine.release_done, slices.heights,
        plan.load_cycles, engine.mac_stages, feeder, ring, np.empty(engine.pes, np.int64), stalls,
        feeder_stalls,
    )  # fmt: skip
    pushed = np.zeros(len(slices.beats), np.int64)
    pushed[slices.pushed] = len(blocks.groups)
    examined = int(fetched.sum()) * len(slices.pushed)
    return TileTime(int(cycles), "pixel", stalls, feeder_stalls, pushed, examined)


def _no_stalls(engine: ConvEngine) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((engine.pes, Stall.COUNT), np.int64), np.zeros(Stall.COUNT, np.int64)


@lru_cache(maxsize=128)  # points that differ in queue or pipeline cut a layer alike
def _blocks(shape: Convolution, first: int, count: int, filters: int, engine: ConvEngine) -> Blocks:
    groups = blocks_of(count, filters, engine)
    return Blocks(groups, *fetched_words(shape, block_bounds(first, count, groups, engine), engine))


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
