"""What a weight matrix, its bias and its pointers must be, before anything is packed."""

import numpy as np

from spusim.formats.base import Format
from spusim.formats.codes import codes_of
from spusim.formats.errors import FormatError
from spusim.formats.layout import Layout
from spusim.formats.registry import format_of


def checked_weight(weight: np.ndarray, layout: Layout) -> np.ndarray:
    """Return weight as an integer array (rows, columns); raises FormatError if it does not fit."""
    weight = np.asarray(weight)
    if weight.ndim != 2 or 0 in weight.shape:
        raise FormatError(
            f"weight of shape {weight.shape} must be (rows, columns), at least 1 of each"
        )
    if weight.dtype.kind not in "iu":
        raise FormatError(f"weight of type {weight.dtype} must hold integers; quantise it first")
    codes_of(weight, layout)
    format_of(layout).check_weight(weight, layout)
    return weight


def checked_bias(bias: np.ndarray | None, rows: int, layout: Layout) -> np.ndarray | None:
    """Return bias as (rows,) int64, or None; raises FormatError if it does not fit the layout."""
    if (bias is None) != (layout.bias_bits == 0):
        raise FormatError(
            f"bias_bits (={layout.bias_bits}) must be 0 without a bias and positive with one, but "
            f"the bias {'is missing' if bias is None else 'is given'}"
        )
    if bias is None:
        return None
    bias = np.asarray(bias)
    if bias.shape != (rows,) or bias.dtype.kind not in "iu":
        raise FormatError(f"bias {bias.shape} of {bias.dtype} must be ({rows},) integers")
    half = 2 ** (layout.bias_bits - 1)
    for value in (int(bias.min()), int(bias.max())):
        if not -half <= value < half:
            raise FormatError(
                f"bias {value} does not fit bias_bits (={layout.bias_bits}); "
                "use a wider accumulator or rescale the layer"
            )
    return bias.astype(np.int64)


def check_pointers(form: Format, layout: Layout, places: int) -> None:
    """Raise FormatError if a slice has more entry places than a pointer can count."""
    bits = form.pointer_bits(layout)
    if bits and places >= 1 << bits:
        raise FormatError(
            f"a slice of {places} entry places in {layout.format} needs column pointers up to "
            f"{places}, and pointer_bits (={bits}) reach {(1 << bits) - 1}; give "
            f"core.sparse.pointer_bits={places.bit_length()}, prune more, or split the matrix"
        )
