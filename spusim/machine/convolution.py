"""The instruction `conv` on the machine: values, time and events (T33 to T49)."""

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.arithmetic import WRAP
from spusim.kernels.conv_layout import Stall
from spusim.kernels.layout import MAC_KINDS, C, M, Op, P, S
from spusim.kernels.vector import SCALE_BYTES, look_up, requantise
from spusim.machine.conv_engine import TileTime
from spusim.machine.conv_events import GATED, conv_events, requantised
from spusim.machine.conv_plan import ConvPlan, ConvPlanner
from spusim.machine.conv_time import PixelPlan, run_row
from spusim.machine.conv_values import run_tile_values
from spusim.machine.conv_window import (
    NO_DRAW,
    Tensor,
    activations_met,
    check_apart,
    operand,
    result,
    scale_accesses,
    window_reads,
)
from spusim.machine.errors import MachineError
from spusim.machine.external import absent_text
from spusim.machine.image_tape import Activations, Computed
from spusim.machine.load import LoadedCore
from spusim.program import TABLE_NONE, TABLE_RELU, Window

TABLE_BITS = 16
SHIFT, FILTER = 0, 2  # of `Window.scaling`
# columns of a core's stalls for those of a tile
CAUSES = {
    Stall.LOAD: S.LOAD,
    Stall.BUSY: S.BUSY,
    Stall.STARVED: S.STARVED,
    Stall.ACCUMULATORS: S.ACCUMULATORS,
    Stall.IMBALANCE: S.IMBALANCE,
    Stall.DRAIN: S.DRAIN,
    Stall.QUEUE_FULL: S.QUEUE_FULL,
    Stall.PE_WAIT: S.PE_WAIT,
}
EMPTY = {"row": S.EMPTY_COLUMN, "pixel": S.EMPTY_SLICE}


class ConvUnit:
    """Convolutions on one core's sparse engine."""

    def __init__(self, core: LoadedCore, arch: Arch):
        self.core, self.arch = core, arch
        self.word_bits = arch.core.data_memory.word_bits
        self._planner = ConvPlanner(arch, core.numerics)
        self._plans: dict[tuple[Window, int], ConvPlan] = {}

    def run(self, window: Window, m: int, d: int, a: int, table: int) -> tuple[int, np.ndarray]:
        """Execute one; return its duration and the accesses of every bank. Raises MachineError."""
        plan, memory = self._plan(window, m), self.core.arrays.memory
        source = operand(window, a, self.word_bits)
        target = result(window, plan.shape.filters, d, self.word_bits)
        target.check(memory, "outputs")
        check_apart(source, target)
        x = self._activations(plan, source, m)
        if isinstance(x, Computed):
            y = self._results(window, self._sums(plan, x.values), table)
            target.write(memory, y, int(self.core.arrays.params[P.RESULT_OVERFLOW]))
        banks = self.arch.core.data_memory.banks
        accesses = self._reads(plan, source)
        accesses += scale_accesses(window, plan.shape.filters, self.word_bits, banks)
        accesses += target.accesses(np.ones(target.words, np.int64), banks)
        time, lookups = self._time(plan, x), target.channels * target.pixels * self._entries(table)
        stages = self.arch.core.pipeline.vector_stages if requantised(plan) else 0
        ports = self.arch.core.table_memory.banks * self.arch.core.table_memory.ports
        cycles = max(time.cycles + stages, int(accesses.max()), -(-lookups // ports))
        self._add_stalls(time, cycles)
        events = conv_events(plan, time, self._met(plan, x))
        events[C.TABLE_READ] = lookups
        events[C.DATA_WRITE] = target.words
        events[C.DATA_READ] = int(accesses.sum()) - target.words
        self._count(m, events, cycles, plan.tile[1])
        return cycles, accesses

    def accumulate(
        self, window: Window, m: int, a: int
    ) -> tuple[int, np.ndarray, np.ndarray | None]:
        """Do it up to the accumulators, which nothing requantises or writes to data memory.

        Returns duration (T40), accesses of every bank, accumulators (filters, positions) int64, or
        None when replaying.
        """
        plan, source = self._plan(window, m), operand(window, a, self.word_bits)
        x = self._activations(plan, source, m)
        sums = self._sums(plan, x.values) if isinstance(x, Computed) else None
        time, accesses = self._time(plan, x), self._reads(plan, source)
        cycles = max(time.cycles, int(accesses.max()))
        self._add_stalls(time, cycles)
        events = conv_events(plan, time, self._met(plan, x))
        events[C.VECTOR_ELEMENT] = events[C.VECTOR_MULTIPLY] = 0
        events[C.DATA_READ] = int(accesses.sum())
        self._count(m, events, cycles, plan.tile[1])
        return cycles, accesses, sums

    def _plan(self, window: Window, m: int) -> ConvPlan:
        arrays, matrices = self.core.arrays, self.core.image.matrices
        if m >= len(matrices):
            raise MachineError("the program has no such matrix")
        if why := absent_text(self.core, m):
            raise MachineError(why)
        key = window, m
        if key not in self._plans:
            fetches = arrays.fetch[arrays.matrices[m, M.FETCH] :][: self.arch.core.pes]
            self._plans[key] = self._planner.plan(window, matrices[m], int(fetches.max()))
        return self._plans[key]

    # values

    def _activations(self, plan: ConvPlan, source: Tensor, m: int) -> Activations:
        memory, images, window = self.core.arrays.memory, self.core.images, plan.window
        source.check(memory, "activations")
        shape = window.channels, window.height, window.width
        if images.replays:
            return images.replay(m, self.core.image.matrices[m].operand, shape, plan.met)
        x = source.read(memory).astype(np.int16).reshape(shape)
        images.record(m, x, plan.met)
        return Computed(x)

    def _sums(self, plan: ConvPlan, x: np.ndarray) -> np.ndarray:
        params = self.core.arrays.params
        bits, wrap = int(params[P.ACC_BITS]), int(params[P.ACC_OVERFLOW]) == WRAP
        assert plan.values is not None
        sums = run_tile_values(plan.values, x, *plan.tile, bits, wrap)
        self.core.images.inexact |= sums.dtype == np.int64  # in which no bound was proved
        return sums.astype(np.int64)

    def _results(self, window: Window, sums: np.ndarray, table: int) -> np.ndarray:
        """Return f(requantise(sums)), (filters, positions) int64 (T49)."""
        arrays = self.core.arrays
        params = arrays.params
        rounding = window.rounding - 1 if window.rounding else int(params[P.ROUNDING])
        overflow = int(params[P.RESULT_OVERFLOW])
        if len(arrays.tables) <= table < TABLE_RELU:
            raise MachineError("the program has no such table")
        wide = TABLE_BITS if table < TABLE_RELU else window.output_bits
        byte = 4 * window.scale * int(params[P.WORD_BYTES])
        entries = {SHIFT: 0, FILTER: len(sums)}.get(window.scaling, 1)
        if byte + SCALE_BYTES * entries > arrays.memory.size:
            raise MachineError(f"window {window.name}: its scales lie beyond data memory")
        op = int(Op.QUANTISE_SHIFT if window.scaling == SHIFT else Op.QUANTISE_TENSOR)
        out = np.empty(sums.shape, np.int64)
        for acc, row in zip(sums, out, strict=True):
            if not requantise(
                op, acc, row.size, arrays.memory, byte, window.shift, 0, wide, 0, rounding,
                overflow, NO_DRAW, row,
            ):  # fmt: skip
                raise MachineError(
                    "a scale entry must have a multiplier below 2**31 and a shift up to 62"
                )
            byte += SCALE_BYTES if window.scaling == FILTER else 0
        return self._function(out, table)

    def _function(self, values: np.ndarray, table: int) -> np.ndarray:
        arrays = self.core.arrays
        if table == TABLE_RELU:
            return np.asarray(np.maximum(values, 0))
        if table != TABLE_NONE:
            base, address_bits, fraction_bits, interpolate = arrays.tables[table].tolist()
            entries, rounding = arrays.table_memory[base:], int(arrays.params[P.ROUNDING])
            flat = values.reshape(-1)
            look_up(entries, flat, flat.size, address_bits, fraction_bits, interpolate, rounding)
        return values

    # time and events

    def _time(self, plan: ConvPlan, x: Activations) -> TileTime:
        if plan.static is not None:
            return plan.static
        assert not isinstance(plan.time, PixelPlan)
        return run_row(plan.time, x.flags(), *plan.tile)

    def _met(self, plan: ConvPlan, x: Activations) -> np.ndarray:
        return x.met(plan.window, lambda flags: activations_met(plan.window, plan.shape, flags))

    def _reads(self, plan: ConvPlan, source: Tensor) -> np.ndarray:
        """Return how often every data bank is read for activations (T41, T45)."""
        window, banks = plan.window, self.arch.core.data_memory.banks
        if isinstance(plan.time, PixelPlan):
            pushed = plan.time.slices.pushed
            times = plan.time.blocks(*plan.tile).times
            return source.plane_accesses(pushed[pushed < window.channels], times, banks)
        width = self.arch.core.scanner.width
        return source.accesses(window_reads(window, plan.shape, source, width), banks)

    def _add_stalls(self, time: TileTime, cycles: int) -> None:
        """Add an instruction's cycles; what it takes beyond the tile's counts as `drain` (T49)."""
        arrays = self.core.arrays
        for stall, cause in CAUSES.items():
            arrays.pe_stalls[:, cause] += time.pe_stalls[:, stall]
            arrays.scanner_stalls[cause] += time.feeder_stalls[stall]
        arrays.pe_stalls[:, EMPTY[time.dataflow]] += time.pe_stalls[:, Stall.EMPTY]
        arrays.pe_stalls[:, S.DRAIN] += cycles - time.cycles
        arrays.scanner_stalls[S.DRAIN] += cycles - time.cycles

    def _entries(self, table: int) -> int:
        """Return the table entries that an element reads."""
        return 1 + int(self.core.arrays.tables[table, 3]) if table < TABLE_RELU else 0

    def _count(self, m: int, events: dict[int, int], cycles: int, positions: int) -> None:
        arrays = self.core.arrays
        matrix = arrays.matrices[m]
        kind = int(matrix[M.MAC_KIND])
        places = {C.MAC: C.MAC + kind, GATED: C.MAC + MAC_KINDS + kind}
        for event, number in events.items():
            arrays.counters[places.get(event, event)] += number
        loaded = int(matrix[M.INDEX_WRITES])
        arrays.counters[C.INDEX_WRITE] += loaded
        arrays.counters[C.WEIGHT_READ] += loaded + int(matrix[M.BIAS_READS])
        arrays.matrix_use[m] += [cycles, events[C.EFFECTIVE], positions]
