"""Plant the faults of `mutants.yaml` one by one, and see which test notices each.

    python tests/mutants/plant.py [--only NAME ...] [--jobs N]

The project is copied, once for every job; a fault replaces the one place where its text stands,
its tests run until one fails, and the text is put back. Before anything is planted all tests that
are to notice something must pass. Exit code 1 if a fault survives.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
PLAN = Path(__file__).with_name("mutants.yaml")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "out", "build", "dist", ".*_cache", ".hypothesis"
)
KERNELS = "spusim/kernels/"
TIMEOUT_S = 900
# most of a fault's time is a compilation of the kernels, and they run for seconds only
QUICK_COMPILATION = {"NUMBA_OPT": "0", "NUMBA_LOOP_VECTORIZE": "0", "NUMBA_SLP_VECTORIZE": "0"}
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """A fault: in `file`, `find` (which stands there once) becomes `replace`."""

    name: str
    what: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the test that noticed it, or None."""

    mutant: Mutant
    caught_by: str | None
    seconds: float


class PlanError(Exception):
    """A fault that cannot be planted, or tests that fail without one."""


def load_plan(path: Path = PLAN) -> list[Mutant]:
    """Read the faults; each group of them names its tests."""
    groups = YAML(typ="safe").load(path.read_text())
    return [
        Mutant(tests=tuple(group["tests"]), **fault)
        for group in groups
        for fault in group["mutants"]
    ]


def planted(mutant: Mutant, text: str) -> str:
    """Return a file's text with the fault in it. Raises PlanError if its place is not unique."""
    places = text.count(mutant.find)
    if places != 1:
        raise PlanError(
            f"{mutant.name}: its text stands {places} times in {mutant.file}, and must stand once; "
            "mend tests/mutants/mutants.yaml"
        )
    return text.replace(mutant.find, mutant.replace)


class Nursery:
    """A copy of the project in which faults are planted, one at a time."""

    def __init__(self, folder: Path):
        self.root = folder / "spusim"
        self._clean_cache = folder / "clean"
        self._fault_cache = folder / "faulty"
        shutil.copytree(ROOT, self.root, symlinks=True, ignore=LEFT_OUT)

    def try_out(self, mutant: Mutant) -> Verdict:
        """Plant a fault, run its tests, and put the text back."""
        began = time.monotonic()
        path = self.root / mutant.file
        text, stat = path.read_text(), path.stat()
        path.write_text(planted(mutant, text))
        in_kernels = mutant.file.startswith(KERNELS)
        if in_kernels:  # what does not depend on the file stays compiled
            shutil.copytree(self._clean_cache, self._fault_cache)
        try:
            caught_by = self._noticed(
                mutant.tests, self._fault_cache if in_kernels else self._clean_cache
            )
        finally:
            path.write_text(text)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            shutil.rmtree(self._fault_cache, ignore_errors=True)
        return Verdict(mutant, caught_by, time.monotonic() - began)

    def check_clean(self, tests: Iterable[str]) -> None:
        """Make sure that the tests pass without a fault; compiles the kernels on the way."""
        failed = self._noticed(tests, self._clean_cache)
        if failed:
            raise PlanError(f"{failed} fails without any fault; mend it first")

    def _noticed(self, tests: Iterable[str], cache: Path) -> str | None:
        """Return the first failing test, or None when all pass."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "NUMBA_CACHE_DIR": str(cache),
            **QUICK_COMPILATION,
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-rfE"]
        command += ["-m", "slow or not slow"]
        try:
            done = subprocess.run(
                [*command, *tests], cwd=self.root, env=environment, capture_output=True, text=True,
                timeout=TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"no end within {TIMEOUT_S} s"
        if done.returncode == 0:
            return None
        found = FAILED.search(done.stdout)
        if found is None and done.returncode > 1:
            raise PlanError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return found[1] if found else "collection"


def try_all(mutants: list[Mutant], jobs: int, console: Console) -> list[Verdict]:
    """Try every fault, `jobs` at a time; tell of each as it ends. Ctrl-C leaves those tried."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory(prefix="spusim-mutants-") as folder:
        nurseries: Queue[Nursery] = Queue()
        for number in range(jobs):
            nurseries.put(Nursery(Path(folder) / str(number)))

        def with_nursery(work):  # type: ignore[no-untyped-def]
            nursery = nurseries.get()
            try:
                return work(nursery)
            finally:
                nurseries.put(nursery)

        def one(mutant: Mutant) -> Verdict:
            verdict: Verdict = with_nursery(lambda nursery: nursery.try_out(mutant))
            caught = escape(verdict.caught_by or "SURVIVES")
            console.print(f"{mutant.name}: {caught}", highlight=False)
            return verdict

        tried: list[Future[Verdict]] = []
        with ThreadPoolExecutor(jobs) as pool:
            console.print(f"{len(tests)} test files without a fault, in {jobs} copies ...")
            clean = [pool.submit(nursery.check_clean, tests) for nursery in list(nurseries.queue)]
            try:
                for check in clean:
                    check.result()
                tried = [pool.submit(one, mutant) for mutant in mutants]
                return [verdict.result() for verdict in tried]
            except BaseException as stop:
                pool.shutdown(cancel_futures=True)
                if isinstance(stop, KeyboardInterrupt):
                    return [v.result() for v in tried if not (v.cancelled() or v.exception())]
                raise


def table_of(verdicts: list[Verdict]) -> Table:
    """Lay out the verdicts."""
    table = Table("fault", "where", "what it does", "caught by", "s")
    for verdict in verdicts:
        mutant = verdict.mutant
        caught = escape(verdict.caught_by) if verdict.caught_by else "[bold red]survives[/]"
        table.add_row(
            mutant.name, mutant.file, escape(mutant.what), caught, f"{verdict.seconds:.0f}"
        )
    return table


def main() -> int:
    """Plant what the command line asks for."""
    parser = argparse.ArgumentParser(description="Plant faults, and see which test notices each.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these faults, not all")
    parser.add_argument("--jobs", type=int, default=2, help="faults tried at once (2)")
    options = parser.parse_args()
    mutants = load_plan()
    unknown = set(options.only or ()) - {mutant.name for mutant in mutants}
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: no such fault in {PLAN.name}")
    mutants = [m for m in mutants if not options.only or m.name in options.only]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    console = Console(width=None if sys.stdout.isatty() else 200)
    try:
        verdicts = try_all(mutants, min(options.jobs, len(mutants)), console)
    except PlanError as error:
        console.print(f"error: {escape(str(error))}", highlight=False)
        return 1
    survivors = [v.mutant.name for v in verdicts if v.caught_by is None]
    console.print(table_of(verdicts))
    console.print(f"{len(verdicts) - len(survivors)} of {len(mutants)} faults caught")
    return 1 if survivors or len(verdicts) < len(mutants) else 0


if __name__ == "__main__":
    sys.exit(main())
