"""Plant the faults of `mutants.yaml` one by one, and see which test notices each.

    python tests/mutants/plant.py [--only NAME ...] [--jobs N]

The project is copied, once for every job; a fault replaces the one place where its text stands,
its tests run until one fails, and the text is put back. The test that caught it last time
(`caught.json`, written after each fault) runs first, and alone if it fails again. A test that
catches something must pass without any fault: those of last time before anything is planted,
another one at once. Exit code 1 if a fault survives.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Lock

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
PLAN = Path(__file__).with_name("mutants.yaml")
CAUGHT = Path(__file__).with_name("caught.json")
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "out", "build", "dist", ".*_cache", ".hypothesis"
)
KERNELS = "spusim/kernels/"
MOST_S = 300  # of processor time, which other work does not take from a test that would end
NO_END, CRASHED = f"no end within {MOST_S} s", "the process, which it ends"
NO_TEST = {NO_END, CRASHED}  # what catches a fault without saying which test did
LIMITED = ("sh", "-c", f'ulimit -t {MOST_S}; exec "$@"', "sh")
# Most of a fault's time is a compilation of the kernels, and they run for seconds only. Kernels
# that are compiled like this are kept apart from others (`spusim.kernels.cache`).
QUICK_COMPILATION = {"NUMBA_OPT": "0", "NUMBA_LOOP_VECTORIZE": "0", "NUMBA_SLP_VECTORIZE": "0"}
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
NOT_RUN = re.compile(r"(SyntaxError|numba\.core\.errors\.\w+|KernelError|BuildError):")


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


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Return what no copy needs: environments of peers and the like, but RTL that is built."""
    return {*LEFT_OUT(folder, names), *((".cache",) if Path(folder) == ROOT else ())}


class Stopped(Exception):
    """Ctrl-C, which the tests hear, too: what they said is worth nothing."""


def remembered(plan: Path = CAUGHT) -> dict[str, str]:
    """Return by fault the test that caught it last time."""
    return dict(json.loads(plan.read_text())) if plan.exists() else {}


def remember(verdicts: Iterable[Verdict], names: Iterable[str], plan: Path = CAUGHT) -> None:
    """Keep what caught faults for the next time; forget the faults that are none any more."""
    caught = remembered(plan)
    for verdict in verdicts:
        caught.pop(verdict.mutant.name, None)
        if verdict.caught_by and verdict.caught_by not in NO_TEST:
            caught[verdict.mutant.name] = verdict.caught_by
    kept = {name: caught[name] for name in names if name in caught}
    plan.write_text(json.dumps(kept, indent=1) + "\n")


class Nursery:
    """A copy of the project in which faults are planted, one at a time."""

    def __init__(self, folder: Path):
        self.root = folder / "spusim"
        self._clean_cache = folder / "clean"
        self._fault_cache = folder / "faulty"
        self._clean = set[str]()  # tests that pass without a fault
        self._second = int(time.time())
        shutil.copytree(ROOT, self.root, symlinks=True, ignore=_left_out)

    def try_out(self, mutant: Mutant, last_time: str | None) -> Verdict:
        """Plant a fault, run its tests, and put the text back.

        Raises PlanError if the test that fails does so without the fault, too.
        """
        began = time.monotonic()
        path = self.root / mutant.file
        text, stat = path.read_text(), path.stat()
        path.write_text(planted(mutant, text))
        # a module's bytecode is taken for that of another text of the same second and length
        self._second += 1
        os.utime(path, (self._second, self._second))
        cache = self._clean_cache
        if mutant.file.startswith(KERNELS):  # what does not depend on the file stays compiled
            cache = self._fault_cache
            if self._clean_cache.exists():
                shutil.copytree(self._clean_cache, cache)
        try:
            caught_by = self._noticed([last_time], cache) if last_time in self._clean else None
            caught_by = caught_by or self._noticed(mutant.tests, cache)
        finally:
            path.write_text(text)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            shutil.rmtree(self._fault_cache, ignore_errors=True)
        if caught_by:
            self.check_clean(mutant.tests if caught_by in NO_TEST else [caught_by])
        return Verdict(mutant, caught_by, time.monotonic() - began)

    def check_clean(self, tests: Iterable[str]) -> None:
        """Make sure that tests pass without a fault; compiles the kernels on the way."""
        new = sorted({*tests} - self._clean)
        failed = self._noticed(new, self._clean_cache) if new else None
        if failed:
            raise PlanError(f"{failed} fails without any fault; mend it first")
        self._clean.update(new)

    def exist(self, tests: Collection[str]) -> list[str]:
        """Return those of the tests that there still are."""
        files = {test.partition("::")[0] for test in tests}
        there = sorted(file for file in files if (self.root / file).exists())
        list_them = ["-o", "addopts=--import-mode=importlib", "--collect-only", "-q"]
        found = self._pytest([*list_them, *there], self._clean_cache).stdout.splitlines()
        return sorted({*tests} & {*found})

    def _pytest(self, arguments: Iterable[str], cache: Path) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "NUMBA_CACHE_DIR": str(cache),
            **QUICK_COMPILATION,
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "500",  # or names of tests are cut
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-rfE"]
        command += ["-m", "slow or not slow", *arguments]
        return subprocess.run(
            [*LIMITED, *command], cwd=self.root, env=environment, capture_output=True, text=True
        )

    def _noticed(self, tests: Iterable[str], cache: Path) -> str | None:
        """Return the first failing test, or None when all pass."""
        done = self._pytest(tests, cache)
        if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return NO_END
        if "KeyboardInterrupt" in done.stdout and done.returncode == pytest.ExitCode.INTERRUPTED:
            raise Stopped
        if done.returncode < 0:  # a signal's: memory was written to that is not the kernel's
            return CRASHED
        if done.returncode == pytest.ExitCode.OK:
            return None
        found = FAILED.search(done.stdout)
        if found is None:
            raise PlanError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        broken = NOT_RUN.search(done.stdout)
        if broken:
            raise PlanError(f"{found[1]} cannot run what is planted ({broken[1]}): it is no fault")
        return found[1]


def try_all(
    mutants: list[Mutant], last_time: dict[str, str], jobs: int, tell: Callable[[Verdict], None]
) -> list[Verdict]:
    """Try every fault, `jobs` at a time; tell of each as it ends. Ctrl-C leaves those tried."""
    known = {last_time[mutant.name] for mutant in mutants if mutant.name in last_time}
    with tempfile.TemporaryDirectory(prefix="spusim-mutants-") as folder:
        nurseries: Queue[Nursery] = Queue()

        def prepare(number: int) -> None:
            nursery = Nursery(Path(folder) / str(number))
            if known:
                nursery.check_clean(nursery.exist(known))
            nurseries.put(nursery)

        def one(mutant: Mutant) -> Verdict:
            nursery = nurseries.get()
            try:
                verdict = nursery.try_out(mutant, last_time.get(mutant.name))
            finally:
                nurseries.put(nursery)
            with telling:
                tell(verdict)
            return verdict

        tried: list[Future[Verdict]] = []
        telling = Lock()
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for prepared in [pool.submit(prepare, number) for number in range(jobs)]:
                    prepared.result()
                tried = [pool.submit(one, mutant) for mutant in mutants]
                return [verdict.result() for verdict in tried]
            except (KeyboardInterrupt, Stopped):
                pool.shutdown(cancel_futures=True)
                return [v.result() for v in tried if not (v.cancelled() or v.exception())]
            except BaseException:
                pool.shutdown(cancel_futures=True)
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
    plan = load_plan()
    unknown = set(options.only or ()) - {mutant.name for mutant in plan}
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: no such fault in {PLAN.name}")
    mutants = [m for m in plan if not options.only or m.name in options.only]
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    console = Console(width=None if sys.stdout.isatty() else 200)
    last_time = remembered()

    def tell(verdict: Verdict) -> None:
        caught = escape(verdict.caught_by or "SURVIVES")
        console.print(f"{verdict.mutant.name}: {caught} ({verdict.seconds:.0f} s)", highlight=False)
        remember([verdict], [mutant.name for mutant in plan])

    again = sum(mutant.name in last_time for mutant in mutants)
    console.print(f"what caught {again} of {len(mutants)} faults last time, without them ...")
    try:
        verdicts = try_all(mutants, last_time, min(options.jobs, len(mutants)), tell)
    except PlanError as error:
        console.print(f"error: {escape(str(error))}", highlight=False)
        return 1
    if len(verdicts) < len(mutants):
        console.print(f"stopped: {len(mutants) - len(verdicts)} faults not tried")
    survivors = [v.mutant.name for v in verdicts if v.caught_by is None]
    console.print(table_of(verdicts))
    console.print(f"{len(verdicts) - len(survivors)} of {len(mutants)} faults caught")
    return 1 if survivors or len(verdicts) < len(mutants) else 0


if __name__ == "__main__":
    sys.exit(main())
