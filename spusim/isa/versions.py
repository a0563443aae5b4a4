"""Frozen tables, and what the table in work must keep of them (docs/isa_versions.md).

A folder `frozen` beside the table holds `VERSION.isa` for each frozen version, and HASHES with the
sha256 of each file, a line each as sha256sum writes and checks them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

from spusim.isa.diff import TableDiff, diff_tables
from spusim.isa.spec import Isa, IsaError
from spusim.isa.table import load_isa, read_isa
from spusim.resources import shipped

FOLDER = "frozen"
HASHES = "HASHES"
MOST_REASONS = 5

_HASH_LINE = re.compile(r"([0-9a-f]{64})  (\S+\.isa)")
_VERSION_LINE = re.compile(r"^[ \t]*version[ \t]+\S+[ \t]+draft\b", re.MULTILINE)


@dataclass(frozen=True)
class Freeze:
    """What freezing writes: the frozen file, then HASHES, then the table, in this order."""

    version: str
    files: tuple[tuple[Path, bytes], ...]


def shipped_versions() -> dict[str, Isa]:
    """Return version -> table of the frozen versions that ship, oldest first."""
    return dict(_shipped_versions())


def frozen_tables(folder: Path) -> dict[str, Isa]:
    """Return version -> table of a folder's frozen versions, oldest first; none without a folder.

    Raises IsaError unless every file is as its hash says, and is what its name says.
    """
    if not folder.is_dir():
        return {}
    hashes = _read_hashes(folder / HASHES)
    found = {path.name: path for path in folder.glob("*.isa")}
    for name in sorted({*hashes, *found}):
        if name not in found:
            raise IsaError(f"{folder / HASHES}: {name} is missing from the folder; bring it back")
        if name not in hashes:
            raise IsaError(
                f"{found[name]}: is not in {HASHES}; only `spusim isa freeze` adds frozen tables: "
                f"remove the file, and freeze again"
            )
    tables = [_read_frozen(found[name], digest) for name, digest in hashes.items()]
    return {isa.version: isa for isa in sorted(tables, key=lambda isa: isa.release)}


def check_versions(isa: Isa, frozen: Mapping[str, Isa]) -> list[str]:
    """Return facts about a table beside frozen ones; raises IsaError where it breaks a rule."""
    facts = [f"frozen: {old.version}, sha256 {old.hash}" for old in frozen.values()]
    for one, other in combinations(frozen.values(), 2):
        _check_major(diff_tables(one, other))
    same = frozen.get(isa.version)
    if same:
        _check_same(diff_tables(same, isa))
        return [*facts, f"{isa.version} is as it was frozen"]
    newest = max(frozen.values(), key=lambda old: old.release, default=isa)
    if isa.release < newest.release:
        raise IsaError(
            f"{isa.source}: version {isa.version} comes before {newest.version}, which is frozen; "
            f"take a version after it, as {_next(newest)}"
        )
    for old in frozen.values():
        diff = diff_tables(old, isa)
        _check_major(diff)
        facts.append(f"{isa.version} after {old.version}: {_summary(diff)}")
    return facts


def check_beside(table: Path) -> list[str]:
    """Do as `check_versions`, for a table's file and the folder of frozen ones beside it."""
    return check_versions(load_isa(table), frozen_tables(table.parent / FOLDER))


def plan_freeze(table: Path) -> Freeze:
    """Return what makes a table's file a frozen version; raises IsaError where a rule forbids it.

    Doing it again after it was interrupted ends it.
    """
    isa, folder = load_isa(table), table.parent / FOLDER
    if isa.state != "draft":
        raise IsaError(
            f"{table}: version {isa.version} is {isa.state} already; give the table the next "
            f"version and the state draft, as `version {_next(isa)} draft`, and change it first"
        )
    path = folder / f"{isa.version}.isa"
    text = _frozen_text(table.read_text(encoding="utf-8-sig"), isa)
    hashes = _read_hashes(folder / HASHES) if (folder / HASHES).exists() else {}
    digest = hashlib.sha256(text).hexdigest()
    if hashes.get(path.name, digest) != digest:
        raise IsaError(
            f"{table}: version {isa.version} is frozen already, with other content; give the table "
            f"the next version, as `version {_next(isa)} draft`"
        )
    before = {name: _read_frozen(folder / name, known) for name, known in hashes.items()}
    before.pop(path.name, None)
    check_versions(read_isa(text.decode(), str(table)), {o.version: o for o in before.values()})
    lines = [f"{known}  {name}\n" for name, known in {**hashes, path.name: digest}.items()]
    files = ((path, text), (folder / HASHES, "".join(lines).encode()), (table, text))
    return Freeze(isa.version, files)


@lru_cache(maxsize=1)
def _shipped_versions() -> dict[str, Isa]:
    return frozen_tables(shipped("isa") / FOLDER)


def _frozen_text(text: str, isa: Isa) -> bytes:
    return _VERSION_LINE.sub(f"version {isa.version} frozen", text, count=1).encode()


def _read_hashes(path: Path) -> dict[str, str]:
    """Return file name -> sha256; raises IsaError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise IsaError(f"{path}: cannot be read ({reason}); bring it back") from error
    hashes: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _HASH_LINE.fullmatch(line)
        if match is None or match[2] in hashes:
            raise IsaError(
                f"{path}:{number}: must be a sha256, two spaces and a file's name, each name once; "
                f"found {line!r}"
            )
        hashes[match[2]] = match[1]
    return hashes


def _read_frozen(path: Path, digest: str) -> Isa:
    isa = load_isa(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise IsaError(
            f"{path}: has changed since it was frozen: its sha256 is {found[:12]}, {HASHES} says "
            f"{digest[:12]}; bring the file back, and make the change in a new version"
        )
    if (f"{isa.version}.isa", isa.state) != (path.name, "frozen"):
        raise IsaError(
            f"{path}: says version {isa.version} {isa.state}; a frozen table has the version of "
            f"its file's name and the state frozen"
        )
    return isa


def _check_same(diff: TableDiff) -> None:
    """Refuse another table under a frozen version."""
    if diff.old == diff.new:
        return
    changed = [f"{c.subject}: {c.kind}" for c in diff.changes]
    raise IsaError(
        f"{diff.new.source}: version {diff.new.version} is frozen and may not change:\n"
        + _reasons(changed or [f"the state is {diff.new.state}, not frozen"])
        + f"\ngive the table the next version, as `version {_next(diff.old)} draft`"
    )


def _check_major(diff: TableDiff) -> None:
    """Refuse what breaks an older version of the same major, from major 1 on."""
    major = diff.old.release[0]
    if major < 1 or diff.new.release[0] != major or diff.compatible:
        return
    broken = [*diff.breaks_binaries, *diff.breaks_assembly, *diff.rewords_assembly]
    raise IsaError(
        f"{diff.new.source}: version {diff.new.version} breaks the frozen {diff.old.version}, and "
        f"versions of one major are compatible:\n{_reasons(broken)}\n"
        f"take the change back, or go to version {major + 1}.0"
    )


def _reasons(reasons: Sequence[str]) -> str:
    shown = [f"  {reason}" for reason in reasons[:MOST_REASONS]]
    if len(reasons) > len(shown):
        shown.append(f"  and {len(reasons) - len(shown)} more")
    return "\n".join(shown)


def _next(isa: Isa) -> str:
    major, minor = isa.release
    return f"{major}.{minor + 1}"


def _summary(diff: TableDiff) -> str:
    if not diff.changes:
        return "the same instructions"
    count = f"{len(diff.changes)} change{'s' * (len(diff.changes) != 1)}"
    if diff.compatible:
        return f"{count}, compatible"
    other = diff.new.release[0] != diff.old.release[0]
    may = "another major may" if other else "is allowed before 1.0"
    return f"{count}, not compatible, which {may}"
