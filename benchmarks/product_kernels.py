"""Compiled entries that time one plane of a product on a loaded core at a time."""

from typing import NamedTuple

import numpy as np

from spusim.kernels.contention import ENGINE_DONE, start_vector, step_cycle, step_window
from spusim.kernels.declare import kernel
from spusim.kernels.engine_state import start_engine
from spusim.kernels.layout import M
from spusim.kernels.load_phase import load_cycles
from spusim.kernels.matvec import add_columns, nonzero_columns
from spusim.kernels.rowtime import product_cycles
from spusim.kernels.stepping import step_alone

_ROWS, _COLUMNS, _WEIGHTS = int(M.ROWS), int(M.COLUMNS), int(M.WEIGHTS)
NEVER = 1 << 60


@kernel
def _timing(core, n):
    matrix = core.matrices[0]
    return product_cycles(core, matrix, core.columns, n, load_cycles(core, matrix, 0, False))


@kernel
def _sums(core, n):
    matrix = core.matrices[0]
    rows, total, begin = matrix[_ROWS], matrix[_COLUMNS], matrix[_WEIGHTS]
    sums = core.acc32[:rows]
    sums[:] = 0
    weights = core.w8[begin : begin + rows * total].reshape((total, rows))
    add_columns(weights, core.x, core.columns, n, sums)


@kernel
def cycles_only(core):
    """Find the nonzero columns of the operand in `core.x`, and the product's cycles."""
    return _timing(core, nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], core.columns))


@kernel
def values_only(core):
    """Find the nonzero columns of the operand in `core.x`, and the product in `core.acc32`."""
    _sums(core, nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], core.columns))


@kernel
def values_and_cycles(core):
    """Do what `values_only` does, and return the cycles."""
    n = nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], core.columns)
    _sums(core, n)
    return _timing(core, n)


@kernel
def stepped(core):
    """Return what `cycles_only` does, found cycle by cycle."""
    columns = core.columns
    n = nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], columns)
    return step_alone(core, 0, 0, columns, n, False)


class CompetingUnits(NamedTuple):
    """State of a core's units and the vector unit's and router's work, as `contention` has it."""

    engine: np.ndarray
    pes: np.ndarray
    last: np.ndarray
    vector: np.ndarray
    kept: np.ndarray
    bytes_: np.ndarray
    bits: np.ndarray
    transfer: np.ndarray
    accesses: np.ndarray
    taken: np.ndarray


@kernel
def _begin(core, units, elements):
    n = nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], core.columns)
    start_engine(core, 0, 0, n, False, units.engine, units.pes, units.last)
    start_vector(core, elements, 0, 0, 0, units.vector)


@kernel
def contended(core, units, elements):
    """Cycles of a product whose banks a vector instruction and a transfer want as well."""
    _begin(core, units, elements)
    now, done = 0, 0
    while not done & ENGINE_DONE:
        now, done = step_window(
            core, now, NEVER, units.engine, units.pes, core.columns, units.last, units.vector,
            units.kept, units.bytes_, units.bits, units.transfer, units.accesses, core.pe_stalls,
            core.scanner_stalls,
        )  # fmt: skip
    return now


@kernel
def contended_by_cycle(core, units, elements):
    """Return what `contended` does, with a window for every cycle."""
    _begin(core, units, elements)
    now, done = 0, 0
    while not done & ENGINE_DONE:
        done = step_cycle(
            core, now, units.engine, units.pes, core.columns, units.last, units.vector,
            units.bytes_, units.bits, units.transfer, units.accesses, units.taken, core.pe_stalls,
            core.scanner_stalls,
        )  # fmt: skip
        now += 1
    return now
