"""A convolution planned once from its matrix and window: values, time and counts (T33 to T46)."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spusim.arch.engine_rules import conv_complaint
from spusim.arch.reuse import Itself, KeptResults
from spusim.arch.spec import Arch, CoreSpec
from spusim.formats import OutlinedMatrix
from spusim.machine.conv_engine import ConvEngine, TileTime
from spusim.machine.conv_stored import SliceCosts, slice_costs
from spusim.machine.conv_time import (
    PixelPlan,
    RowPlan,
    pixel_plan,
    row_plan,
    run_pixel,
)
from spusim.machine.conv_values import ValuePlan, plan_values
from spusim.machine.conv_window import met_pixels, operand, tile_of, widest_window
from spusim.machine.errors import MachineError
from spusim.machine.matrix import stored_weight
from spusim.numerics import Numerics
from spusim.numerics.convolution import Convolution
from spusim.program import Matrix, Window

Stored = tuple[np.ndarray, np.ndarray | None]  # weights and bias


@dataclass(frozen=True)
class ConvPlan:
    """A matrix and a window. static: the tile's time in `pixel`, which no activation changes."""

    window: Window
    shape: Convolution
    engine: ConvEngine
    values: ValuePlan | None  # None where only time is asked for
    time: RowPlan | PixelPlan
    static: TileTime | None

    @cached_property
    def met(self) -> np.ndarray:
        """Pixels of the input that lie under the kernel at some position, (height, width) bool."""
        return met_pixels(self.window, self.shape)

    @property
    def tile(self) -> tuple[int, int]:
        """First output position, and how many there are."""
        return tile_of(self.window, self.shape)


class ConvPlanner:
    """Plans the convolutions of one core; what tiles of the same matrix share is made once."""

    def __init__(self, arch: Arch, numerics: Numerics):
        self.arch, self.numerics = arch, numerics
        self._slices: dict[Hashable, SliceCosts] = {}
        self._values: dict[Hashable, ValuePlan] = {}
        self._stored: tuple[Matrix, Stored] | None = None  # the last one that was asked for

    def plan(self, window: Window, matrix: Matrix, load_cycles: int) -> ConvPlan:
        """Plan a convolution, of an outlined matrix without its values; load_cycles: L of T38.

        Raises MachineError for what cannot be done.
        """
        _check(window, matrix, self.arch)
        shape, engine = window.shape(matrix.packed.rows), conv_engine(self.arch, matrix)
        slices = self._slices_of(window, matrix, shape, engine)
        time = PLANS[self.arch.core.dataflow](shape, engine, slices, load_cycles)
        static = run_pixel(time, *tile_of(window, shape)) if isinstance(time, PixelPlan) else None
        computed = not isinstance(matrix.packed, OutlinedMatrix)
        values = self._values_of(window, matrix, shape) if computed else None
        return ConvPlan(window, shape, engine, values, time, static)

    def _slices_of(
        self, window: Window, matrix: Matrix, shape: Convolution, engine: ConvEngine
    ) -> SliceCosts:
        """Return what a matrix's slices cost, in all its tiles; of an outlined one counted once."""
        flow, layout = self.arch.core.dataflow, matrix.packed.layout
        reader = ConvEngine(
            engine.pes, engine.lanes, engine.macs_per_lane, weights=engine.weights,
            entries_per_cycle=engine.entries_per_cycle,
        )  # fmt: skip
        identity = Itself(matrix), _kernel(shape), reader, flow

        def counted(_: Arch) -> SliceCosts:
            weights = conv_weights(matrix, self._weight(matrix)[0], window, shape)
            return slice_costs(shape, weights, reader, layout, flow)

        if isinstance(matrix.packed, OutlinedMatrix):
            return COUNTED.get(identity, self.arch, counted)
        if identity not in self._slices:
            self._slices[identity] = counted(self.arch)
        return self._slices[identity]

    def _values_of(self, window: Window, matrix: Matrix, shape: Convolution) -> ValuePlan:
        """Plan values; tiles of as many rows and columns have their weights at the same places."""
        made = shape.stride, shape.dilation, shape.out_height, shape.out_width
        identity = Itself(matrix), _kernel(shape), made
        if identity not in self._values:
            weight, bias = self._weight(matrix)
            order = "channel" if window.planar else "spatial"
            weights = conv_weights(matrix, weight, window, shape)
            self._values[identity] = plan_values(shape, weights, bias, order)
        return self._values[identity].of(shape)

    def _weight(self, matrix: Matrix) -> Stored:
        if self._stored is None or self._stored[0] is not matrix:
            self._stored = matrix, stored_weight(matrix, self.numerics)
        return self._stored[1]


def _kernel(shape: Convolution) -> tuple[int, ...]:
    """Return of a window's sizes those that a matrix has, too."""
    return shape.channels, shape.kernel_height, shape.kernel_width, shape.groups


PLANS: dict[str, Callable[[Convolution, ConvEngine, SliceCosts, int], RowPlan | PixelPlan]] = {
    "row": row_plan,
    "pixel": pixel_plan,
}
# of outlined matrices, which are timed again and again
COUNTED: KeptResults[SliceCosts] = KeptResults(
    lambda slices: slices.nbytes, most=256, most_bytes=128 << 20
)


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
    if core.dataflow == "row":
        _check_scanner(window, core)


def _check_scanner(window: Window, core: CoreSpec) -> None:
    """Raise MachineError where the scanner's window takes more words than there are banks."""
    source = operand(window, 0, core.data_memory.word_bits)
    widest = widest_window(window, source, core.scanner.width)
    if widest > core.data_memory.banks:
        raise MachineError(
            f"window {window.name}: the scanner's {core.scanner.width} activations lie in up to "
            f"{widest} words, which core.data_memory.banks (={core.data_memory.banks}) cannot "
            f"deliver in a cycle; set {widest} banks, or a narrower scanner"
        )
