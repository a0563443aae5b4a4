"""Interpolation between the points of a technology table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Surface:
    """A function of two variables, known on a grid: x (m,), y (n,), z (m, n), all float.

    Between points it is linear in each variable, after `scale`; beyond the last point it goes on
    along the last segment.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    logarithmic: bool

    @classmethod
    def over(
        cls,
        rows: Sequence[Sequence[float]],
        column: int,
        logarithmic: bool,
        first_axis: Callable[[float], float] = float,
    ) -> "Surface":
        """Make the surface of one column over the first two; first_axis maps the first one."""
        cells = {(first_axis(row[0]), row[1]): row[column] for row in rows}
        x, y = (sorted({cell[axis] for cell in cells}) for axis in (0, 1))
        z = [[cells[a, b] for b in y] for a in x]
        return cls(np.array(x), np.array(y), np.array(z), logarithmic)

    def at(self, x: float, y: float) -> float:
        """Return the value at (x, y)."""
        scale = np.log if self.logarithmic else np.asarray
        i, s = _segment(scale(self.x), float(scale(x)))
        j, t = _segment(scale(self.y), float(scale(y)))
        corners = scale(self.z[i : i + 2, j : j + 2])
        value = np.array([1 - s, s]) @ corners @ np.array([1 - t, t])
        return float(np.exp(value) if self.logarithmic else value)

    def covers(self, x: float, y: float) -> bool:
        """Whether (x, y) lies within the grid."""
        return bool(self.x[0] <= x <= self.x[-1] and self.y[0] <= y <= self.y[-1])


def _segment(points: np.ndarray, at: float) -> tuple[int, float]:
    """Return the segment of sorted points to use for `at`, and the place in it (0 to 1 inside)."""
    index = min(max(int(np.searchsorted(points, at)) - 1, 0), len(points) - 2)
    return index, (at - points[index]) / (points[index + 1] - points[index])
