"""Running a sweep: what is stored is read, what is not is computed, and the table is written."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from spusim.experiments.store import OutputError
from spusim.experiments.sweep.columns import Told
from spusim.experiments.sweep.execution import Execution
from spusim.experiments.sweep.file import Sweep
from spusim.experiments.sweep.identity import versions
from spusim.experiments.sweep.jobs import Job, Point
from spusim.experiments.sweep.layout import CSV_NAME, SCHEMA_VERSION, SWEEP_NAME, TABLE_NAME
from spusim.experiments.sweep.parts import OpenPart
from spusim.experiments.sweep.pointfile import DONE, FAILED, point_bytes
from spusim.experiments.sweep.pools import Pool
from spusim.experiments.sweep.store import Store, open_store
from spusim.experiments.sweep.worker import Outcome


@dataclass
class Progress:
    """How far a sweep is, counted in points."""

    total: int
    cached: int = 0
    done: int = 0
    failed: int = 0  # those of the points that are done and went wrong, impossible ones apart
    impossible: int = 0
    errors: dict[int, str] = field(default_factory=dict)  # point's number -> which, and why

    @property
    def finished(self) -> int:
        """Points that need no more work."""
        return self.cached + self.done + self.failed + self.impossible


@dataclass(frozen=True)
class Summary:
    """What came of a sweep. interrupted: by Ctrl-C; the table then has the points so far."""

    progress: Progress
    damaged: int
    interrupted: bool
    files: tuple[Path, ...]


def run_sweep(
    sweep: Sweep,
    parts: Sequence[OpenPart],
    points: Sequence[Point],
    folder: Path,
    pool: Callable[[], AbstractContextManager[Pool]],
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Compute the points that the folder does not hold, and write its table.

    pool: gives the workers, and is only called if there is something to compute; watch: is called
    when something has happened, and twice a second. Raises OutputError, PoolError; what was
    computed until then stays, and is in the table.
    """
    with open_store(folder, sweep.name) as store:
        store.write(SWEEP_NAME, _told(sweep, parts))
        run = _Run(store, points, watch)
        interrupted = False
        try:
            run.compute(pool)
        except KeyboardInterrupt:
            interrupted = True
        except Exception:
            with suppress(OutputError):  # which must not hide what went wrong
                run.write_table(_axes(parts))
            raise
        files = run.write_table(_axes(parts))
        return Summary(run.progress, run.damaged, interrupted, files)


class _Run:
    """A sweep under way."""

    def __init__(self, store: Store, points: Sequence[Point], watch: Callable[[Progress], None]):
        self._store, self._points, self._watch = store, points, watch
        self._of: dict[str, list[Point]] = {}
        for point in points:
            self._of.setdefault(point.job.key, []).append(point)
        self._told, damaged = store.read(self._of)
        self.damaged = len(damaged)
        self.progress = Progress(len(points))
        self.progress.cached = sum(len(self._of[key]) for key in self._told)

    def compute(self, pool: Callable[[], AbstractContextManager[Pool]]) -> None:
        """Compute what is missing, failed points again."""
        missing: list[Job] = []
        for key, points in self._of.items():
            if key in self._told:
                continue
            if points[0].impossible is not None:
                self._refuse(points[0])
            else:
                missing.append(points[0].job)
        self._watch(self.progress)
        if missing:
            with pool() as workers:
                Execution(workers, self._keep, self._wait).run(missing)
        self._watch(self.progress)

    def write_table(self, axes: Sequence[str]) -> tuple[Path, ...]:
        """Write the table of all points that there are records of, if there are any."""
        if not self._told:
            return ()
        # polars takes long to import, and other commands do not need it
        from spusim.experiments.sweep.table import make_table, table_files

        table = make_table(self._points, self._told, axes)
        files = table_files(table)
        self._store.write(TABLE_NAME, files["parquet"])
        self._store.write(CSV_NAME, files["csv"])
        return (self._store.folder / TABLE_NAME, self._store.folder / CSV_NAME)

    def _wait(self) -> None:
        """Do what can be done while workers compute: tell of it, and load what tables take."""
        self._watch(self.progress)
        import_module("spusim.experiments.sweep.table")

    def _keep(self, outcome: Outcome) -> None:
        self._store.write_point(outcome.key, outcome.data)
        self._told[outcome.key] = Told(outcome.status, outcome.error, outcome.row)
        self._count(outcome.key, outcome.status, outcome.impossible, outcome.error)

    def _refuse(self, point: Point) -> None:
        """Record a point that no machine can be built for."""
        job = point.job
        data = point_bytes(job.key, job.identity, FAILED, {"error": point.impossible})
        self._store.write_point(job.key, data)
        self._told[job.key] = Told(FAILED, point.impossible)
        self._count(job.key, FAILED, True, point.impossible)

    def _count(self, key: str, status: str, impossible: bool, error: str | None) -> None:
        points = self._of[key]
        if status == DONE:
            self.progress.done += len(points)
        elif impossible and points[0].skippable:
            self.progress.impossible += len(points)
        else:
            self.progress.failed += len(points)
            self.progress.errors |= {p.number: f"{p.told}: {error}" for p in points}


def _axes(parts: Sequence[OpenPart]) -> list[str]:
    return list(dict.fromkeys(axis.name for part in parts for axis in part.axes.axes))


def _told(sweep: Sweep, parts: Sequence[OpenPart]) -> bytes:
    """Return sweep.json: what was swept, without anything that differs between runs of it."""
    axes: dict[str, dict[str, Any]] = {}
    for part in parts:
        for axis in part.axes.axes:
            about = part.parameter(axis.name).about
            entry = axes.setdefault(axis.name, {"name": axis.name, "about": about, "values": []})
            entry["values"] += [v for v in axis.values if v not in entry["values"]]
    content = {
        "schema_version": SCHEMA_VERSION,
        "name": sweep.name,
        "description": sweep.description,
        "versions": vars(versions()),
        "axes": list(axes.values()),
        "parts": [
            {
                "name": part.part.name,
                "points": part.count,
                "axes": [axis.name for axis in part.axes.axes],
                "baseline": part.part.file.baseline,
            }
            for part in parts
        ],
        "sweep": sweep.tree.plain,
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
