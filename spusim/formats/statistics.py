"""How the nonzero weights of a matrix are spread, for people who prune."""

from dataclasses import dataclass

import numpy as np

from spusim.formats.errors import FormatError
from spusim.formats.rows import row_owner


@dataclass(frozen=True)
class StructureStatistics:
    """Fractions of a weight matrix, 0 to 1, and the load imbalance of its PEs."""

    element_density: float  # nonzero weights
    pencil_density: float  # pencils with any nonzero weight
    zero_rows: float  # rows without any
    zero_columns: float  # columns without any
    load_imbalance: float  # most nonzeros of a PE's slice over the mean; 1 is even


def structure_statistics(weight: np.ndarray, group: int, pes: int = 1) -> StructureStatistics:
    """Describe weight (rows, columns), pencils of `group` rows, split over `pes` PEs (T1)."""
    weight = np.asarray(weight)
    if weight.ndim != 2 or 0 in weight.shape or min(group, pes) < 1:
        raise FormatError(
            f"statistics of weight {weight.shape} with group (={group}) and pes (={pes}) need "
            "(rows, columns), and at least 1 of each"
        )
    marks = weight != 0
    by_row = marks.sum(axis=1, dtype=np.int64)
    pencils = np.logical_or.reduceat(marks, np.arange(0, len(marks), group), axis=0)
    loads = np.bincount(row_owner(len(marks), pes, group), weights=by_row, minlength=pes)
    nonzeros = int(by_row.sum())
    return StructureStatistics(
        element_density=nonzeros / marks.size,
        pencil_density=float(pencils.mean()),
        zero_rows=float((by_row == 0).mean()),
        zero_columns=float((~marks.any(axis=0)).mean()),
        load_imbalance=float(loads.max() * pes / nonzeros) if nonzeros else 1.0,
    )
