"""What a sweep leaves in its folder, read back: one table, and the full record of every point.

The columns and files are described in docs/sweeps.md; `SCHEMA_VERSION` counts their changes.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from spusim.errors import SpusimError
from spusim.experiments.sweep.layout import (
    POINTS_NAME,
    SCHEMA_VERSION,
    SWEEP_NAME,
    TABLE_NAME,
)

_KEY = re.compile(r"[0-9a-f]{64}")

# one column each, in this order, around the axes; families of columns (`stall.pe.starved`) follow
FIRST: dict[str, type[pl.DataType]] = {
    "point": pl.Int64,
    "key": pl.String,
    "status": pl.String,
    "error": pl.String,
    "part": pl.String,
}
IDENTITY: dict[str, type[pl.DataType]] = {
    "replica": pl.Int64,
    "seed": pl.Int64,
    "arch": pl.String,
    "arch_hash": pl.String,
    "network": pl.String,
    "network_hash": pl.String,
    "stream": pl.String,
    "spusim_version": pl.String,
    "isa_version": pl.String,
}
METRICS: dict[str, type[pl.DataType]] = {
    "frames": pl.Int64,
    "cycles": pl.Int64,
    "frame_cycles_min": pl.Int64,
    "frame_cycles_mean": pl.Float64,
    "frame_cycles_max": pl.Int64,
    "latency_s_min": pl.Float64,
    "latency_s_mean": pl.Float64,
    "latency_s_max": pl.Float64,
    "energy_j_frame_min": pl.Float64,
    "energy_j_frame_mean": pl.Float64,
    "energy_j_frame_max": pl.Float64,
    "power_w": pl.Float64,
    "clock_mhz": pl.Float64,
    "macs_dense": pl.Int64,
    "macs_weight_nonzero": pl.Int64,
    "macs_activation_nonzero": pl.Int64,
    "macs_effective": pl.Int64,
    "peak_macs_per_cycle": pl.Int64,
    "weight_density": pl.Float64,
    "activation_density": pl.Float64,
    "utilization": pl.Float64,
    "speedup_achieved": pl.Float64,
    "speedup_ideal": pl.Float64,
    "memory_used_bytes": pl.Int64,
    "memory_capacity_bytes": pl.Int64,
    "weights_bytes": pl.Int64,
    "indices_bytes": pl.Int64,
    "area_um2": pl.Float64,
    "accuracy": pl.Float64,
    "sqnr_db": pl.Float64,
    "outputs_sha256": pl.String,
}
# prefix -> type of the columns that there is one of for every name found
FAMILIES: dict[str, type[pl.DataType]] = {
    "energy_pj.": pl.Float64,
    "stall.": pl.Int64,
    "count.": pl.Int64,
}


class ResultsError(SpusimError):
    """A folder that holds no readable results of a sweep."""


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    table: one row a point, in the order of the points; axes: the columns that were swept;
    sweep: what `sweep.json` says. Columns: see docs/sweeps.md.
    """

    path: Path
    name: str
    description: str
    axes: tuple[str, ...]
    table: pl.DataFrame
    versions: dict[str, str]
    sweep: dict[str, Any]

    @property
    def done(self) -> pl.DataFrame:
        """The rows of the points that did not fail."""
        return self.table.filter(pl.col("status") == "done")

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the sweep's parts, in order; a sweep without parts has one."""
        return tuple(part["name"] for part in self.sweep["parts"])

    def record(self, key: str) -> dict[str, Any]:
        """Return all that is stored of a point: `spusim run --json`'s fields, and its identity.

        key: from the table's column. Raises ResultsError if it is not there or damaged.
        """
        if not _KEY.fullmatch(key):
            raise ResultsError(f"key {key} must be 64 hexadecimal digits, from the column `key`")
        return _json(self.path / POINTS_NAME / f"{key}.json")


def load_results(path: str | Path) -> Results:
    """Read a sweep's folder. Raises ResultsError naming folder, what it lacks and remedy."""
    folder = Path(path)
    if not (folder / SWEEP_NAME).is_file():
        what = "holds no sweep.json" if folder.is_dir() else "is no folder"
        raise ResultsError(f"{folder}: {what}; name a folder that `spusim sweep -o` has written")
    sweep = _json(folder / SWEEP_NAME)
    found = sweep.get("schema_version")
    if found != SCHEMA_VERSION:
        raise ResultsError(
            f"{folder}: was written with schema version {found}, this spusim reads "
            f"{SCHEMA_VERSION}; run the sweep again"
        )
    try:
        table = pl.read_parquet(folder / TABLE_NAME)
    except FileNotFoundError:
        raise ResultsError(
            f"{folder}: has no {TABLE_NAME} yet; run the sweep again, it goes on where it stopped"
        ) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ResultsError(
            f"{folder / TABLE_NAME}: cannot be read ({error}); run the sweep again, which writes "
            "it anew"
        ) from None
    axes = tuple(axis["name"] for axis in sweep["axes"])
    missing = [name for name in ("status", *axes) if name not in table.columns]
    if missing:
        raise ResultsError(
            f"{folder / TABLE_NAME}: lacks the column {', '.join(missing)}, which {SWEEP_NAME} "
            "names; run the sweep again, which writes it anew"
        )
    return Results(
        path=folder,
        name=sweep["name"],
        description=sweep["description"],
        axes=axes,
        table=table,
        versions=dict(sweep["versions"]),
        sweep=sweep,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot be read ({error.strerror}); run the sweep again, which computes "
            "what is missing"
        ) from None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise ResultsError(f"{path}: is damaged; run the sweep again, which writes it anew")
    return data
