"""Operations that multiply by a matrix of parameters."""

import math
from dataclasses import dataclass, replace

import numpy as np

from spusim.frontend.fqir.draft import Call, Draft, RowBound, width_of
from spusim.frontend.fqir.errors import PlanError
from spusim.frontend.fqir.memory import Ring
from spusim.frontend.fqir.plan import DTYPES
from spusim.frontend.fqir.value import MOST_WEIGHTS, Value, check_size
from spusim.network.records import Head, Product, Requant
from spusim.numerics import fits, overflow, round_shift

ADDEND_BITS = 32  # what a shifted bias saturates to
BIAS_BITS = 48
ONES_BITS = 8


@dataclass(frozen=True)
class Matrix:
    """weight (rows, columns) of `bits` over an operand at `windows`, and bias (rows,) or None."""

    weight: np.ndarray
    bits: int
    bias: np.ndarray | None = None
    windows: tuple[int, ...] = (0,)


def addmm(draft: Draft, call: Call) -> None:
    """Compute x @ y + bias."""
    x, matrix, shape = _factors(call)
    bias = call.inputs["bias"]
    if bias.stored is None or bias.stored.shape != matrix.weight.shape[:1] or len(shape) > 1:
        raise PlanError(
            f"{call.told}: its bias must be a parameter of {len(matrix.weight)} elements for a "
            f"product of one dimension; it has shape {bias.shape}, the product {shape}"
        )
    shifted = round_shift(bias.stored, call.right("shamt_bias"), call.rounding)
    addend = overflow(shifted, ADDEND_BITS, "saturate")
    _emit(draft, call, x, replace(matrix, bias=addend), "bw_out", shape)


def matmul(draft: Draft, call: Call) -> None:
    """Compute x @ y."""
    x, matrix, shape = _factors(call)
    _emit(draft, call, x, matrix, "bw_out", shape)


def total(draft: Draft, call: Call) -> None:
    """Sum over dimensions: a product with ones."""
    x, dim = call.inputs["x"], call.constants["dim"]
    axes = tuple(int(axis) for axis in (dim if isinstance(dim, list) else [dim]))
    rank = len(x.shape)
    if not axes or any(not -rank <= axis < rank for axis in axes):
        raise PlanError(f"{call.told}: has dim {dim} of a tensor of shape {x.shape}")
    gone = {axis % rank for axis in axes}
    kept = tuple(1 if axis in gone else length for axis, length in enumerate(x.shape))
    rows = math.prod(kept)
    check_size(f"{call.told}: its matrix", rows * x.size, MOST_WEIGHTS)
    # the output that every element of x goes into
    into = np.broadcast_to(np.arange(rows).reshape(kept), x.shape).reshape(-1)
    ones = np.zeros((rows, x.size), np.int64)
    ones[into, np.arange(x.size)] = 1
    without = tuple(length for axis, length in enumerate(kept) if axis not in gone)
    shape = kept if call.constants["keepdim"] else without
    _emit(draft, call, x, Matrix(ones, ONES_BITS), "bw", shape)


def temporal_conv2d(draft: Draft, call: Call) -> None:
    """Convolve over time, by a ring buffer, and over bands.

    The operand is put in order band, tap, channel, so that bands are windows of one matrix.
    """
    c = {name: int(value) for name, value in call.constants.items()}
    kernel = _kernel(call, c)
    out, _, bands, taps = kernel.shape
    frames = Ring(taps, c["dilation_t"]).taps(draft, call, call.inputs["input"])
    operand = _by_bands(draft, call, frames, c)
    step = taps * c["d_band_in"]  # elements of a band
    reach = (bands - 1) * c["dilation_band"] + 1
    last = c["n_band_in"] + 2 * c["padding_band"] - reach
    if last < 0:
        raise PlanError(f"{call.told}: its kernel of {reach} bands is larger than the input")
    check_size(f"{call.told}: its matrix", out * reach * step, MOST_WEIGHTS)
    weight = np.zeros((out, reach, taps, c["d_band_in"]), np.int64)
    weight[:, :: c["dilation_band"]] = kernel.transpose(0, 2, 3, 1)
    windows = tuple(band * step for band in range(0, last + 1, c["stride_band"]))
    bits = DTYPES[call.inputs["weight"].dtype]
    matrix = Matrix(weight.reshape(out, -1), bits, _addend(call, out), windows)
    _emit(draft, call, operand, matrix, "bw", (out * len(windows),))


def _kernel(call: Call, c: dict[str, int]) -> np.ndarray:
    """Return the weights (out, in, bands, taps), groups laid out in full. Raises PlanError."""
    x, given = call.inputs["input"], call.inputs["weight"]
    groups, channels = c["groups"], c["d_band_in"]
    shape = (channels // max(groups, 1), c["kernel_size_band"], c["kernel_size_t"])
    found = given.stored
    _check_weight(call, given, "weight")
    if found is None or found.ndim != 4 or found.shape[1:] != shape or groups < 1:
        raise PlanError(
            f"{call.told}: its weight has shape {given.shape}; (out, d_band_in / groups, "
            f"kernel_size_band, kernel_size_t) is (out, {', '.join(map(str, shape))})"
        )
    positive = ("stride_band", "dilation_band", "n_band_in")
    wrong = [name for name in positive if c[name] < 1] + ["padding_band"] * (c["padding_band"] < 0)
    if wrong or channels % groups or len(found) % groups:
        what = wrong[0] if wrong else "groups"
        raise PlanError(f"{call.told}: {what} (={c[what]}) is impossible for {given.shape}")
    if x.size != channels * c["n_band_in"]:
        raise PlanError(
            f"{call.told}: takes {x.size} elements; n_band_in * d_band_in are "
            f"{channels * c['n_band_in']}"
        )
    out, inner = len(found), shape[0]
    check_size(f"{call.told}: its matrix", found.size * groups, MOST_WEIGHTS)
    full = np.zeros((out, channels, *shape[1:]), np.int64)
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        full[rows, group * inner : (group + 1) * inner] = found[rows]
    return full


def _addend(call: Call, rows: int) -> np.ndarray | None:
    bias = call.inputs.get("bias")
    if bias is None:
        return None
    if bias.stored is None or bias.stored.shape != (rows,):
        raise PlanError(
            f"{call.told}: its bias must be a parameter of {rows} elements, not of {bias.shape}"
        )
    return round_shift(bias.stored, call.right("shamt_bias"), "floor")


def _by_bands(draft: Draft, call: Call, frames: list[Value], c: dict[str, int]) -> Value:
    """Return the frames' elements in order band, tap, channel, with zero bands around them."""
    channels, bands = c["d_band_in"], c["n_band_in"]
    if bands > 1 and len(frames) > 1:
        parts = [
            draft.cut(f"{call.output}.band{band}", call.layer, frame, band * channels, channels)
            for band in range(bands)
            for frame in frames
        ]
    else:
        parts = list(frames)
    if c["padding_band"]:
        size = c["padding_band"] * channels * len(frames)
        check_size(f"{call.told}: its padding", size)
        zeros = draft.constant(np.zeros(size, np.int64), call.layer)
        parts = [zeros, *parts, zeros]
    return draft.join(f"{call.output}.operand", call.layer, parts)


def _factors(call: Call) -> tuple[Value, Matrix, tuple[int, ...]]:
    """Return the operand, the matrix over it, and the product's shape. Raises PlanError."""
    x, y = call.inputs["x"], call.inputs["y"]
    if y.stored is not None and y.stored.ndim == 2 and len(x.shape) >= 1:
        inner, rows = y.stored.shape
        if x.shape[-1] == inner:
            _check_weight(call, y, "y")
            windows = tuple(range(0, x.size, inner))
            matrix = Matrix(y.stored.T, DTYPES[y.dtype], windows=windows)
            return x, matrix, (*x.shape[:-1], rows)
    elif x.stored is not None and x.stored.ndim == 2 and y.shape == x.stored.shape[1:]:
        _check_weight(call, x, "x")
        return y, Matrix(x.stored, DTYPES[x.dtype]), (len(x.stored),)
    raise PlanError(
        f"{call.told}: multiplies shapes {x.shape} and {y.shape}; y must be a parameter (in, out) "
        "for x (..., in), since a machine's matrices are stored"
    )


def _check_weight(call: Call, value: Value, name: str) -> None:
    if value.stored is None or value.dtype not in DTYPES:
        raise PlanError(
            f"{call.told}: its {name} must be a parameter of dtype {', '.join(DTYPES)}, not "
            f"{value.dtype or 'a computed tensor'}"
        )


def _emit(
    draft: Draft, call: Call, x: Value, matrix: Matrix, bw: str, shape: tuple[int, ...]
) -> None:
    bits, kept = width_of(call, bw)
    _note_bound(draft, call, x, matrix)
    rows = len(matrix.weight)
    output = draft.tensor(call.output, rows * len(matrix.windows), kept)
    shift = np.array([call.right("shamt_bwred")], np.int64)
    head = Head(0, output, Requant(np.ones(1, np.int64), shift))
    draft.nodes.append(
        Product(
            output.name, call.layer, draft.operand(x, call.layer), matrix.weight.astype(np.int32),
            matrix.bits, matrix.bias, (head,), matrix.windows, call.rounding,
        )
    )  # fmt: skip
    found = Value(output.name, shape, kept, np.full(output.size, 1 << (kept - 1), np.int64))
    draft.put(call.output, draft.narrowed(found, bits, call.layer))


def _note_bound(draft: Draft, call: Call, x: Value, matrix: Matrix) -> None:
    """Note how far sums can get, whatever the frame is. Raises PlanError beyond all machines."""
    columns = matrix.weight.shape[1]
    start = np.zeros(1, np.int64) if matrix.bias is None else matrix.bias
    if not fits(start, BIAS_BITS):
        raise PlanError(f"{call.told}: has a bias of more than {BIAS_BITS} bits; rescale it")
    sizes = np.abs(matrix.weight)
    most = max(
        int((np.abs(start) + sizes @ x.reach[first : first + columns]).max())
        for first in matrix.windows
    )
    draft.bounds.append(RowBound(call.told, most))
