"""What the sparse engine's instructions mean: products with matrices as their bits say."""

import numpy as np

from spusim.golden.activation import Activation
from spusim.golden.control import Operands
from spusim.golden.errors import CodeError, UnknownError
from spusim.golden.state import DecodedMatrix
from spusim.numerics import accumulate


def spmv(t: Activation, o: Operands) -> None:
    """Set acc[0:rows] = bias + M x: M compressed."""
    _begin(t, o, _matrix(t, o, dense=False))


def spmva(t: Activation, o: Operands) -> None:
    """Set acc[0:rows] = acc + M x: M compressed."""
    _go_on(t, o, _matrix(t, o, dense=False))


def dmv(t: Activation, o: Operands) -> None:
    """Set acc[0:rows] = bias + M x: M stored dense."""
    _begin(t, o, _matrix(t, o, dense=True))


def dmva(t: Activation, o: Operands) -> None:
    """Set acc[0:rows] = acc + M x: M stored dense."""
    _go_on(t, o, _matrix(t, o, dense=True))


def _begin(t: Activation, o: Operands, m: DecodedMatrix) -> None:
    acc = accumulate(m.weight, _x(t, o, m), m.bias, t.chip.numerics, position=t.position)
    t.write_rows(o["acc"], acc)


def _go_on(t: Activation, o: Operands, m: DecodedMatrix) -> None:
    start = t.read_rows(o["acc"], len(m.weight))
    acc = accumulate(m.weight, _x(t, o, m), None, t.chip.numerics, start=start, position=t.position)
    t.write_rows(o["acc"], acc)


def _x(t: Activation, o: Operands, m: DecodedMatrix) -> np.ndarray:
    return t.read(o["src"], m.weight.shape[1], m.activation_bits) - t.zero_x


def _matrix(t: Activation, o: Operands, dense: bool) -> DecodedMatrix:
    """Return the matrix that `m` names; raises UnknownError, and CodeError for the other kind."""
    matrix = named_matrix(t, o)
    if (matrix.format == "dense") != dense:
        raise CodeError(
            f"matrix {matrix.name} is stored {matrix.format}, but the instruction is for "
            f"{'dense' if dense else 'compressed'} ones; use "
            f"{'spmv or spmva' if dense else 'dmv or dmva'}"
        )
    return matrix


def named_matrix(t: Activation, o: Operands) -> DecodedMatrix:
    """Return the resident matrix that `m` names; raises UnknownError, CodeError."""
    matrices = t.core.matrices
    if o["m"] >= len(matrices):
        raise UnknownError(
            f"matrix {o['m']} does not exist; core {t.number} has {len(matrices)} descriptors"
        )
    t.use_matrix(o["m"])
    matrix = matrices[o["m"]]
    assert matrix is not None, "a resident matrix has been decoded"
    return matrix
