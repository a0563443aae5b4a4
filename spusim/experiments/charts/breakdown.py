"""Where energy and cycles go: stacked bars, one a point."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from spusim.experiments.charts.measures import bar_text, parameter_quantity, si_prefix
from spusim.experiments.charts.records import Quantity, StackChart, StackPanel
from spusim.experiments.charts.select import (
    UnfitError,
    curves,
    is_number,
    missing,
    part_layer,
    part_rows,
    part_title,
    sampled,
    telling,
    varied,
)
from spusim.experiments.results import Results

_SHOWN_BARS, _LEAST_BARS = 16, 8  # in a panel
_MOST_PANELS = 9
_MOST_TERMS = 8  # told apart by colour; the rest is one part
_REST = "everything else"
# unit kind -> title, in the order of the panels
_UNITS = {
    "pe": "PEs", "scanner": "scanner", "vector": "vector unit", "sequencer": "sequencer",
    "bank": "data banks", "router": "router", "dma": "dma", "host": "host link",
}  # fmt: skip
_LEAST_BUSY = 0.1  # share of its cycles that a unit does not idle, to be shown


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
    alone = len(part_rows(results)) == 1
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
        "energy",
        "Energy by term" if alone else "Energy by term; each panel has its own scale",
        tuple(made),
        min(2 if len(made) == 4 else 3, len(made)),
        shared=alone,
        notes=(*missing(results), *notes),
    )


def stalls(results: Results) -> StackChart:
    """Return what the units of every kind did with their cycles. Raises UnfitError.

    Kinds that hardly do anything in any part are left out.
    """
    parts = part_rows(results)
    kinds = [kind for kind in _UNITS if any(_awake(rows, kind) for _, rows in parts)]
    if not kinds:
        raise UnfitError("needs a finished point with cycles by cause (columns stall.*)")
    several = [f"{name}, " if len(parts) > 1 else "" for name, _ in parts]
    found = [_sample(results, rows, len(parts)) for _, rows in parts]
    panels = [
        _panel(bars, Quantity("unit-cycles", "%"), _shares(bars.rows, kind),
               title=f"{part}{_UNITS[kind]}" if kind == kinds[0] else _UNITS[kind], shares=True)
        for part, (bars, _) in zip(several, found, strict=True)
        for kind in kinds
    ]  # fmt: skip
    notes = dict.fromkeys(note for _, notes in found for note in notes)
    return StackChart(
        "stalls",
        "What units did with their cycles",
        tuple(panels),
        len(kinds),
        causes=True,
        notes=(*missing(results), *notes),
    )


def _shares(rows: pl.DataFrame, kind: str) -> dict[str, tuple[float, ...]]:
    """Return cause -> percent of all cycles of a kind's units, by row."""
    prefix = f"stall.{kind}."
    causes = [c for c in rows.columns if c.startswith(prefix) and (rows[c].sum() or 0)]
    ends = (f"{prefix}busy", f"{prefix}idle")
    causes.sort(key=lambda cause: (cause == ends[1], cause != ends[0], cause))
    found = rows.select(pl.col(causes).fill_null(0))
    whole = [max(1, sum(row)) for row in found.rows()]
    return {
        cause.removeprefix(prefix): tuple(
            100 * v / w for v, w in zip(found[cause].to_list(), whole, strict=True)
        )
        for cause in causes
    }


def _panels(results: Results) -> tuple[list[_Bars], tuple[str, ...]]:
    """Return the panels: bars along the longest axis, one panel for each value of the others.

    Where these are too many, one panel a part, with some of its points.
    """
    parts = part_rows(results)
    found = [bars for _, rows in parts for bars in _part_panels(results, rows)]
    if len(found) <= _MOST_PANELS and max(bars.rows.height for bars in found) <= _SHOWN_BARS:
        return found, ()
    samples = [_sample(results, rows, len(parts)) for _, rows in parts]
    notes = dict.fromkeys(note for _, told in samples for note in told)
    return [bars for bars, _ in samples], tuple(notes)


def _sample(results: Results, rows: pl.DataFrame, parts: int) -> tuple[_Bars, tuple[str, ...]]:
    """Return a part's bars, labelled by the values of its axes, some of them if there are many."""
    part = str(rows["part"][0])
    axes = telling(results, rows, varied(results, rows), ())
    some, notes = sampled(rows, max(_LEAST_BARS, _SHOWN_BARS // parts))
    labels = [", ".join(bar_text(a, row[a]) for a in axes) for row in some.iter_rows(named=True)]
    along = ", ".join(parameter_quantity(axis).title for axis in axes)
    if some.height == 1 and not axes:
        labels, along = [part], "run (name)"
    elif not axes or len(set(labels)) < len(labels):
        labels, along = [str(number) for number in some["point"].to_list()], "point (number)"
    title = part_title(rows, part_layer(results, rows))
    told = tuple(f"{part}: {note}" if parts > 1 else note for note in notes)
    return _Bars(title, some, tuple(labels), along), told


def _part_panels(results: Results, rows: pl.DataFrame) -> list[_Bars]:
    axes = varied(results, rows)
    title = part_title(rows, part_layer(results, rows))
    if not axes or rows.height > rows.select(axes).n_unique():  # replicas
        return [_sample(results, rows, 1)[0]]
    numbers = [axis for axis in axes if is_number(rows, axis)]
    last = max(numbers or axes, key=lambda axis: rows[axis].n_unique())
    several = len({name for name, _ in part_rows(results)}) > 1
    panels = []
    for curve in curves(results, rows, [last]):
        labels = tuple(bar_text(last, value) for value in curve.rows[last].to_list())
        told = f"{title}\n{curve.label}" if several and curve.label else curve.label or title
        panels.append(_Bars(told, curve.rows, labels, parameter_quantity(last).title))
    return panels


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
