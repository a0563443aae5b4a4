"""The table of a sweep: one row a point, as docs/sweeps.md describes its columns."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from spusim.experiments.results import FAMILIES, FIRST, IDENTITY, METRICS
from spusim.experiments.sweep.axes import shown
from spusim.experiments.sweep.identity import versions
from spusim.experiments.sweep.jobs import Point
from spusim.experiments.sweep.pointfile import DONE
from spusim.experiments.units import kind_of

KINDS = {"data_memory.bank": "bank", "in": "host", "out": "host"}  # the others keep their names
_MACS = ("dense", "weight_nonzero", "activation_nonzero", "effective")

Row = dict[str, Any]


def make_table(
    points: Sequence[Point], records: Mapping[str, dict[str, Any]], axes: Sequence[str]
) -> pl.DataFrame:
    """Return the rows of all points that have a record, in the points' order."""
    rows = [_row(point, records[point.job.key]) for point in points if point.job.key in records]
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


def _row(point: Point, record: Mapping[str, Any]) -> Row:
    job, done = point.job, record["status"] == DONE
    row: Row = {
        "point": point.number,
        "key": job.key,
        "status": record["status"],
        "error": record["error"],
        "part": point.part,
        "replica": point.replica,
        "seed": point.seed,
        "arch": job.arch.name,
        "network": job.network.name if job.network else None,
        "stream": point.stream,
        "spusim_version": versions().spusim,
        "isa_version": versions().isa,
        **{name: _cell(value) for name, value in point.values.items()},
    }
    return row | (measured(record) if done else {})


def measured(record: Mapping[str, Any]) -> Row:
    """Return what a point's record says, by column."""
    return _metrics(record) | _families(record)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else shown(value)


def _metrics(record: Mapping[str, Any]) -> Row:
    frame, macs = record["per_frame"], record["macs"]
    speedup = record["speedup"] or {}
    spreads = {"frame_cycles": "cycles", "latency_s": "latency_s", "energy_j_frame": "energy_j"}
    return {
        **{key: record[key] for key in ("frames", "cycles", "power_w", "utilization", "clock_mhz")},
        **{key: record[key] for key in ("peak_macs_per_cycle", "outputs_sha256")},
        **{f"{name}_{how}": frame[of][how]
           for name, of in spreads.items() for how in ("min", "mean", "max")},
        **{f"macs_{kind}": macs[kind] for kind in _MACS},
        **{f"{side}_density": _share(macs[f"{side}_nonzero"], macs["dense"])
           for side in ("weight", "activation")},
        **{f"speedup_{key}": speedup.get(key) for key in ("achieved", "ideal")},
        "memory_used_bytes": record["memory"]["used"],
        "memory_capacity_bytes": record["memory"]["capacity"],
        **{f"{what}_bytes": record.get("stored_bytes", {}).get(what)
           for what in ("weights", "indices")},
        "area_um2": record["area_um2"]["total"],
        "accuracy": _accuracy(record["files"]),
        "sqnr_db": record.get("sqnr_db"),
        "arch_hash": record["versions"]["arch"],
        "network_hash": record["versions"]["network"],
    }  # fmt: skip


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _accuracy(files: Sequence[Mapping[str, Any]]) -> float | None:
    known = [file for file in files if "label" in file and "heard" in file]
    return sum(file["label"] == file["heard"] for file in known) / len(known) if known else None


def _families(record: Mapping[str, Any]) -> Row:
    row: Row = {f"energy_pj.{term}": value for term, value in record["energy_pj"].items()}
    row |= {f"count.{event}": count for event, count in record["counts"].items()}
    for unit, causes in record["stalls"].items():
        kind = kind_of(unit)[1]
        for cause, cycles in causes.items():
            name = f"stall.{KINDS.get(kind, kind)}.{cause}"
            row[name] = row.get(name, 0) + cycles
    return row


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
