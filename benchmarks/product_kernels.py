"""Compiled entries that time one plane of a product on a loaded core at a time."""

import numba as nb

from spusim.kernels.engine import load_cycles
from spusim.kernels.layout import M, P
from spusim.kernels.matvec import add_columns, nonzero_columns
from spusim.kernels.rowtime import product_cycles
from spusim.kernels.stepping import step_alone

_ROWS, _COLUMNS, _WEIGHTS, _COSTS = int(M.ROWS), int(M.COLUMNS), int(M.WEIGHTS), int(M.COSTS)
_PES, _WIDTH, _DEPTH = int(P.PES), int(P.SCAN_WIDTH), int(P.QUEUE_DEPTH)
_DONE, _STAGES = int(P.RELEASE_DONE), int(P.MAC_STAGES)


@nb.njit(cache=True)
def _timing(core, n):
    matrix, params = core.matrices[0], core.params
    total, pes, begin = matrix[_COLUMNS], params[_PES], matrix[_COSTS]
    packed = core.packed_beats[begin : begin + total * pes].reshape((total, pes))
    return product_cycles(
        packed, core.columns, n, total, load_cycles(core, matrix, 0, False), params[_WIDTH],
        params[_DEPTH], params[_DONE], params[_STAGES], core.pe_stalls, core.scanner_stalls,
        core.pe_done, core.pe_sums, core.release,
    )  # fmt: skip


@nb.njit(cache=True)
def _sums(core, n):
    matrix = core.matrices[0]
    rows, total, begin = matrix[_ROWS], matrix[_COLUMNS], matrix[_WEIGHTS]
    sums = core.acc32[:rows]
    sums[:] = 0
    weights = core.w8[begin : begin + rows * total].reshape((total, rows))
    add_columns(weights, core.x, core.columns, n, sums)


@nb.njit(cache=True)
def cycles_only(core):
    """Find the nonzero columns of the operand in `core.x`, and the product's cycles."""
    return _timing(core, nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], core.columns))


@nb.njit(cache=True)
def values_only(core):
    """Find the nonzero columns of the operand in `core.x`, and the product in `core.acc32`."""
    _sums(core, nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], core.columns))


@nb.njit(cache=True)
def values_and_cycles(core):
    """Do what `values_only` does, and return the cycles."""
    n = nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], core.columns)
    _sums(core, n)
    return _timing(core, n)


@nb.njit(cache=True)
def stepped(core):
    """Return what `cycles_only` does, found cycle by cycle."""
    columns = core.columns
    n = nonzero_columns(core.x[: core.matrices[0, _COLUMNS]], columns)
    return step_alone(core, 0, 0, columns, n, False)
