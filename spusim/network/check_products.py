"""Consistency of products, convolutions and poolings: what is multiplied, and how it leaves."""

import numpy as np

from spusim.formats import FormatError, check_codebook, weight_limits
from spusim.network.records import (
    Combine,
    Convolution,
    Curve,
    Function,
    Head,
    NetworkError,
    Pooling,
    Product,
    Requant,
    Shift,
    Tensor,
)
from spusim.numerics import MOST_LEFT, MOST_RIGHT

WEIGHT_BITS = (1, 2, 4, 8, 16)
NORMALISED_BITS = (4, 8, 16)
TABLE_BITS = 16
BIAS_LIMIT = 2**47  # what accumulators of 48 bits hold
ROUNDINGS = (None, "floor", "half_up", "half_even", "stochastic")
CURVES = ("relu", "sigmoid", "tanh", "hardsigmoid", "sqrt", "rsqrt")
POOLS = ("max", "average")

Tensors = dict[str, Tensor]


def check_product(node: Product, known: Tensors) -> None:
    """Raise NetworkError unless a product's windows, weights and heads agree."""
    if node.weight.ndim != 2:
        raise NetworkError(
            f"product {node.name} has a weight of shape {node.weight.shape}; use (rows, columns)"
        )
    _check_weight(node)
    rows, columns = node.weight.shape
    size = known[node.input].size
    if not node.windows:
        raise NetworkError(f"product {node.name} has no windows; use (0,) for a linear layer")
    for first in node.windows:
        if first < 0 or first + columns > size:
            raise NetworkError(
                f"product {node.name} has a window from {first} to {first + columns - 1}, beyond "
                f"{node.input}'s {size} elements; pad the input or drop the window"
            )
    check_rounding(node)
    if node.normalised_bits:
        _check_normalised(node, known[node.input])
    row = 0
    for head in node.heads:
        here, rest = divmod(head.output.size, len(node.windows))
        if head.first != row or rest:
            raise NetworkError(
                f"product {node.name}: head {head.output.name} begins with row {head.first} and "
                f"gives {head.output.size} elements in {len(node.windows)} windows, after {row} "
                "rows; heads take rows in order, without gap or overlap"
            )
        _check_head(head, here)
        row += here
    if row != rows:
        raise NetworkError(
            f"product {node.name} has heads for {row} of its {rows} rows; give every row a head"
        )


def _check_normalised(node: Product, source: Tensor) -> None:
    """Refuse what has no meaning beside a scale that every frame finds anew (A13 to A15)."""
    bits, quantum = node.normalised_bits, source.quantum
    if bits not in NORMALISED_BITS or quantum.bits < 4:
        raise NetworkError(
            f"product {node.name} normalises {source.name}, of {quantum.bits} bits, to {bits}; "
            f"bring 4 bits or more to one of {NORMALISED_BITS}"
        )
    if node.bias is not None:
        raise NetworkError(
            f"product {node.name} normalises {source.name} and has a bias, whose unit would change "
            "with every frame; add it to what the product makes"
        )
    if quantum.zero_point:
        raise NetworkError(
            f"product {node.name} normalises {source.name}, which has the zero point "
            f"{quantum.zero_point}; quantise it symmetrically"
        )


def _check_weight(node: Product | Convolution) -> None:
    what = _told(node)
    if node.weight_bits not in WEIGHT_BITS:
        raise NetworkError(f"{what} has {node.weight_bits}-bit weights; use one of {WEIGHT_BITS}")
    if 0 in node.weight.shape:
        raise NetworkError(f"{what} has a weight of shape {node.weight.shape}; use (rows, columns)")
    _check_codebook(node)
    low, high = (-(2**15), 2**15 - 1) if node.codebook else weight_limits(node.weight_bits)
    if node.weight.dtype.kind != "i" or not _within(node.weight, low, high):
        raise NetworkError(
            f"{what} has weights outside {node.weight_bits}-bit integers; quantise them first"
        )
    rows = len(node.weight)
    if node.bias is None:
        return
    if node.bias.shape != (rows,):
        raise NetworkError(f"{what} has bias of shape {node.bias.shape} for {rows} rows")
    if node.bias.dtype.kind != "i" or not _within(node.bias, -BIAS_LIMIT, BIAS_LIMIT - 1):
        raise NetworkError(f"{what} has a bias wider than 48 bits; rescale it")


def _told(node: Product | Convolution) -> str:
    return f"{type(node).__name__.lower()} {node.name}"


def _check_codebook(node: Product | Convolution) -> None:
    try:
        check_codebook(node.codebook, node.weight_bits)
    except FormatError as error:
        raise NetworkError(f"{_told(node)}: {error}") from error
    if node.codebook and not np.isin(node.weight, node.codebook).all():
        raise NetworkError(
            f"{_told(node)} has weights that are no entries of its codebook; quantise them "
            "to it first"
        )


def _check_head(head: Head, rows: int) -> None:
    name = head.output.name
    _check_requant(f"head {name}", head.requant, rows)
    table = head.function is not None and head.function != Curve("relu")
    if table != (head.entry is not None):
        raise NetworkError(
            f"head {name} has a {'table without' if table else 'table input'} quantum; `entry` is "
            "for tables, and only for them"
        )
    if head.entry is not None and head.entry.bits != TABLE_BITS:
        raise NetworkError(f"head {name} enters its table with {head.entry.bits} bits; use 16")
    if head.function is not None:
        check_function(name, head.function)


def _check_requant(what: str, requant: Requant, rows: int) -> None:
    multiplier, shift = requant.multiplier, requant.shift
    shapes = ((1,), (rows,))
    if multiplier.shape not in shapes or shift.shape not in shapes:
        raise NetworkError(
            f"{what} has requant shapes {(multiplier.shape, shift.shape)}; use (1,) or ({rows},)"
        )
    left = np.broadcast_to(multiplier, (rows,))[np.broadcast_to(shift, (rows,)) < 0]
    fits = _within(multiplier, 1, 2**31 - 1) and _within(shift, -MOST_LEFT, MOST_RIGHT)
    if not fits or not _within(left, 1, 1):
        raise NetworkError(
            f"{what} has a requant outside multiplier 1 to 2**31-1, shift 0 to {MOST_RIGHT} "
            f"(-{MOST_LEFT} with multiplier 1)"
        )


def check_function(name: str, function: Function) -> None:
    """Raise NetworkError for a curve that is not known, or a table that is none."""
    if isinstance(function, Curve):
        if function.function not in CURVES:
            raise NetworkError(
                f"{name} has function {function.function}; use {', '.join(CURVES)} or a Lut"
            )
        return
    entries, bits = function.entries, function.address_bits
    if not 1 <= bits <= TABLE_BITS or entries.shape != (2**bits,):
        raise NetworkError(
            f"{name}: table {function.name} has {entries.shape} entries for {bits} address bits; "
            "use 1 to 16 bits and 2**bits entries"
        )
    limit = 2 ** (TABLE_BITS - 1)
    if entries.dtype.kind != "i" or not _within(entries, -limit, limit - 1):
        raise NetworkError(f"{name}: table {function.name} has entries outside 16 bits")


def check_convolution(node: Convolution, known: Tensors) -> None:
    """Raise NetworkError unless a convolution's shapes, weights and requantisation agree."""
    shape = node.geometry
    if node.weight.shape != shape.weight_shape:
        raise NetworkError(
            f"convolution {node.name} has a weight of shape {node.weight.shape}; its geometry "
            f"needs {shape.weight_shape}"
        )
    _check_weight(node)
    takes, gives = shape.channels * shape.height * shape.width, shape.filters * shape.positions
    _check_sizes(f"convolution {node.name}", known[node.a], takes, node.output, gives)
    _check_requant(f"convolution {node.name}", node.requant, shape.filters)
    check_rounding(node)


def check_pooling(node: Pooling, known: Tensors) -> None:
    """Raise NetworkError unless a pooling's shapes and requantisation agree."""
    shape, source = node.geometry, known[node.a]
    if node.kind not in POOLS:
        raise NetworkError(f"pooling {node.name} has kind {node.kind}; use {', '.join(POOLS)}")
    if not shape.channels == shape.filters == shape.groups:
        raise NetworkError(
            f"pooling {node.name} has {shape.channels} channels, {shape.filters} filters and "
            f"{shape.groups} groups; all must be as many"
        )
    takes, gives = shape.channels * shape.height * shape.width, shape.channels * shape.positions
    _check_sizes(f"pooling {node.name}", source, takes, node.output, gives)
    if node.requant.multiplier.shape != (1,) or node.requant.shift.shape != (1,):
        raise NetworkError(f"pooling {node.name} has a requant for each channel; use one, (1,)")
    _check_requant(f"pooling {node.name}", node.requant, 1)
    if not node.count_outside and int(node.requant.multiplier[0]) * shape.places >= 2**31:
        raise NetworkError(
            f"pooling {node.name} multiplies by {node.requant.multiplier[0]} for each of "
            f"{shape.places} places; without those outside, that must be below 2**31"
        )
    _check_inside(node)
    if node.kind == "max":
        _check_maximum(node, source)
    check_rounding(node)


def _check_maximum(node: Pooling, source: Tensor) -> None:
    pair = int(node.requant.multiplier[0]), int(node.requant.shift[0])
    if source.quantum != node.output.quantum or pair != (1, 0):
        raise NetworkError(
            f"pooling {node.name} makes {node.output.quantum} of {source.name} in {source.quantum} "
            f"by {pair}; a maximum keeps the quantum, with multiplier 1 and shift 0"
        )


def _check_inside(node: Pooling) -> None:
    shape = node.geometry
    above, left, below, right = shape.padding
    empty = max(above, below) >= shape.reach[0] or max(left, right) >= shape.reach[1]
    if empty:
        raise NetworkError(
            f"pooling {node.name} has windows that lie outside its input: padding {shape.padding}, "
            f"windows {shape.reach}; pad by less than a window"
        )


def _check_sizes(what: str, source: Tensor, takes: int, output: Tensor, gives: int) -> None:
    if (source.size, output.size) != (takes, gives):
        raise NetworkError(
            f"{what} makes {output.size} elements of {source.size}; its geometry makes {gives} of "
            f"{takes}"
        )


def check_rounding(node: Product | Convolution | Pooling | Combine | Shift) -> None:
    """Raise NetworkError for a rounding that is not known."""
    if node.rounding not in ROUNDINGS:
        known = ", ".join(filter(None, ROUNDINGS))
        raise NetworkError(f"node {node.name} rounds by {node.rounding}; use {known} or None")


def _within(values: np.ndarray, low: int, high: int) -> bool:
    return values.size == 0 or bool(values.min() >= low and values.max() <= high)
