"""A convolution planned once from its matrix and window: values, time and counts (T33 to T46)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spusim.arch.reuse import Itself, KeptResults
from spusim.arch.rules import conv_complaint
from spusim.arch.spec import Arch
from spusim.formats import OutlinedMatrix, entries_per_word
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_time import (
    PixelPlan,
    RowPlan,
    StoredCounts,
    pixel_plan,
    row_plan,
    run_pixel,
    stored_counts,
)
from spusim.machine.conv_values import ValuePlan, plan_values
from spusim.machine.conv_window import met_pixels, operand, tile_of, widest_window
from spusim.machine.errors import MachineError
from spusim.numerics.convolution import Convolution
from spusim.program import Matrix, Window


@dataclass(frozen=True)
class ConvPlan:
    """A matrix and a window. static: the tile's time in `pixel`, which no activation changes."""

    window: Window
    shape: Convolution
    engine: ConvEngine
    values: ValuePlan | None  # None where only time is asked for
    time: RowPlan | PixelPlan
    counts: StoredCounts
    per_word: int  # entries of a word of weights
    static: TileTime | None

    @cached_property
    def met(self) -> np.ndarray:
        """Pixels of the input that lie under the kernel at some position, (height, width) bool."""
        return met_pixels(self.window, self.shape)

    @property
    def tile(self) -> tuple[int, int]:
        """First output position, and how many there are."""
        return tile_of(self.window, self.shape)

    @property
    def accumulators(self) -> tuple[int, int]:
        """Filters and positions of the tile."""
        return self.shape.filters, self.tile[1]


def plan_conv(
    window: Window, matrix: Matrix, loaded: tuple[np.ndarray, np.ndarray | None], arch: Arch,
    load_cycles: int,
) -> ConvPlan:  # fmt: skip
    """Plan a convolution.

    loaded: the matrix's weights (filters, columns) and its bias (filters,), without which values
    are not planned; load_cycles: L of T38. Raises MachineError for what cannot be done.
    """
    _check(window, matrix, arch)
    core, layout = arch.core, matrix.packed.layout
    shape, engine = window.shape(matrix.packed.rows), conv_engine(arch, matrix)
    weights, bias = conv_weights(matrix, loaded[0], window, shape), loaded[1]
    order = "channel" if window.planar else "spatial"
    counts = _counts(matrix, window, weights, engine, core.dataflow, arch)
    plan_time = row_plan if core.dataflow == "row" else pixel_plan
    time = plan_time(shape, engine, counts, load_cycles)
    static = run_pixel(time, *tile_of(window, shape)) if isinstance(time, PixelPlan) else None
    return ConvPlan(
        window=window,
        shape=shape,
        engine=engine,
        values=None if bias is None else plan_values(shape, weights, bias, order),
        time=time,
        counts=counts,
        per_word=entries_per_word(layout),
        static=static,
    )


def _counts(
    matrix: Matrix, window: Window, weights: np.ndarray, engine: ConvEngine, dataflow: str,
    arch: Arch,
) -> StoredCounts:  # fmt: skip
    """Count what a matrix stores, of an outlined one only once for all engines that read it so."""
    shape, layout = window.shape(matrix.packed.rows), matrix.packed.layout
    reader = ConvEngine(
        engine.pes, engine.lanes, engine.macs_per_lane, weights=engine.weights,
        entries_per_cycle=engine.entries_per_cycle,
    )  # fmt: skip
    if not isinstance(matrix.packed, OutlinedMatrix):
        return stored_counts(shape, weights, reader, layout, dataflow)
    return COUNTED.get(
        (Itself(matrix), window, reader, dataflow),
        arch,
        lambda _: stored_counts(shape, weights, reader, layout, dataflow),
    )


def counted_bytes(counts: StoredCounts) -> int:
    """Return the bytes of their arrays."""
    return sum(part.nbytes for part in vars(counts).values() if isinstance(part, np.ndarray))


# of outlined matrices, which are timed again and again
COUNTED = KeptResults(counted_bytes, most=256, most_bytes=128 << 20)


def conv_engine(arch: Arch, matrix: Matrix) -> ConvEngine:
    """Return what an architecture's engine is for a matrix; raises MachineError."""
    dense = matrix.packed.layout.format == "dense"
    return engine_for(arch, matrix.precision, matrix.activation_bits, dense)


def engine_for(arch: Arch, precision: str, activation_bits: int, dense: bool = False) -> ConvEngine:
    """Return what it is for a precision (`8x16`), weights stored `dense` or in another format."""
    core = arch.core
    return ConvEngine(
        pes=core.pes,
        lanes=core.lanes,
        macs_per_lane=core.macs_per_lane(precision),
        accumulators=core.accumulators,
        queue_depth=core.queue.depth,
        release=core.queue.release,
        scanner_width=core.scanner.width,
        entries_per_cycle=core.decoder.entries_per_cycle,
        feeder_words=core.feeder.words,
        word_bits=core.data_memory.word_bits,
        activation_bits=activation_bits,
        mac_stages=core.pipeline.mac_stages,
        # a dense matrix costs what it does whatever the mode (T6)
        weights="dense" if dense else core.sparse.weights,
        activations=core.sparse.activations,
    )


def conv_weights(
    matrix: Matrix, weight: np.ndarray, window: Window, shape: Convolution
) -> np.ndarray:
    """Return weights (filters, channels of a group, R, S) of a stored matrix's (T36).

    Raises MachineError for columns that are not the window's, or weights of other groups.
    """
    filters, inputs, height, width = shape.weight_shape
    stored = inputs if matrix.packed.layout.format == "dense" else shape.channels
    if weight.shape[1] != stored * shape.places:
        raise MachineError(
            f"matrix {matrix.name} has {weight.shape[1]} columns; window {window.name} needs "
            f"{stored * shape.places}: {shape.places} places of {stored} channels"
        )
    if window.planar:
        weight = weight.reshape(filters, stored, height, width)
    else:
        weight = np.moveaxis(weight.reshape(filters, height, width, stored), 3, 1)
    if stored == inputs:
        return weight
    grouped = weight.reshape(shape.groups, -1, shape.groups, inputs, height, width)
    own = np.stack([grouped[g, :, g] for g in range(shape.groups)])
    if np.count_nonzero(own) < np.count_nonzero(weight):
        raise MachineError(
            f"matrix {matrix.name} has weights for channels of other groups than its filters'; "
            "they must be zero (T36)"
        )
    return own.reshape(shape.weight_shape)


def _check(window: Window, matrix: Matrix, arch: Arch) -> None:
    """Raise MachineError for the first thing that keeps window, matrix and engine apart."""
    core = arch.core
    if complaint := conv_complaint(arch):
        raise MachineError(complaint)
    if complaint := window.complaint(matrix.packed.rows):
        raise MachineError(f"window {window.name}: {complaint}")
    if matrix.activation_bits != window.activation_bits:
        raise MachineError(
            f"matrix {matrix.name} multiplies activations of {matrix.activation_bits} bits, "
            f"window {window.name} reads {window.activation_bits}; let them agree"
        )
    if window.planar != (core.dataflow == "pixel"):
        wanted = "planar" if core.dataflow == "pixel" else "interleaved"
        raise MachineError(
            f"window {window.name} is laid out for another dataflow: core.dataflow "
            f"(={core.dataflow}) reads {wanted} activations; recompile the program"
        )
    widest = widest_window(
        window, operand(window, 0, core.data_memory.word_bits), core.scanner.width
    )
    if core.dataflow == "row" and widest > core.data_memory.banks:
        raise MachineError(
            f"window {window.name}: the scanner's {core.scanner.width} activations lie in up to "
            f"{widest} words, which core.data_memory.banks (={core.data_memory.banks}) cannot "
            f"deliver in a cycle; set {widest} banks, or a narrower scanner"
        )
