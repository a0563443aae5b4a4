"""Two runs or two sweeps side by side: what is read, and which point belongs to which."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from spusim.errors import SpusimError
from spusim.experiments.baseline import read_stored
from spusim.experiments.differences import (
    RESULTS,
    Difference,
    Tolerances,
    Value,
    differences,
    exit_code,
    kinds,
    pairs,
)
from spusim.experiments.measures import (
    Record,
    check_record,
    read_json,
    record_quantities,
    row_quantities,
)
from spusim.experiments.store import RESULT_NAME

SWEEP_NAME, TABLE_NAME, CSV_NAME = "sweep.json", "results.parquet", "results.csv"
# what tells a point from the others besides its axes, where a table has it
_PLACING = ("part", "replica")
_NO_METRIC = ("point", "key", "status", "error", "seed", *_PLACING)
# columns that say what a point was run on
_INPUTS = ("arch_hash", "network_hash", "stream", "seed")

Place = tuple[tuple[str, Any], ...]  # (axis, value) of a point, its part and replica last


class ComparisonError(SpusimError):
    """Two things that cannot be laid side by side."""


@dataclass(frozen=True)
class RunSide:
    """A run that was stored."""

    label: str
    record: Record


@dataclass(frozen=True)
class SweepSide:
    """A sweep that was stored: axes in order, and a row a point."""

    label: str
    axes: tuple[str, ...]
    versions: dict[str, Any]
    schema_version: int
    rows: dict[Place, dict[str, Value | None]]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class RunComparison:
    """Two runs: every quantity of both, and what differs beyond the tolerances."""

    pairs: dict[str, Difference]
    found: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the runs differ in."""
        return kinds(self.found)

    @property
    def exit_code(self) -> int:
        """0 the same, 3 differs in time or energy only, 4 in results."""
        return exit_code(self.kinds)


@dataclass(frozen=True)
class SweepComparison:
    """Two sweeps: what differs at each point of both, and the points that only one has."""

    found: dict[Place, tuple[Difference, ...]]
    only_old: tuple[Place, ...]
    only_new: tuple[Place, ...]
    notes: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the points of both differ in; results, too, where one lacks points."""
        found = [difference for point in self.found.values() for difference in point]
        lacking = self.only_old or self.only_new
        return tuple(dict.fromkeys([*((RESULTS,) if lacking else ()), *kinds(found)]))

    @property
    def exit_code(self) -> int:
        """0 the same, 3 differs in time or energy only, 4 in results."""
        return exit_code(self.kinds)


def compare(
    old: str | Path, new: str | Path, tolerances: Tolerances
) -> RunComparison | SweepComparison:
    """Compare two folders or files of results. Raises SpusimError for what cannot be compared."""
    sides = load_side(Path(old)), load_side(Path(new))
    match sides:
        case RunSide(), RunSide():
            return compare_runs(*sides, tolerances)
        case SweepSide(), SweepSide():
            return compare_sweeps(*sides, tolerances)
    what = [f"{side.label} is a {_WHAT[type(side)]}" for side in sides]
    raise ComparisonError(f"{' and '.join(what)}; compare two of a kind")


def load_side(path: Path) -> RunSide | SweepSide:
    """Read a run's folder or result file, a baseline's stored result, or a sweep's folder."""
    if path.is_dir():
        if (path / SWEEP_NAME).exists():
            return _sweep(path)
        if not (path / RESULT_NAME).exists():
            raise ComparisonError(
                f"{path}: holds neither {RESULT_NAME} (of `spusim run -o`) nor {SWEEP_NAME} (of "
                "`spusim sweep -o`); name the folder of a run or of a sweep"
            )
        path = path / RESULT_NAME
    content = read_json(path)
    if isinstance(content, dict) and "baseline_version" in content:
        return RunSide(str(path), read_stored(path).record(str(path)))
    return RunSide(str(path), check_record(content, str(path)))


def compare_runs(old: RunSide, new: RunSide, tolerances: Tolerances) -> RunComparison:
    """Return what differs between two runs."""
    before, after = (record_quantities(side.record) for side in (old, new))
    notes = _version_notes(old.record.versions, new.record.versions)
    lacking = [side.label for side in (old, new) if side.record.speedup is None]
    if len(lacking) == 1:
        notes.append(f"{lacking[0]} was run without its dense baseline: speedups are left out")
    return RunComparison(pairs(before, after), differences(before, after, tolerances), tuple(notes))


def compare_sweeps(old: SweepSide, new: SweepSide, tolerances: Tolerances) -> SweepComparison:
    """Return what differs between the points of two sweeps that have the same axis values.

    Raises ComparisonError for sweeps over other axes, of another schema, or without a point in
    common.
    """
    _check_alike(old, new)
    both = [place for place in old.rows if place in new.rows]
    if not both:
        raise ComparisonError(
            f"{old.label} and {new.label} have no point in common; they sweep "
            f"{', '.join(old.axes)} over other values"
        )
    metrics = [name for name in old.metrics if name in new.metrics]
    found = {}
    for place in both:
        before, after = old.rows[place], new.rows[place]
        outcome = _failures(before, after)
        found[place] = outcome or differences(
            row_quantities(before, metrics), row_quantities(after, metrics), tolerances
        )
    notes = [*_version_notes(old.versions, new.versions), *_input_notes(old, new, both)]
    for side, other in ((old, new), (new, old)):
        lone = [name for name in side.metrics if name not in other.metrics]
        if lone:
            notes.append(f"only {side.label} has {', '.join(lone)}: not compared")
    return SweepComparison(
        found,
        tuple(place for place in old.rows if place not in new.rows),
        tuple(place for place in new.rows if place not in old.rows),
        tuple(notes),
    )


_WHAT = {RunSide: "run", SweepSide: "sweep"}


def _sweep(folder: Path) -> SweepSide:
    about = read_json(folder / SWEEP_NAME)
    axes = about.get("axes") if isinstance(about, dict) else None
    version = about.get("schema_version") if isinstance(about, dict) else None
    if not isinstance(axes, list) or not isinstance(version, int):
        raise ComparisonError(
            f"{folder / SWEEP_NAME}: is damaged: it names no axes or schema_version; run the sweep "
            "again"
        )
    table = _table(folder)
    names = [str(axis["name"] if isinstance(axis, dict) else axis) for axis in axes]
    missing = [name for name in ("status", *names) if name not in table.columns]
    if missing:
        raise ComparisonError(
            f"{folder}: its table lacks {', '.join(missing)}, which {SWEEP_NAME} names; run the "
            "sweep again"
        )
    metrics = tuple(c for c in table.columns if c not in (*_NO_METRIC, *names))
    versions = about.get("versions")
    return SweepSide(
        str(folder),
        tuple(names),
        versions if isinstance(versions, dict) else {},
        version,
        _placed(table.to_dicts(), names),
        metrics,
    )


def _table(folder: Path) -> pl.DataFrame:
    path = next((p for name in (TABLE_NAME, CSV_NAME) if (p := folder / name).exists()), None)
    if path is None:
        raise ComparisonError(
            f"{folder}: has no {TABLE_NAME} yet; run the sweep again, which goes on where it ended"
        )
    try:
        if path.name == TABLE_NAME:
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema_length=None)
    except (PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ComparisonError(
            f"{path}: is damaged ({reason}); remove it and run the sweep again"
        ) from None


def _placed(rows: Iterable[dict[str, Any]], axes: Iterable[str]) -> dict[Place, dict[str, Any]]:
    """Return the rows by axis values, part and replica; equal ones are told apart by order."""
    keys = [*axes]
    placed: dict[Place, dict[str, Any]] = {}
    seen: Counter[Place] = Counter()
    for row in rows:
        others = [name for name in _PLACING if row.get(name) is not None and name not in keys]
        place = tuple((name, _hashable(row[name])) for name in [*keys, *others])
        seen[place] += 1
        again = (("repeat", seen[place] - 1),) if seen[place] > 1 else ()
        placed[(*place, *again)] = row
    return placed


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _check_alike(old: SweepSide, new: SweepSide) -> None:
    if old.schema_version != new.schema_version:
        raise ComparisonError(
            f"{old.label} has sweep schema {old.schema_version}, {new.label} "
            f"{new.schema_version}; run one of them again with the other's spusim"
        )
    if set(old.axes) != set(new.axes):
        raise ComparisonError(
            f"{old.label} sweeps {', '.join(old.axes)}; {new.label} sweeps {', '.join(new.axes)}; "
            "points are matched by their axis values, so the axes must be the same"
        )


def _failures(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return how the outcome of a point differs, where it failed on a side; else nothing."""
    was, now = _outcome(before), _outcome(after)
    return () if was == now else (Difference("status", "outputs", "", was, now),)


def _outcome(row: Mapping[str, Any]) -> str:
    return "done" if row["status"] == "done" else f"failed: {row.get('error') or 'no reason'}"


def _version_notes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    notes = []
    for key in dict.fromkeys([*old, *new]):
        was, now = str(old.get(key) or "unknown"), str(new.get(key) or "unknown")
        if was != now:
            notes.append(f"{key} differs: {was[:12]} and {now[:12]}")
    return notes


def _input_notes(old: SweepSide, new: SweepSide, both: Iterable[Place]) -> list[str]:
    rows = [(old.rows[place], new.rows[place]) for place in both]
    changed = {
        name: sum(was[name] != now[name] for was, now in rows)
        for name in _INPUTS
        if all(name in row for pair in rows[:1] for row in pair)
    }
    return [
        f"the inputs differ: {name} at {points} of {len(rows)} points; a difference may be theirs"
        for name, points in changed.items()
        if points
    ]
