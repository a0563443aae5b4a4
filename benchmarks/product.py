"""Sparse matrix-vector products against scipy: values and cycles, cycles only, and the timing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from benchmarks.product_kernels import cycles_only, values_and_cycles, values_only
from benchmarks.rows import Row
from benchmarks.stopwatch import alternate, interleave
from spusim.api import compile_layer, load_arch, random_layer
from spusim.kernels.engine import multiply
from spusim.kernels.layout import C
from spusim.machine import run_layer
from spusim.machine.host import pack_frames
from spusim.machine.load import LoadedCore, load_core

SIZE, SMALL_SIZE, ACTIVATION_DENSITY, SEED = 2048, 512, 0.5, 1
WEIGHT_BITS, ACTIVATION_BITS = 8, 16
# row64 with 8 PEs, whose private memories then have to hold eight times as much each
MACHINE = ("row64", ["core.pes=8", "core.accumulators=256", "core.index_memory.words=16384",
                     "core.weight_memory.words=65536"])  # fmt: skip
WHAT = f"{SIZE} x {SIZE}, int8 x int16 -> int32, 8 PEs x 8 lanes, bitmap"
TARGETS = {0.1: (2.5, 12.0), 0.3: (5.0, 30.0), 0.5: (9.0, 60.0)}  # values and cycles; cycles only
TIMING_TARGETS = {SIZE: 1.2, SMALL_SIZE: 1.5}
ROUNDS, CALLS, ALTERNATIONS = 60, 16, 300


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
        cycles, _ = multiply(state, 0, 0, 0, False)
        assert int(cycles) == self.cycles
        assert np.array_equal(arrays.acc[: len(wanted)], wanted)
        added = arrays.counters - before
        assert {name: int(added[name]) for name in self.events} == self.events
        for kernel in (values_only, values_and_cycles):
            arrays.acc32[:] = -1
            assert kernel(state) in (None, self.cycles)
            assert np.array_equal(arrays.acc32[: len(wanted)], wanted)
        assert cycles_only(state) == self.cycles

    def contestants(self) -> dict[str, Callable[[], object]]:
        """Return what is timed, by name."""
        state, matrix, operand = self.core.state, self.matrix, self.operand
        return {
            "scipy": lambda: matrix @ operand,
            "product": lambda: multiply(state, 0, 0, 0, False),
            "cycles": lambda: cycles_only(state),
            "values": lambda: values_only(state),
            "both": lambda: values_and_cycles(state),
        }


def load_contest(weight_density: float, size: int = SIZE) -> Contest:
    """Draw a random product and load it into a core; the machine's own run says its cycles."""
    weight, frames = random_layer(
        size, size, weight_density, ACTIVATION_DENSITY, 1, SEED, WEIGHT_BITS, ACTIVATION_BITS
    )
    arch = load_arch(*MACHINE)
    program = compile_layer(weight, WEIGHT_BITS, ACTIVATION_BITS, arch)
    expected = run_layer(program, arch, frames)
    core = load_core(program.cores[0], program, arch)
    words = pack_frames(frames, program)[0]
    core.arrays.memory[: words.size] = words.ravel()
    pushed = int(np.count_nonzero(frames[0]))
    effective = int(np.count_nonzero(weight[:, frames[0] != 0]))
    pushes = pushed * arch.core.pes
    events = {int(C.EFFECTIVE): effective, int(C.MAC): effective, int(C.QUEUE_PUSH): pushes}
    operand = frames[0].astype(np.int32)
    matrix = scipy.sparse.csr_matrix(weight.astype(np.int32))
    return Contest(core, matrix, operand, expected.cycles, events)


def measure_products() -> list[Row]:
    """Time every density; one row a figure."""
    measured = []
    for density in TARGETS:
        contest = load_contest(density)
        contest.check()
        contestants = contest.contestants()
        steady = interleave(contestants, ROUNDS, CALLS)
        two = {name: contestants[name] for name in ("scipy", "product")}
        measured.append(Measured(density, steady, alternate(two, ALTERNATIONS)))
    rows = [row for make in (both_row, _alternating, cycles_row, timing_row, _events)
            for row in map(make, measured)]  # fmt: skip
    return rows + [measure_small(density) for density in TARGETS]


def measure_steady(density: float, rounds: int) -> "Measured":
    """Time a product at one density, calls in a row only."""
    contest = load_contest(density)
    contest.check()
    return Measured(density, interleave(contest.contestants(), rounds, CALLS), {})


def measure_small(density: float, rounds: int = ROUNDS) -> Row:
    """Time the timing on top of the values of a product of SMALL_SIZE."""
    contest = load_contest(density, SMALL_SIZE)
    contest.check()
    calls = {name: contest.contestants()[name] for name in ("values", "both")}
    return timing_row(Measured(density, interleave(calls, rounds, 2 * CALLS), {}), SMALL_SIZE)


@dataclass(frozen=True)
class Measured:
    """Seconds a call, by contestant: called in a row, and in turn with scipy."""

    density: float
    steady: dict[str, float]
    in_turn: dict[str, float]


def _against_scipy(
    name: str, measured: Measured, seconds: dict[str, float], ours: str, target: float | None
) -> Row:
    ratio = seconds["scipy"] / seconds[ours]
    detail = f"scipy {1e6 * seconds['scipy']:.0f} us, ours {1e6 * seconds[ours]:.1f} us"
    label = f"{name} / scipy CSR, density {measured.density:g}"
    return Row(label, ratio, "x", ">=" if target else "", target, detail)


def both_row(measured: Measured) -> Row:
    """Values and cycles against scipy's values, calls in a row."""
    target = TARGETS[measured.density][0]
    return _against_scipy("values and cycles", measured, measured.steady, "product", target)


def _alternating(measured: Measured) -> Row:
    """Call for call in turn with scipy, whose matrix then fills the caches every time."""
    name = "the same, alternating call for call"
    return _against_scipy(name, measured, measured.in_turn, "product", None)


def cycles_row(measured: Measured) -> Row:
    """Cycles alone against scipy's values."""
    target = TARGETS[measured.density][1]
    return _against_scipy("cycles only", measured, measured.steady, "cycles", target)


def timing_row(measured: Measured, size: int = SIZE) -> Row:
    """Values with timing over values alone, both kernels."""
    values, both = measured.steady["values"], measured.steady["both"]
    detail = f"values {1e6 * values:.1f} us, both {1e6 * both:.1f} us"
    name = f"timing on top of values, {size} x {size}, density {measured.density:g}"
    return Row(name, both / values, "x", "<=", TIMING_TARGETS[size], detail)


def _events(measured: Measured) -> Row:
    """The whole instruction over values alone: operand, bounds, counts and banks as well."""
    values, whole = measured.steady["values"], measured.steady["product"]
    name = f"whole instruction on top of values, density {measured.density:g}"
    return Row(name, whole / values, detail=f"{1e6 * whole:.1f} us")
