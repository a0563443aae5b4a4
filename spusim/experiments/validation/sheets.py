"""Studies as tables for people."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from spusim.experiments.tables import table
from spusim.experiments.validation.records import Row, Study

_COLUMNS = ["", "unit", "published", "ours", "error", "holds"]
_EMPTY = [""] * (len(_COLUMNS) - 1)
_HOLDS = {True: "yes", False: "NO", None: ""}


def summary_sheets(studies: Sequence[Study]) -> Iterator[RenderableType]:
    """Yield one table of every figure that is published or must hold, and how many hold."""
    rows, asked = [], []
    for study in studies:
        told = [row for row in study.rows if row.published is not None or row.holds is not None]
        rows.append([study.name, *_EMPTY])
        rows += [[f"  {name}", *cells] for name, *cells in map(_cells, told)]
        asked += [row.holds for row in told if row.holds is not None]
    yield table("All validations", _COLUMNS, rows, texts=2)
    yield Text(f"{sum(asked)} of the {len(asked)} figures that must hold do")
    yield Text("")


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
    held = f"{_HOLDS[row.holds]}{_asked(row)}"
    return [row.name, row.unit, published, f"{row.ours:,.3g}", error, held]


def _asked(row: Row) -> str:
    if row.above is not None:
        return f" (above {row.above:.3g})"
    return "" if row.within is None else f" (within {row.within:.0%})"
