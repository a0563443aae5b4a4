"""What is drawn from: a sweep's folder, or a run's as a sweep of one point."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from spusim.experiments.record import SCHEMA_VERSION
from spusim.experiments.results import (
    FAMILIES,
    FIRST,
    IDENTITY,
    METRICS,
    Results,
    ResultsError,
    load_results,
)
from spusim.experiments.store import RESULT_NAME
from spusim.experiments.sweep.layout import SWEEP_NAME
from spusim.experiments.sweep.table import measured


@dataclass(frozen=True)
class RunResults(Results):
    """A run's result.json as the results of a sweep of one point, without axes."""

    only: dict[str, Any]

    def record(self, key: str) -> dict[str, Any]:
        """Return all that the run tells, whatever the key."""
        return self.only


def open_results(path: str | Path) -> Results:
    """Read the folder of a sweep or of a run. Raises ResultsError naming what it lacks."""
    folder = Path(path)
    if (folder / SWEEP_NAME).is_file():
        return load_results(folder)
    if (folder / RESULT_NAME).is_file():
        return _run_results(folder)
    what = f"holds neither {SWEEP_NAME} nor {RESULT_NAME}" if folder.is_dir() else "is no folder"
    raise ResultsError(
        f"{folder}: {what}; name a folder that `spusim sweep -o` or `spusim run -o` has written"
    )


def _run_results(folder: Path) -> RunResults:
    record = _whole(folder / RESULT_NAME)
    name = folder.resolve().name
    row = {
        "point": 0,
        "key": "0" * 64,
        "status": "done",
        "part": name,
        "replica": 0,
        "network": name,
        "spusim_version": record["versions"]["spusim"],
        "isa_version": record["versions"]["isa"],
        **measured(record),
    }
    families = {c: kind for c in row for prefix, kind in FAMILIES.items() if c.startswith(prefix)}
    types = {**FIRST, **IDENTITY, **METRICS, **families}
    table = pl.DataFrame({c: pl.Series(c, [row.get(c)], kind) for c, kind in types.items()})
    sweep = {"parts": [{"name": name, "points": 1, "axes": []}], "axes": [], "sweep": {}}
    versions = {k: str(v) for k, v in record["versions"].items()}
    return RunResults(folder, name, "", (), table, versions, sweep, record)


def _whole(path: Path) -> dict[str, Any]:
    """Return a run's record with the two fields that points have beside it."""
    try:
        record = json.loads(path.read_bytes())
        found = record["schema_version"]
        cycles, peak = record["cycles"], 0
        if record["utilization"] and cycles:
            peak = round(record["macs"]["effective"] / (record["utilization"] * cycles))
        frame = record["per_frame"]
        clock_mhz = frame["cycles"]["mean"] / frame["latency_s"]["mean"] / 1e6
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror}); run it again") from None
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        raise ResultsError(f"{path}: is no result of a run, or damaged; run it again") from None
    if found != SCHEMA_VERSION:
        raise ResultsError(
            f"{path}: was written with schema version {found}, this spusim reads {SCHEMA_VERSION}; "
            "run it again"
        )
    # a layer's run has no ISA version; the peak is exact, utilisation being a quotient of integers
    return {**record, "peak_macs_per_cycle": peak, "clock_mhz": round(clock_mhz, 6)}
