"""What a report's page holds: columns, the details of every point, and the summary."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spusim.experiments.quantities import count
from spusim.experiments.report.columns import report_columns
from spusim.experiments.report.command import point_command
from spusim.experiments.results import Results
from spusim.experiments.sweep.axes import shown
from spusim.experiments.sweep.table import KINDS
from spusim.experiments.units import kind_of

_MOST_VALUES = 24  # of an axis, in the summary


@dataclass(frozen=True)
class Summary:
    """What the page says first."""

    name: str
    description: str
    kind: str
    counts: str
    failures: int
    axes: tuple[tuple[str, str, str], ...]  # name, what it is, values
    parts: tuple[tuple[str, int], ...]
    versions: tuple[tuple[str, str], ...]


class _Pool:
    """Objects that many points share, each held once."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, item: Any) -> int:
        """Return an object's place, adding it if it is new."""
        text = json.dumps(item, sort_keys=False)
        if text not in self._places:
            self._places[text] = len(self.items)
            self.items.append(item)
        return self._places[text]


def report_contents(results: Results) -> dict[str, Any]:
    """Return what the page's script works on, as plain objects for JSON.

    Raises ResultsError for a point whose record is not there.
    """
    pool = _Pool()
    points = [
        _details(results, row, results.record(row["key"]), pool)
        for row in results.table.iter_rows(named=True)
    ]
    return {
        "single": not results.sweep["sweep"],
        "columns": report_columns(results),
        "points": points,
        "pool": pool.items,
    }


def summary(results: Results) -> Summary:
    """Return what the page says first."""
    sweep = results.sweep
    axes = tuple((a["name"], a["about"], _values(a["values"])) for a in sweep["axes"])
    parts = (
        tuple((p["name"], p["points"]) for p in sweep["parts"]) if len(sweep["parts"]) > 1 else ()
    )
    failures = results.table.filter(results.table["status"] != "done").height
    return Summary(
        name=results.name,
        description=results.description,
        kind="sweep" if sweep["sweep"] else "run",
        counts=_counts(results, failures),
        failures=failures,
        axes=axes,
        parts=parts,
        versions=_versions(results),
    )


def _counts(results: Results, failures: int) -> str:
    planned = sum(part["points"] for part in results.sweep["parts"])
    absent = planned - results.table.height
    told = [f"{results.table.height - failures:,} done", f"{failures:,} failed"]
    told += [f"{absent:,} not computed yet"] if absent > 0 else []
    return f"{count(planned, 'point')}: {', '.join(told)}"


def _versions(results: Results) -> tuple[tuple[str, str], ...]:
    """Return name -> version, those of the table's rows where they are of several."""
    told = {k: v for k, v in results.versions.items() if v and v != "None"}
    for name in ("spusim", "isa"):
        found = results.table[f"{name}_version"].drop_nulls().unique().sort().to_list()
        if found:
            told[name] = ", ".join(map(str, found))
    labels = {"isa": "ISA", "code": "code (sha256)", "arch": "architecture (sha256)",
              "network": "network (sha256)"}  # fmt: skip
    return tuple((labels.get(k, k), v) for k, v in told.items())


def _values(values: list[Any]) -> str:
    texts = [shown(value) for value in values]
    if len(texts) > _MOST_VALUES:
        half = _MOST_VALUES // 2
        texts = [*texts[:half], f"… ({len(texts)} in all) …", *texts[-half:]]
    return ", ".join(texts)


def _details(
    results: Results, row: Mapping[str, Any], record: Mapping[str, Any], pool: _Pool
) -> dict[str, Any]:
    """Return what the drill-down of a point shows beyond its row."""
    details: dict[str, Any] = {"command": point_command(results, row, record)}
    identity = record.get("identity") or {}
    told = {k: identity.get(k) for k in ("layer", "stream", "input_period", "baseline")}
    details["identity"] = pool.place({k: v for k, v in told.items() if v is not None})
    if row["status"] != "done":
        return details
    units = Counter(_kind(unit) for unit in record["stalls"])
    details["units"] = pool.place(dict(sorted(units.items())))
    details["memory"] = _memory(record["memory"]["banks"], pool)
    for name in ("layers", "area_um2", "notes"):
        details[name] = pool.place(record.get(name) or [])
    if not results.sweep["sweep"]:
        details["files"] = pool.place(list(record.get("files", ())))
    return details


def _memory(banks: Mapping[str, Mapping[str, int]], pool: _Pool) -> list[Any]:
    """Return places of names, capacities and word widths, and the words used, a bank each."""
    told: list[list[Any]] = [list(banks)]
    told += [[bank[key] for bank in banks.values()] for key in ("capacity_words", "word_bits")]
    return [*map(pool.place, told), [bank["used_words"] for bank in banks.values()]]


def _kind(unit: str) -> str:
    kind = kind_of(unit)[1]
    return KINDS.get(kind, kind)
