"""Pruning structures over the weights that they leave: bytes, speed and energy of each machine."""

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from spusim.experiments.charts.measures import TIMES, scaled
from spusim.experiments.charts.records import (
    Axis,
    LineChart,
    Panel,
    Quantity,
    Role,
    Scale,
    Series,
)
from spusim.experiments.charts.select import (
    Curve,
    UnfitError,
    missing,
    parameter_text,
    part_rows,
    series,
    varied,
)
from spusim.experiments.results import Results

_STRUCTURE, _DENSITY = "prune.structure", "prune.density"
_COLUMNS = ("weights_bytes", "indices_bytes", "speedup_achieved")
_X = Axis(Quantity("nonzero weights left", "%"), Scale.LOG)
_ROLES = (
    (Role.IDEAL, "indices not counted"),
    (Role.BOUND, "in proportion"),
)
_LEFT, _SPEEDUP = "_weights_left", "_speedup"

Column = Callable[[pl.DataFrame], Sequence[float | None]]


def tradeoffs(results: Results) -> LineChart:
    """Return bytes, speedup and energy over the weights left, a row of panels a machine.

    Speedups are over the unpruned network on the same machine skipping nothing, so that matrices
    which shrink count. Raises UnfitError.
    """
    panels = [panel for rows in _machines(results) for panel in _row(rows)]
    if not panels:
        raise UnfitError(
            f"needs parts whose axes are {_STRUCTURE} and several densities ({_DENSITY}) and "
            "nothing else, with the dense baseline (not `baseline: false`)"
        )
    title = f"What pruning {', '.join(_networks(results))} buys, by machine"
    return LineChart("tradeoffs", title, tuple(panels), 3, missing(results), roles=_ROLES)


def _machines(results: Results) -> Iterator[pl.DataFrame]:
    """Yield the rows of each machine, of parts that sweep structure and density alone."""
    fitting = [
        rows
        for name, rows in part_rows(results)
        if {_STRUCTURE, _DENSITY} == set(_axes_of(results, name))
        and _DENSITY in varied(results, rows)
        and not any(rows[column].null_count() for column in _COLUMNS)
    ]
    if not fitting:
        return
    rows = pl.concat(fitting)
    structures = rows[_STRUCTURE].unique(maintain_order=True).to_list()
    if len(structures) > 1:
        for _, machine in rows.group_by(["arch", "network"], maintain_order=True):
            yield _compared(machine).with_columns(
                pl.col(_STRUCTURE).replace_strict(structures, range(len(structures))).alias("_hue")
            )


def _networks(results: Results) -> list[str]:
    return results.done["network"].drop_nulls().unique(maintain_order=True).to_list()


def _axes_of(results: Results, part: str) -> list[str]:
    return next(list(p["axes"]) for p in results.sweep["parts"] if p["name"] == part)


def _compared(rows: pl.DataFrame) -> pl.DataFrame:
    """Add weights left in % and speedup, both over the unpruned network skipping nothing."""
    unpruned_cycles = (rows["speedup_achieved"] * rows["cycles"]).max()
    return rows.with_columns(
        (100 * pl.col("macs_weight_nonzero") / rows["macs_dense"].max()).alias(_LEFT),
        (unpruned_cycles / pl.col("cycles")).alias(_SPEEDUP),
    )


def _row(rows: pl.DataFrame) -> Iterator[Panel]:
    """Yield a machine's panels."""
    curves = [
        Curve(parameter_text(_STRUCTURE, name), found, found["_hue"][0])
        for (name,), found in rows.group_by([_STRUCTURE], maintain_order=True)
    ]
    title = rows["arch"][0]

    def lines(y: Column, role: Role = Role.MEASURED) -> list[Series]:
        return [series(curve, lambda r: r[_LEFT].to_list(), y, role) for curve in curves]

    kib = Axis(Quantity("weights and indices", "KiB"), Scale.LOG)
    yield Panel(title, _X, kib, (*lines(_kib_counted), *lines(_kib_alone, Role.IDEAL)))
    speedup = Axis(Quantity("speedup over dense", TIMES), Scale.LOG)
    yield Panel(title, _X, speedup, (*lines(lambda r: r[_SPEEDUP].to_list()), _proportion(rows)))
    quantity, values = scaled("energy_j_frame_mean", rows)
    factor = values[0] / rows["energy_j_frame_mean"][0] if values[0] else 1.0
    energy = Axis(quantity, Scale.LOG)
    yield Panel(
        title, _X, energy, tuple(lines(lambda r: (r["energy_j_frame_mean"] * factor).to_list()))
    )


def _kib_counted(rows: pl.DataFrame) -> list[float | None]:
    return ((rows["weights_bytes"] + rows["indices_bytes"]) / 1024).to_list()


def _kib_alone(rows: pl.DataFrame) -> list[float | None]:
    return (rows["weights_bytes"] / 1024).to_list()


def _proportion(rows: pl.DataFrame) -> Series:
    ends = (min(rows[_LEFT].to_list()), 100.0)
    return Series("", ends, tuple(100.0 / x for x in ends), (), Role.BOUND, -1)
