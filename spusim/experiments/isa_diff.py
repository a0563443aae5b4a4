"""`spusim isa diff`: two tables compared, and of two revisions what their programs do."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import spusim
from spusim.errors import SpusimError
from spusim.experiments.behaviour import Behaviour, ConformanceRun, Programs, compare_behaviour
from spusim.experiments.revisions import (
    Revision,
    Tree,
    checked_out,
    find_revision,
    run_conformance,
    table_of,
)
from spusim.isa import Isa, TableDiff, diff_tables, load_isa, shipped_versions

SCHEMA_VERSION = 1
ERROR, RETIMED, BROKEN = 1, 3, 4
TABLE_SUFFIX, PROGRAM_SUFFIX = ".isa", ".spuasm"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Side:
    """What one side is: a table, and the revision that it is of, if it is of one."""

    name: str
    table: Isa
    revision: Revision | None = None


@dataclass(frozen=True)
class IsaDiff:
    """All differences. `behaviour` is None where it was not compared, for the reason `failure`.

    failure is empty if nobody asked for it.
    """

    old: Side
    new: Side
    tables: TableDiff
    behaviour: Behaviour | None = None
    failure: str = ""

    @property
    def exit_code(self) -> int:
        """0: nothing that matters; 3: time or counts; 4: values or compatibility; 1: not known."""
        behaviour = self.behaviour.severity if self.behaviour else 0
        if BROKEN in (behaviour, 0 if self.tables.compatible else BROKEN):
            return BROKEN
        if self.failure:
            return ERROR
        return max(behaviour, RETIMED if self.tables.retimes and not self.behaviour else 0)


def find_side(name: str, folder: Path) -> Side:
    """Return a table file, a version that ships or a revision by name, looked for in this order.

    Raises IsaError or RevisionError.
    """
    path = folder / name
    if path.is_file() or path.suffix == TABLE_SUFFIX:
        return Side(name, load_isa(path))
    shipped = {load_isa().version: load_isa(), **shipped_versions()}
    if name in shipped:
        return Side(name, shipped[name])
    revision = find_revision(name, folder)
    return Side(name, table_of(revision), revision)


def diff_sides(old: Side, new: Side, tell: Tell, run: bool = True) -> IsaDiff:
    """Compare two sides; two revisions run, too, unless `run` is False. tell: takes progress."""
    tables = diff_tables(old.table, new.table)
    if not (run and old.revision and new.revision):
        return IsaDiff(old, new, tables)
    try:
        behaviour = _behaviour(old.revision, new.revision, tell)
    except SpusimError as error:
        return IsaDiff(old, new, tables, failure=str(error))
    return IsaDiff(old, new, tables, behaviour)


def diff_record(diff: IsaDiff) -> dict[str, Any]:
    """Return a diff as one object for JSON."""
    tables = diff.tables
    return {
        "schema_version": SCHEMA_VERSION,
        "versions": {"spusim": spusim.__version__},
        "a": _side_record(diff.old),
        "b": _side_record(diff.new),
        "encodings": {
            "changes": [asdict(change) for change in tables.changes],
            "old_binaries": _verdict(tables.breaks_binaries),
            "old_assembly": _verdict((*tables.breaks_assembly, *tables.rewords_assembly))
            | {"assembles": not tables.breaks_assembly},
        },
        "conformance": _behaviour_record(diff.behaviour) if diff.behaviour else None,
        "not_compared": diff.failure or None,
        "exit_code": diff.exit_code,
    }


def _behaviour(old: Revision, new: Revision, tell: Tell) -> Behaviour:
    with tempfile.TemporaryDirectory(prefix="spusim-") as folder:
        kept = Path(folder) / "programs"
        with checked_out(old) as tree:
            before = _told_run(tree, tree.programs, "its own programs", tell)
            shutil.copytree(tree.programs, kept)
        with checked_out(new) as tree:
            after = _told_run(tree, tree.programs, "its own programs", tell)
            carried = after
            if not _digests(kept).items() <= _digests(tree.programs).items():
                carried = _told_run(tree, kept, f"the programs of {old.name}", tell)
            programs = _compare_files(kept, tree.programs, before, after)
    return compare_behaviour(before, carried, after, programs)


def _told_run(tree: Tree, programs: Path, what: str, tell: Tell) -> ConformanceRun:
    tell(f"{tree.revision.name}: running {what} (new kernels are compiled first)")
    return run_conformance(tree, programs)


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _compare_files(old: Path, new: Path, before: ConformanceRun, after: ConformanceRun) -> Programs:
    """Return which programs are new, gone or edited; a file belongs to the program it begins as."""
    one, other = _digests(old), _digests(new)
    differing = [Path(name) for name in {*one, *other} if one.get(name) != other.get(name)]
    texts = {path.stem for path in differing if path.suffix == PROGRAM_SUFFIX}
    goldens = {path.name.split(".")[0] for path in differing} - texts
    both = set(before.programs) & set(after.programs)
    return Programs(
        tuple(sorted(set(after.programs) - both)),
        tuple(sorted(set(before.programs) - both)),
        tuple(sorted(both & texts)),
        tuple(sorted(both & goldens)),
    )


def _side_record(side: Side) -> dict[str, Any]:
    revision, table = side.revision, side.table
    kind = ("revision" if revision.commit else "working tree") if revision else "table"
    return {
        "name": side.name,
        "kind": kind,
        "commit": revision.commit if revision else None,
        "version": table.version,
        "state": table.state,
        "hash": table.hash,
    }


def _verdict(reasons: tuple[str, ...]) -> dict[str, Any]:
    return {"kept": not reasons, "reasons": list(reasons)}


def _behaviour_record(behaviour: Behaviour) -> dict[str, Any]:
    return {
        "programs": behaviour.compared,
        "changes": [asdict(change) for change in behaviour.changes],
        "added": list(behaviour.programs.added),
        "removed": list(behaviour.programs.removed),
        "edited": list(behaviour.programs.edited),
        "refreshed": list(behaviour.programs.refreshed),
        "failing": dict(behaviour.failing),
    }
