"""Sparse matrix-vector products against scipy: values and cycles, cycles only, and the timing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from benchmarks.product_kernels import cycles_only, values_and_cycles, values_only
from benchmarks.rows import Row
from benchmarks.stopwatch import interleave
from spusim.api import compile_layer, load_arch, random_layer
from spusim.kernels.engine import run_matvec
from spusim.machine import run_layer
from spusim.machine.host import pack_frames
from spusim.machine.load import LoadedCore, load_core
from spusim.result import RunResult

SIZE, ACTIVATION_DENSITY, SEED = 2048, 0.5, 1
# row64 with 8 PEs, whose private memories then have to hold eight times as much each
MACHINE = ("row64", ["core.pes=8", "core.accumulators=256", "core.index_memory.words=16384",
                     "core.weight_memory.words=65536"])  # fmt: skip
WHAT = f"{SIZE} x {SIZE}, int8 x int16 -> int32, 8 PEs x 8 lanes, bitmap"
TARGETS = {0.1: (2.0, 10.0), 0.3: (None, None), 0.5: (8.0, 50.0)}  # values and cycles; cycles
TIMING_TARGET = 1.25
ROUNDS, CALLS = 60, 8


@dataclass(frozen=True)
class Contest:
    """One product, loaded into a core and as scipy has it."""

    core: LoadedCore
    matrix: scipy.sparse.csr_matrix
    operand: np.ndarray  # (columns,) int32
    expected: RunResult

    def check(self) -> None:
        """Assert that what is timed computes scipy's product, and the cycles of `run_layer`."""
        arrays, wanted = self.core.arrays, self.matrix @ self.operand
        assert np.array_equal(self.expected.outputs[0], wanted)
        before = arrays.counters.copy()
        cycles, _ = run_matvec(self.core.state, 0, 0, 0, False)
        assert np.array_equal(arrays.acc[:SIZE], wanted)
        assert int(cycles) == self.expected.cycles
        assert (arrays.counters - before).sum() == self._events()
        arrays.acc32[:] = -1
        assert cycles_only(self.core.state) == self.expected.cycles
        values_only(self.core.state)
        assert np.array_equal(arrays.acc32[:SIZE], wanted)
        arrays.acc32[:] = -1
        assert values_and_cycles(self.core.state) == self.expected.cycles
        assert np.array_equal(arrays.acc32[:SIZE], wanted)

    def _events(self) -> int:
        """Count the events of the product as loaded by a machine of its own."""
        other = load_core(self.core.image, *_machine_of(self))
        other.arrays.memory[:] = self.core.arrays.memory
        run_matvec(other.state, 0, 0, 0, False)
        return int(other.arrays.counters.sum())

    def contestants(self) -> dict[str, Callable[[], object]]:
        """Return what is timed, by name."""
        state, matrix, operand = self.core.state, self.matrix, self.operand
        return {
            "scipy": lambda: matrix @ operand,
            "values and cycles": lambda: run_matvec(state, 0, 0, 0, False),
            "cycles": lambda: cycles_only(state),
            "value kernel": lambda: values_only(state),
            "value and timing kernel": lambda: values_and_cycles(state),
        }
