"""What a checkpoint holds, without a topology: shapes, densities by structure, memory by format."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from spusim.formats import FORMATS, FormatError, Layout, footprint, structure_statistics
from spusim.frontend.checkpoint import Checkpoint, read_checkpoint
from spusim.frontend.structures import Structure

_WORD_BITS = 64
_INDEX_BITS = 4
_POINTER_BITS = (0, 16)  # tried in turn: none where the format can do without
_WIDEST_POINTER_BITS = 32
_N, _M = 2, 4


@dataclass(frozen=True)
class LayerStatistics:
    """A tensor of a checkpoint; what follows `dtype` is None or empty unless it is a weight.

    Densities are fractions from 0 to 1: of nonzero elements; of pencils, blocks, rows (outputs)
    and columns (inputs) with any nonzero; of a convolution also of its kernels (one output's taps
    over one input) and filters. imbalance: nonzeros of the fullest PE over the mean.
    format_bytes: bytes of the weight in each format, n_of_m as 2:4; None where impossible.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    element_density: float | None = None
    pencil_density: float | None = None
    block_density: float | None = None
    row_density: float | None = None
    column_density: float | None = None
    kernel_density: float | None = None
    filter_density: float | None = None
    imbalance: float | None = None
    format_bytes: dict[str, int | None] = field(default_factory=dict)

    @property
    def is_weight(self) -> bool:
        """Whether it has two dimensions or more, and so a matrix's statistics."""
        return self.element_density is not None


def inspect_checkpoint(
    path: str | Path,
    pes: int = 8,
    group: int = 8,
    weight_bits: int = 8,
    block: tuple[int, int] = (4, 4),
) -> list[LayerStatistics]:
    """Describe every tensor of a checkpoint file, in its order; see `inspect_tensors`."""
    return inspect_tensors(read_checkpoint(path), pes, group, weight_bits, block)


def inspect_tensors(
    checkpoint: Checkpoint,
    pes: int = 8,
    group: int = 8,
    weight_bits: int = 8,
    block: tuple[int, int] = (4, 4),
) -> list[LayerStatistics]:
    """Describe every tensor of a checkpoint, in its order.

    Weights of more than two dimensions count as (out, all others). `pes` PEs share a matrix;
    pencils have `group` rows, blocks `block` rows x columns; memory is for 64-bit words of
    `weight_bits` weights, without bias. Raises FormatError for impossible pes, group or
    weight_bits.
    """
    return [
        _described(name, values, checkpoint.dtypes[name], (pes, group, weight_bits), block)
        for name, values in checkpoint.tensors.items()
    ]


def _described(
    name: str,
    values: np.ndarray,
    dtype: str,
    layout: tuple[int, int, int],
    block: tuple[int, int],
) -> LayerStatistics:
    if values.ndim < 2 or values.size == 0:
        return LayerStatistics(name, values.shape, dtype)
    marks = (values != 0).astype(np.int8).reshape(len(values), -1)
    pes, group, _ = layout
    found = structure_statistics(marks, group, pes)
    filters = values.ndim > 2
    return LayerStatistics(
        name,
        values.shape,
        dtype,
        found.element_density,
        found.pencil_density,
        _density(marks, Structure("block", *block).groups(values.shape)),
        1.0 - found.zero_rows,
        1.0 - found.zero_columns,
        _density(marks, Structure("kernel").groups(values.shape)) if filters else None,
        1.0 - found.zero_rows if filters else None,
        found.load_imbalance,
        {form: _bytes(marks, form, layout, block) for form in FORMATS},
    )


def _density(marks: np.ndarray, groups: np.ndarray) -> float:
    """Return the fraction of groups with any nonzero."""
    return float((np.bincount(groups.ravel(), weights=marks.ravel()) > 0).mean())


def _bytes(
    marks: np.ndarray, form: str, shares: tuple[int, int, int], block: tuple[int, int]
) -> int | None:
    """Return the bytes of a matrix in a format, with the narrowest pointers that reach."""
    pes, pencil, weight_bits = shares
    groups = {"pencil": (pencil, 0), "block": block, "n_of_m": (_M, _N)}
    group, extent = groups.get(form, (1, 0))
    for pointer_bits in _POINTER_BITS:
        layout = Layout(
            form, pes, _WORD_BITS, _WORD_BITS, weight_bits, group, _INDEX_BITS, pointer_bits,
            extent=extent,
        )  # fmt: skip
        with suppress(FormatError):
            return footprint(marks, layout).total // 8
    if extent:  # more than N of M, or a block too wide
        return None
    return footprint(marks, replace(layout, pointer_bits=_WIDEST_POINTER_BITS)).total // 8
