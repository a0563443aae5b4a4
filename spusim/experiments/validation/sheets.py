"""A study as tables for people."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from spusim.experiments.tables import table
from spusim.experiments.validation.records import Row, Study

_COLUMNS = ["", "unit", "published", "ours", "error", "holds"]
_HOLDS = {True: "yes", False: "NO", None: ""}


def study_sheets(study: Study) -> Iterator[RenderableType]:
    """Yield a study's table, remarks and source."""
    title = f"{study.title} ({study.arch})"
    yield table(title, _COLUMNS, [_cells(row) for row in study.rows], texts=2)
    remarks = [f"{row.name}: {row.note}" for row in study.rows if row.note]
    for line in (*remarks, *study.notes):
        yield Text(f"note: {line}")
    yield Text(f"source: {study.source}")
    yield Text("")


def _cells(row: Row) -> list[str]:
    published = "" if row.published is None else f"{row.published:,.3g}"
    error = "" if row.error is None else f"{100 * row.error:+.1f} %"
    asked = "" if row.within is None else f" (within {row.within:.0%})"
    return [row.name, row.unit, published, f"{row.ours:,.3g}", error, f"{_HOLDS[row.holds]}{asked}"]
