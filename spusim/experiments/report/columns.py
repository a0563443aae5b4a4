"""The columns of a results table as a report shows them: group, label, unit, scale."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from spusim.experiments.charts.measures import MEASURES, parameter_quantity, si_prefix
from spusim.experiments.measures import row_quantities
from spusim.experiments.results import FAMILIES, METRICS, Results

TERM, OTHER_TERMS = "term", "everything else"
_LOG_FROM = 20.0  # ratio of largest to smallest from which an axis is logarithmic
_MOST_TERMS = 7  # told apart by colour; the rest is one
_EXACT = 1 << 53  # whole numbers beyond lose digits in a browser
_FRAME_PJ = 1e-12
_LAYER_DENSITY = {"weight": "weight sparsity", "activation": "activation sparsity"}


@dataclass(frozen=True)
class Column:
    """One column.

    group: axis, metric, derived, term, stall, count, energy or identity; factor: what values are
    multiplied by to be in `shown_unit`; unit: of the values themselves; better: 1 where more of it
    is, -1 where less, 0 where neither; steps: whether its values are as few as an axis's.
    """

    name: str
    group: str
    label: str
    unit: str = ""
    shown_unit: str = ""
    factor: float = 1.0
    about: str = ""
    number: bool = True
    log: bool = False
    better: int = 0
    steps: bool = False
    varies: bool = False
    values: list[Any] = field(default_factory=list)


def report_columns(results: Results) -> list[dict[str, Any]]:
    """Return all columns as plain objects; `values` hold a value a point, null where it has none.

    Columns without any value are left out.
    """
    table = results.table
    units = _units(table)
    steps = max((table[a].n_unique() for a in results.axes), default=table.height)
    found = [_column(results, name, units) for name in table.columns]
    found += [*_sparsities(table), *_terms(table)]
    kept = [c for c in found if any(v is not None for v in c.values)]
    return [asdict(_studied(column, steps)) for column in kept]


def _column(results: Results, name: str, units: dict[str, str]) -> Column:
    values = [_plain(v) for v in results.table[name].to_list()]
    number = results.table[name].dtype.is_numeric()
    if name in results.axes:
        about = next((a["about"] for a in results.sweep["axes"] if a["name"] == name), "")
        label = parameter_quantity(name).label
        return Column(name, "axis", label, about=about, number=number, values=values)
    unit = units.get(name, "")
    if name in MEASURES:
        measure = MEASURES[name]
        factor, shown_unit = measure.factor, measure.unit
        unit = unit or ("share" if "%" in measure.unit else "")
        if measure.si:
            each, prefix = si_prefix([v for v in values if isinstance(v, int | float)])
            factor, shown_unit = factor / each, prefix + measure.unit
        better = -1 if measure.smaller else 1
        return Column(
            name, "metric", measure.label, unit, shown_unit, factor,
            better=better, values=values,
        )  # fmt: skip
    family = next((prefix for prefix in FAMILIES if name.startswith(prefix)), None)
    group = family.split(".")[0].split("_")[0] if family else "identity"
    if name in METRICS:
        group = "metric"
    label = name.removeprefix(family or "").replace("_", " ")
    return Column(name, group, label, unit, unit, number=number, values=values)


def _sparsities(table: pl.DataFrame) -> Iterator[Column]:
    for side, label in _LAYER_DENSITY.items():
        found = table[f"{side}_density"].to_list()
        values = [None if v is None else 100 * (1 - v) for v in found]
        yield Column(f"{side}_sparsity", "derived", label, "%", "%", values=values)


def _terms(table: pl.DataFrame) -> Iterator[Column]:
    """Yield energy a frame by term, the largest first, small ones as one."""
    prefix, total = "energy_pj.", "energy_pj.total"
    names = [c for c in table.columns if c.startswith(prefix) and c != total]
    if total not in table.columns:
        return
    names.sort(key=lambda name: (-float(table[name].sum() or 0), name))
    names = [name for name in names if table[name].sum()]
    named, others = names[:_MOST_TERMS], names[_MOST_TERMS:]
    frames = table["frames"].to_list()
    totals = _a_frame(table[total].to_list(), frames)
    each, unit_prefix = si_prefix([v for v in totals if v is not None])
    for name in named:
        label = name.removeprefix(prefix).replace("_", " ")
        yield _term(label, _a_frame(table[name].to_list(), frames), each, unit_prefix)
    if others:
        rest = table.select(pl.sum_horizontal(pl.col(others).fill_null(0))).to_series()
        yield _term(OTHER_TERMS, _a_frame(rest.to_list(), frames), each, unit_prefix)


def _term(label: str, joules: list[float | None], each: float, prefix: str) -> Column:
    return Column(f"term.{label}", TERM, label, "J", f"{prefix}J", 1 / each, values=joules)


def _a_frame(picojoules: Sequence[float | None], frames: Sequence[int | None]) -> list[Any]:
    return [
        None if n is None else (pj or 0.0) * _FRAME_PJ / n
        for pj, n in zip(picojoules, frames, strict=True)
    ]


def _studied(column: Column, steps: int) -> Column:
    """Say how the values lie."""
    found = [v for v in column.values if v is not None]
    numbers = [v for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
    wide = bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) >= _LOG_FROM
    wide &= column.shown_unit != "%"
    different = len(set(found))
    return Column(
        **{**vars(column), "log": wide, "steps": different <= steps, "varies": different > 1}
    )


def _units(table: pl.DataFrame) -> dict[str, str]:
    """Return column -> unit of its values, where they have one."""
    units: dict[str, str] = {}
    for row in table.iter_rows(named=True):
        units |= {name: q.unit for name, q in row_quantities(row, table.columns).items() if q.unit}
    return units


def _plain(value: Any) -> Any:
    """Return a cell as JSON can hold it, with all its digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return str(value)
    return value
