"""T1: which PE owns which row of a matrix."""

import numpy as np

from spusim.formats.layout import Layout

GROUPED = ("pencil", "block", "n_of_m")  # formats of which `group` rows belong together


def group_of(layout: Layout) -> int:
    """Return the consecutive rows that always go to the same PE."""
    return layout.group if layout.format in GROUPED else 1


def row_owner(rows: int, pes: int, group: int) -> np.ndarray:
    """Return the PE of each row, (rows,) int64."""
    return np.asarray(np.arange(rows) // group % pes)


def slice_rows(rows: int, layout: Layout) -> tuple[np.ndarray, ...]:
    """Return per PE the rows that it owns, ascending; a PE may own none."""
    group = group_of(layout)
    owner = row_owner(rows, layout.pes, group)
    return tuple(np.flatnonzero(owner == pe) for pe in range(layout.pes))


def slice_heights(rows: int, layout: Layout) -> np.ndarray:
    """Return how many rows each PE owns, (pes,) int64."""
    return np.bincount(row_owner(rows, layout.pes, group_of(layout)), minlength=layout.pes)


def owned(marks: np.ndarray, pes: int, group: int) -> np.ndarray:
    """View marks (rows, columns) as (steps, pes, group, columns), zeros where rows are missing.

    Step s of PE p is row group s * pes + p.
    """
    rows, columns = marks.shape
    missing = -rows % (pes * group)
    if missing:
        marks = np.concatenate([marks, np.zeros((missing, columns), marks.dtype)])
    return marks.reshape(-1, pes, group, columns)
