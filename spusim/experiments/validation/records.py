"""A validation as records: published, ours, and what the difference means."""

from dataclasses import dataclass
from typing import Any

from spusim.experiments.charts.records import Chart


@dataclass(frozen=True)
class Row:
    """One published figure and ours. within: relative error that must hold; None: only shown.

    published is None where a figure of ours stands beside others without a published one; above:
    what such a figure must be more than.
    """

    name: str
    unit: str
    published: float | None
    ours: float
    within: float | None = None
    note: str = ""
    above: float | None = None

    @property
    def error(self) -> float | None:
        """Ours over published, less one; None where there is nothing to divide by."""
        return self.ours / self.published - 1 if self.published else None

    @property
    def holds(self) -> bool | None:
        """Whether the error is within what must hold; None where nothing must."""
        if self.above is not None:
            return self.ours > self.above
        if self.within is None or self.error is None:
            return None
        return abs(self.error) <= self.within

    def record(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "published": self.published,
            "ours": self.ours,
            "error": self.error,
            "within": self.within,
            "above": self.above,
            "holds": self.holds,
            "note": self.note,
        }


@dataclass(frozen=True)
class Study:
    """Rows of one source, what explains them, and a figure."""

    name: str
    title: str
    source: str
    arch: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    chart: Chart

    @property
    def holds(self) -> bool:
        """Whether every row that must hold does."""
        return all(row.holds is not False for row in self.rows)

    def record(self) -> dict[str, Any]:
        """Return the study for JSON."""
        return {
            "title": self.title,
            "source": self.source,
            "arch": self.arch,
            "holds": self.holds,
            "rows": [row.record() for row in self.rows],
            "notes": list(self.notes),
        }
