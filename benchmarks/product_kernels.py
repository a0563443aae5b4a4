"""Compiled entries that time one plane of a product on a loaded core at a time."""

from spusim.kernels.declare import kernel
from spusim.kernels.layout import M
from spusim.kernels.load_phase import load_cycles
from spusim.kernels.matvec import add_columns, nonzero_columns
from spusim.kernels.rowtime import product_cycles
from spusim.kernels.stepping import step_alone

_ROWS, _COLUMNS, _WEIGHTS = int(M.ROWS), int(M.COLUMNS), int(M.WEIGHTS)


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
