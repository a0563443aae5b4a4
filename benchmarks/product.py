"""Sparse matrix-vector products against scipy: values and cycles, cycles only, and the timing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from benchmarks.product_kernels import cycles_only, values_and_cycles, values_only
from benchmarks.rows import Row
from benchmarks.stopwatch import Timing, interleave
from spusim.api import compile_layer, load_arch, random_layer
from spusim.kernels.engine import run_matvec
from spusim.kernels.layout import C
from spusim.machine import run_layer
from spusim.machine.host import pack_frames
from spusim.machine.load import LoadedCore, load_core

SIZE, ACTIVATION_DENSITY, SEED = 2048, 0.5, 1
WEIGHT_BITS, ACTIVATION_BITS = 8, 16
# row64 with 8 PEs, whose private memories then have to hold eight times as much each
MACHINE = ("row64", ["core.pes=8", "core.accumulators=256", "core.index_memory.words=16384",
                     "core.weight_memory.words=65536"])  # fmt: skip
WHAT = f"{SIZE} x {SIZE}, int8 x int16 -> int32, 8 PEs x 8 lanes, bitmap"
TARGETS: dict[float, tuple[float | None, float | None]] = {  # values and cycles; cycles only
    0.1: (2.0, 10.0),
    0.3: (None, None),
    0.5: (8.0, 50.0),
}
TIMING_TARGET = 1.25
ROUNDS, CALLS = 60, 8


@dataclass(frozen=True)
class Contest:
    """One product: loaded into a core, and as scipy has it."""

    core: LoadedCore
    matrix: scipy.sparse.csr_matrix
    operand: np.ndarray  # (columns,) int32
    cycles: int  # what `run_layer` finds
    events: dict[int, int]  # counter -> what one product must add to it

    def check(self) -> None:
        """Assert that what is timed gives scipy's product, and the same cycles and events."""
        arrays, state, wanted = self.core.arrays, self.core.state, self.matrix @ self.operand
        before = arrays.counters.copy()
        cycles, _ = run_matvec(state, 0, 0, 0, False)
        assert int(cycles) == self.cycles
        assert np.array_equal(arrays.acc[:SIZE], wanted)
        added = arrays.counters - before
        assert {name: int(added[name]) for name in self.events} == self.events
        for kernel in (values_only, values_and_cycles):
            arrays.acc32[:] = -1
            assert kernel(state) in (None, self.cycles)
            assert np.array_equal(arrays.acc32[:SIZE], wanted)
        assert cycles_only(state) == self.cycles

    def contestants(self) -> dict[str, Callable[[], object]]:
        """Return what is timed, by name."""
        state, matrix, operand = self.core.state, self.matrix, self.operand
        return {
            "scipy": lambda: matrix @ operand,
            "product": lambda: run_matvec(state, 0, 0, 0, False),
            "cycles": lambda: cycles_only(state),
            "values": lambda: values_only(state),
            "both": lambda: values_and_cycles(state),
        }


def load_contest(weight_density: float) -> Contest:
    """Draw a random product and load it into a core; the machine's own run says its cycles."""
    weight, frames = random_layer(
        SIZE, SIZE, weight_density, ACTIVATION_DENSITY, 1, SEED, WEIGHT_BITS, ACTIVATION_BITS
    )
    arch = load_arch(*MACHINE)
    program = compile_layer(weight, WEIGHT_BITS, ACTIVATION_BITS, arch)
    expected = run_layer(program, arch, frames)
    core = load_core(program.cores[0], program, arch)
    words = pack_frames(frames, program)[0]
    core.arrays.memory[: words.size] = words.ravel()
    pushed = int(np.count_nonzero(frames[0]))
    effective = int(np.count_nonzero(weight[:, frames[0] != 0]))
    events = {C.EFFECTIVE: effective, C.MAC: effective, C.QUEUE_PUSH: pushed * arch.core.pes}
    operand = frames[0].astype(np.int32)
    matrix = scipy.sparse.csr_matrix(weight.astype(np.int32))
    return Contest(core, matrix, operand, expected.cycles, events)


def measure_products() -> list[Row]:
    """Time every density; one row a figure."""
    measured = []
    for density in TARGETS:
        contest = load_contest(density)
        contest.check()
        measured.append((density, interleave(contest.contestants(), ROUNDS, CALLS)))
    return [row for make in (_both, _cycles, _timing, _events) for row in make(measured)]


Measured = list[tuple[float, dict[str, Timing]]]


def _both(measured: Measured) -> list[Row]:
    rows = []
    for density, times in measured:
        scipy_, ours = times["scipy"], times["product"]
        detail = f"scipy {1e6 * scipy_.warm:.0f} us, ours {1e6 * ours.warm:.0f} us"
        name = f"values and cycles / scipy CSR, density {density:g}"
        target = TARGETS[density][0]
        rows.append(Row(name, scipy_.warm / ours.warm, "x", ">=" if target else "", target, detail))
        cold = f"scipy {1e6 * scipy_.first:.0f} us, ours {1e6 * ours.first:.0f} us"
        rows.append(Row(f"{name}, first calls", scipy_.first / ours.first, detail=cold))
    return rows


def _cycles(measured: Measured) -> list[Row]:
    rows = []
    for density, times in measured:
        target = TARGETS[density][1]
        ratio = times["scipy"].warm / times["cycles"].warm
        detail = f"{1e6 * times['cycles'].warm:.1f} us"
        name = f"cycles only / scipy CSR, density {density:g}"
        rows.append(Row(name, ratio, "x", ">=" if target else "", target, detail))
    return rows


def _timing(measured: Measured) -> list[Row]:
    """Values with timing over values alone, both kernels."""
    return [
        Row(
            f"timing on top of values, density {density:g}",
            times["both"].warm / times["values"].warm, "x", "<=", TIMING_TARGET,
            f"values {1e6 * times['values'].warm:.1f} us, both {1e6 * times['both'].warm:.1f} us",
        )
        for density, times in measured
    ]  # fmt: skip


def _events(measured: Measured) -> list[Row]:
    """The whole instruction over values alone: operand, bounds, counts and banks as well."""
    return [
        Row(
            f"whole instruction on top of values, density {density:g}",
            times["product"].warm / times["values"].warm,
            detail=f"{1e6 * times['product'].warm:.1f} us",
        )
        for density, times in measured
    ]
