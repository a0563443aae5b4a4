"""The table of a sweep: one row a point, as docs/sweeps.md describes its columns."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from spusim.experiments.results import FAMILIES, FIRST, IDENTITY, METRICS
from spusim.experiments.sweep.axes import shown
from spusim.experiments.sweep.columns import KINDS as KINDS
from spusim.experiments.sweep.columns import Row, Told
from spusim.experiments.sweep.columns import measured as measured
from spusim.experiments.sweep.identity import versions
from spusim.experiments.sweep.jobs import Point


def make_table(
    points: Sequence[Point], told: Mapping[str, Told], axes: Sequence[str]
) -> pl.DataFrame:
    """Return the rows of all points of whose key something is told, in the points' order."""
    rows = [_row(point, told[point.job.key]) for point in points if point.job.key in told]
    types = {**FIRST, **_axis_types(points, axes), **IDENTITY, **METRICS, **_family_types(rows)}
    return pl.DataFrame(
        {name: pl.Series(name, [row.get(name) for row in rows], kind)
         for name, kind in types.items()}
    )  # fmt: skip


def table_files(table: pl.DataFrame) -> dict[str, bytes]:
    """Return suffix -> content of the table as Parquet and as CSV."""
    parquet, csv = io.BytesIO(), io.BytesIO()
    table.write_parquet(parquet)
    table.write_csv(csv)
    return {"parquet": parquet.getvalue(), "csv": csv.getvalue()}


def _row(point: Point, told: Told) -> Row:
    job = point.job
    return {
        "point": point.number,
        "key": job.key,
        "status": told.status,
        "error": told.error,
        "part": point.part,
        "replica": point.replica,
        "seed": point.seed,
        "arch": job.arch.name,
        "network": job.network.name if job.network else None,
        "stream": point.stream,
        "spusim_version": versions().spusim,
        "isa_version": versions().isa,
        **{name: _cell(value) for name, value in point.values.items()},
        **told.row,
    }


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else shown(value)


def _family_types(rows: Sequence[Row]) -> dict[str, Any]:
    found = {name for row in rows for name in row}
    return {
        name: kind
        for prefix, kind in FAMILIES.items()
        for name in sorted(found)
        if name.startswith(prefix)
    }


def _axis_types(points: Sequence[Point], axes: Sequence[str]) -> dict[str, Any]:
    return {
        name: _type([p.values[name] for p in points if p.values.get(name) is not None])
        for name in axes
    }


def _type(values: Sequence[Any]) -> type[pl.DataType]:
    """Return the narrowest type of a column that holds all values."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return pl.Boolean
    if kinds == {int}:
        return pl.Int64
    return pl.Float64 if kinds and kinds <= {int, float} else pl.String
