"""Revisions of the repository one stands in: their instruction tables, and their own runs.

A revision's code runs from a git worktree of its own, which is gone afterwards. It lies at a place
that depends on its kernels alone, so that compiled kernels, which stay, are found the next time.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spusim.errors import SpusimError
from spusim.experiments.behaviour import ConformanceRun, read_run
from spusim.isa import Isa, load_isa, read_isa, shipped_versions

TABLE = "isa/spu.isa"
PROGRAMS = "isa/programs"
KERNELS = "spusim/kernels"
ENTRY = "spusim/cli/main.py"
WORKING_TREE = (".", "WORKTREE")
MOST_CACHES = 6  # compiled kernels take some 20 MB
MOST_LINES = 12  # of what a failing run says

# started with -c, and not by the command's name, so that the worktree's package is the one
_START = """\
import os, sys
import spusim
home = os.path.realpath(os.getcwd())
file = spusim.__file__ or "a folder without __init__.py"
if not os.path.realpath(file).startswith(home + os.sep) or not spusim.__file__:
    sys.exit(f"{file} was imported, not the package of {home}")
from spusim.cli.main import main
main()
"""


class RevisionError(SpusimError):
    """A revision that does not exist, cannot be checked out, or cannot run."""


@dataclass(frozen=True)
class Revision:
    """A commit of a repository, or its working tree as it is (`commit` None)."""

    name: str
    repository: Path
    commit: str | None


@dataclass(frozen=True)
class Tree:
    """A revision's files, and where its kernels are cached (None: where they always are)."""

    revision: Revision
    path: Path
    kernels: Path | None

    @property
    def programs(self) -> Path:
        """Its folder of conformance programs."""
        return self.path / PROGRAMS


def find_revision(name: str, folder: Path) -> Revision:
    """Return a revision of the repository that `folder` lies in; raises RevisionError."""
    versions = ", ".join(dict.fromkeys([*shipped_versions(), load_isa().version]))
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        raise RevisionError(
            f"{name}: is no table file and no version that ships, and {folder} lies in no git "
            "repository that could have a revision of that name; go to a checkout of spusim, or "
            f"give tables (.isa) or versions ({versions})"
        )
    repository = Path(top)
    if name in WORKING_TREE:
        return Revision(name, repository, None)
    commit = _git(
        repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    if commit is None:
        raise RevisionError(
            f"{name}: is no table file, no version that ships ({versions}) and no revision of "
            f"{repository}; give one of them, or `.` for the working tree"
        )
    return Revision(name, repository, commit)


def table_of(revision: Revision) -> Isa:
    """Return a revision's instruction table; raises RevisionError or IsaError."""
    if revision.commit is None:
        return load_isa(revision.repository / TABLE)
    text = _git(revision.repository, "show", f"{revision.commit}:{TABLE}")
    if text is None:
        raise RevisionError(f"{revision.name}: has no {TABLE}; take a later revision")
    return read_isa(text, f"{revision.name}:{TABLE}")


@contextmanager
def checked_out(revision: Revision) -> Iterator[Tree]:
    """Give a revision's files: the working tree itself, or a worktree that is removed again."""
    if revision.commit is None:
        yield Tree(revision, revision.repository, None)
        return
    home = _cache_home() / _kernels_key(revision)
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        os.utime(home)
        _drop_old_caches(home)
        tree = home / "tree"
        try:
            _add_worktree(revision, tree)
            yield Tree(revision, tree, home / "kernels")
        finally:
            _remove_worktree(revision.repository, tree)


def run_conformance(tree: Tree, programs: Path) -> ConformanceRun:
    """Run a folder of conformance programs on a revision's own code; raises RevisionError."""
    name = tree.revision.name
    for needed, what in ((tree.path / ENTRY, ENTRY), (programs, PROGRAMS)):
        if not needed.exists():
            raise RevisionError(f"{name}: has no {what}, so it cannot run conformance programs")
    paths = [str(tree.path), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONIOENCODING": "utf-8",
        **({"NUMBA_CACHE_DIR": str(tree.kernels)} if tree.kernels else {}),
    }
    command = ["isa", "test", "--dir", str(programs), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", _START, *command],
        cwd=tree.path, env=environment, capture_output=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    run = read_run(done.stdout)
    if run is not None:
        return run
    if "No such command" in done.stderr:
        raise RevisionError(f"{name}: its spusim has no `isa test` yet; take a later revision")
    said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-MOST_LINES:])
    raise RevisionError(
        f"{name}: `spusim isa test` gave no results (exit code {done.returncode}):\n{said}"
    )


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, without the newline at its end; None if it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *arguments],
            capture_output=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        raise RevisionError("git is not installed, and revisions need it; install git") from None
    return done.stdout.removesuffix("\n") if done.returncode == 0 else None


def _cache_home() -> Path:
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise RevisionError(
            "this user has no home to keep revisions in; set XDG_CACHE_HOME to a folder"
        ) from None
    return cache / "spusim" / "revisions"


def _kernels_key(revision: Revision) -> str:
    """Return the hash of a revision's kernels; of everything where it has none."""
    for what in (f"{revision.commit}:{KERNELS}", f"{revision.commit}^{{tree}}"):
        key = _git(revision.repository, "rev-parse", "--verify", "--quiet", what)
        if key:
            return key
    raise RevisionError(f"{revision.name}: commit {revision.commit} has no files to check out")


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Have a cache for oneself; two diffs of the same kernels wait for each other."""
    import fcntl  # not everywhere; nothing else here needs it

    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _drop_old_caches(used: Path) -> None:
    others = [home for home in used.parent.iterdir() if home != used]
    others.sort(key=lambda home: home.stat().st_mtime, reverse=True)
    for home in others[MOST_CACHES - 1 :]:
        if not (home / "tree").exists():  # else another diff is at work there
            shutil.rmtree(home, ignore_errors=True)


def _add_worktree(revision: Revision, tree: Path) -> None:
    _remove_worktree(revision.repository, tree)  # what a killed diff left
    added = _git(
        revision.repository, "worktree", "add", "--quiet", "--force", "--detach",
        str(tree), str(revision.commit),
    )  # fmt: skip
    if added is None:
        raise RevisionError(
            f"{revision.name}: `git worktree add {tree}` failed; check space and permission there, "
            f"and that .git of {revision.repository} can be written"
        )
    # numba knows a source by its time, which a checkout sets anew
    for source in tree.rglob("*.py"):
        digest = hashlib.sha256(source.read_bytes()).digest()
        os.utime(source, (0, int.from_bytes(digest[:4], "big") >> 1))


def _remove_worktree(repository: Path, tree: Path) -> None:
    if tree.exists():
        _git(repository, "worktree", "remove", "--force", "--force", str(tree))
        shutil.rmtree(tree, ignore_errors=True)
        _git(repository, "worktree", "prune")
