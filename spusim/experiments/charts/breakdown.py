"""Where energy and cycles go: stacked bars, one a point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from spusim.experiments.charts.measures import (
    parameter_factor,
    parameter_quantity,
    si_prefix,
)
from spusim.experiments.charts.records import Quantity, StackChart, StackPanel
from spusim.experiments.charts.select import (
    UnfitError,
    curves,
    is_number,
    missing,
    part_layer,
    part_rows,
    part_title,
    point_labels,
    sampled,
    varied,
)
from spusim.experiments.results import Results

_MOST_BARS = 48  # in one figure, and
_SHOWN_BARS = 16  # where there are more
_MOST_PANELS = 9
_MOST_TERMS = 8  # told apart by colour; the rest is one part
_REST = "everything else"
# unit kind -> title, in the order of the panels
_UNITS = {
    "pe": "PEs", "scanner": "scanner", "vector": "vector unit", "sequencer": "sequencer",
    "bank": "data banks", "router": "router", "host": "host link",
}  # fmt: skip
_LEAST_BUSY = 0.001  # share of its cycles that a unit does not idle, to be shown


@dataclass(frozen=True)
class _Bars:
    """Rows of a panel: one bar each."""

    title: str
    rows: pl.DataFrame
    labels: tuple[str, ...]
    along: str


def energy(results: Results) -> StackChart:
    """Return energy a frame by term, one bar a point. Raises UnfitError."""
    if not results.done.height or not any(
        c.startswith("energy_pj.") for c in results.table.columns
    ):
        raise UnfitError("needs a finished point with energy")
    panels, notes = _panels(results)
    terms = _largest_terms([bars.rows for bars in panels])
    totals = [v for bars in panels for v in _per_frame(bars.rows, "total")]
    each, prefix = si_prefix(totals)
    quantity = Quantity("energy a frame", f"{prefix}J")
    made = []
    for bars in panels:
        parts = {term: _per_frame(bars.rows, term) for term in terms}
        rest = [
            whole - sum(parts[term][k] for term in terms)
            for k, whole in enumerate(_per_frame(bars.rows, "total"))
        ]
        parts = {term.replace("_", " "): values for term, values in parts.items()}
        shown = {name: tuple(v / each for v in values) for name, values in parts.items()}
        if any(value > 1e-9 * max(totals) for value in rest):
            shown[_REST] = tuple(max(0.0, v / each) for v in rest)
        made.append(_panel(bars, quantity, shown))
    return StackChart(
        "energy", "Energy by term", tuple(made), _columns(made), notes=(*missing(results), *notes)
    )


def stalls(results: Results) -> StackChart:
    """Return what the units of every kind did with their cycles. Raises UnfitError."""
    rows = results.done
    kinds = [kind for kind in _UNITS if _awake(rows, kind)]
    if not rows.height or not kinds:
        raise UnfitError("needs a finished point with cycles by cause (columns stall.*)")
    rows, notes = sampled(rows, _SHOWN_BARS)
    bars = _Bars("", rows, point_labels(results, rows), "point")
    panels = []
    for kind in kinds:
        prefix = f"stall.{kind}."
        causes = [c for c in rows.columns if c.startswith(prefix)]
        found = rows.select(pl.col(causes).fill_null(0))
        whole = [max(1, sum(row)) for row in found.rows()]
        parts = {
            cause.removeprefix(prefix): tuple(
                100 * v / w for v, w in zip(found[cause].to_list(), whole, strict=True)
            )
            for cause in causes
        }
        parts = {cause: values for cause, values in parts.items() if any(values)}
        quantity = Quantity("unit-cycles", "%")
        panels.append(_panel(bars, quantity, parts, title=_UNITS[kind], shares=True))
    title = "What units did with their cycles"
    notes = (*missing(results), *notes)
    return StackChart("stalls", title, tuple(panels), min(3, len(panels)), causes=True, notes=notes)


def _panels(results: Results) -> tuple[list[_Bars], tuple[str, ...]]:
    """Return the panels: bars along the longest axis, one panel for each value of the others."""
    done = results.done
    found = [bars for _, rows in part_rows(results) for bars in _part_panels(results, rows)]
    longest = max(bars.rows.height for bars in found)
    if done.height <= _MOST_BARS and len(found) <= _MOST_PANELS and longest > 1:
        return found, ()
    if len(found) == 1:
        return found, ()
    rows, notes = sampled(done, _SHOWN_BARS if done.height > _MOST_BARS else _MOST_BARS)
    return [_Bars(results.name, rows, point_labels(results, rows), "point")], notes


def _part_panels(results: Results, rows: pl.DataFrame) -> list[_Bars]:
    axes = varied(results, rows)
    title = part_title(rows, part_layer(results, rows))
    if not axes or rows.height > rows.select(axes).n_unique():  # replicas
        return [_Bars(title, rows, point_labels(results, rows), "point")]
    numbers = [axis for axis in axes if is_number(rows, axis)]
    last = max(numbers or axes, key=lambda axis: rows[axis].n_unique())
    several = len({name for name, _ in part_rows(results)}) > 1
    panels = []
    for curve in curves(results, rows, [last]):
        labels = tuple(_bar_text(last, value) for value in curve.rows[last].to_list())
        told = f"{title}: {curve.label}" if several and curve.label else curve.label or title
        panels.append(_Bars(told, curve.rows, labels, parameter_quantity(last).title))
    return panels


def _bar_text(axis: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value * parameter_factor(axis):.4g}"
    return str(value)


def _panel(
    bars: _Bars,
    quantity: Quantity,
    parts: dict[str, tuple[float, ...]],
    title: str = "",
    shares: bool = False,
) -> StackPanel:
    return StackPanel(
        title or bars.title,
        quantity,
        bars.along,
        bars.labels,
        tuple(bars.rows["point"].to_list()),
        tuple(parts.items()),
        shares,
    )


def _largest_terms(tables: Sequence[pl.DataFrame]) -> list[str]:
    """Return the terms with the largest share of any bar, in that order, as many as are shown."""
    rows = pl.concat(tables)
    shares = {
        column.removeprefix("energy_pj."): (rows[column] / rows["energy_pj.total"]).max() or 0.0
        for column in rows.columns
        if column.startswith("energy_pj.") and column != "energy_pj.total"
    }
    ranked = sorted((t for t in shares if shares[t]), key=lambda term: -float(shares[term]))  # type: ignore[arg-type]
    return ranked if len(ranked) <= _MOST_TERMS else ranked[: _MOST_TERMS - 1]


def _per_frame(rows: pl.DataFrame, term: str) -> list[float]:
    joules = rows[f"energy_pj.{term}"].fill_null(0.0) * 1e-12
    return list(joules / rows["frames"])


def _awake(rows: pl.DataFrame, kind: str) -> bool:
    """Whether the units of a kind do anything but idle."""
    prefix = f"stall.{kind}."
    found = [c for c in rows.columns if c.startswith(prefix)]
    whole = sum(int(rows[c].sum()) for c in found)
    idle = int(rows[f"{prefix}idle"].sum()) if f"{prefix}idle" in found else 0
    return bool(whole) and (whole - idle) / whole > _LEAST_BUSY


def _columns(panels: Sequence[StackPanel]) -> int:
    return min(3, len(panels))
