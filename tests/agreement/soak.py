"""Compare the implementations on fresh programs for as long as told.

    python tests/agreement/soak.py --minutes 10 [--seed N] [--jobs N] [--only KIND ...]
    python tests/agreement/soak.py --repeat KIND SEED

Every program is drawn from a seed of its own; a failure is made smaller and told with the command
that repeats it. Ctrl-C ends with the table of what was compared so far. Exit code 1 if anything
differs.
"""

import argparse
import itertools
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import tally
from rooms import TESTS
from soak_kinds import KINDS

SEED_BITS = 32
MOST_FAILURES = 10  # after which nothing new is to be learnt
PROGRESS_S = 10.0
Batch = tuple[str, tuple[int, ...]]  # kind, seeds


@dataclass(frozen=True)
class Failure:
    """A program on which implementations differ, and how."""

    kind: str
    seed: int
    report: str

    @property
    def command(self) -> str:
        """The command that runs it again."""
        script = Path(__file__).resolve().relative_to(TESTS.parent)
        return f"python {script} --repeat {self.kind} {self.seed}"


@dataclass
class Record:
    """What a soak has done so far."""

    parts: list[tally.Rows] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def add(self, result: tuple[tally.Rows, list[Failure]]) -> None:
        """Add a batch; tell of its failures."""
        rows, failures = result
        self.parts = [tally.total([*self.parts, rows])]
        self.failures += failures
        for failure in failures:
            say(f"\n{failure.kind} {failure.seed}: {failure.report}\n{failure.command}\n")

    def sums(self) -> tuple[int, int]:
        """Return programs that passed, and their cycles."""
        rows = tally.total(self.parts).values()
        return sum(programs for programs, _ in rows), sum(cycles for _, cycles in rows)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_batch(batch: Batch) -> tuple[tally.Rows, list[Failure]]:
    """Compare programs of one kind; return what was compared, and the failures."""
    kind, failures = KINDS[batch[0]], []
    parts = []
    for seed in batch[1]:
        report = kind.report(seed)
        if report:
            failures.append(Failure(kind.name, seed, report))
        parts.append(tally.take())
    return tally.total(parts), failures


def batches(seed: int, names: list[str]) -> Iterator[Batch]:
    """Draw batches of all kinds in turn, without end."""
    rng = random.Random(seed)
    for name in itertools.cycle(names):
        yield name, tuple(rng.getrandbits(SEED_BITS) for _ in range(KINDS[name].batch))


def soak(seed: int, minutes: float, jobs: int, names: list[str]) -> Record:
    """Run batches on `jobs` processes until the time is over; Ctrl-C ends it sooner."""
    record, source = Record(), batches(seed, names)
    ignore = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is this process's; batches are short
    with ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=ignore) as pool:
        running: set[Future] = set()
        try:
            for batch in itertools.islice(source, len(names)):  # one process compiles and builds
                record.add(pool.submit(run_batch, batch).result())
            end = time.monotonic() + 60 * minutes
            told = time.monotonic()
            while time.monotonic() < end and len(record.failures) < MOST_FAILURES:
                running |= {
                    pool.submit(run_batch, next(source)) for _ in range(jobs - len(running))
                }
                done, running = wait(running, 1.0, FIRST_COMPLETED)
                for future in done:
                    record.add(future.result())
                if time.monotonic() - told > PROGRESS_S:
                    told = time.monotonic()
                    say(progress(record, max(0.0, end - told)))
        except KeyboardInterrupt:
            say("interrupted: finishing what runs")
        for future in running:
            record.add(future.result())
    return record


def progress(record: Record, left_s: float) -> str:
    """Return a line that tells how far a soak is."""
    programs, cycles = record.sums()
    failed = len(record.failures)
    return f"{left_s / 60:.1f} min left: {programs:,} programs, {cycles:,} cycles, {failed} failed"


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (5)")
    parser.add_argument("--seed", type=int, help="of all programs' seeds; a fresh one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (all cores)")
    parser.add_argument("--only", nargs="+", choices=KINDS, metavar="KIND", default=[*KINDS],
                        help=f"kinds of programs: {', '.join(KINDS)}")  # fmt: skip
    parser.add_argument("--repeat", nargs=2, metavar=("KIND", "SEED"), help="one program again")
    options = parser.parse_args(words)
    if not 0 < options.minutes < float("inf"):
        parser.error(f"--minutes (={options.minutes}) must be above 0")
    if options.jobs < 1:
        parser.error(f"--jobs (={options.jobs}) must be at least 1")
    if options.repeat:
        kind, seed = options.repeat
        if kind not in KINDS or not seed.isdigit():
            parser.error(f"--repeat takes one of {', '.join(KINDS)}, and a seed from a report")
    return options


def runnable(names: list[str]) -> list[str]:
    """Leave out the kinds that lack a tool, and say so."""
    for name in names:
        reason = KINDS[name].missing()
        if reason:
            say(f"{name}: left out, {reason}")
    return [name for name in names if not KINDS[name].missing()]


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; 1 if anything differs, or nothing could be compared."""
    options = arguments(words)
    began = time.monotonic()
    if options.repeat:
        record, seed = Record(), ""
        record.add(run_batch((options.repeat[0], (int(options.repeat[1]),))))
    else:
        number = secrets.randbits(SEED_BITS) if options.seed is None else options.seed
        seed, names = f", seed {number}", runnable(options.only)
        if not names:
            return 1
        say(f"soak{seed}: {', '.join(names)}, {options.minutes:g} min on {options.jobs} processes")
        try:
            record = soak(number, options.minutes, options.jobs, names)
        except BrokenProcessPool as error:
            say(f"error: a process died, as it does for want of memory: {error}")
            return 1
    rows = tally.total(record.parts)
    if rows:
        say("\n".join(["", *tally.table_lines(rows)]))
    passed, failed, seconds = record.sums()[0], len(record.failures), time.monotonic() - began
    say(f"{passed} passed, {failed} failed in {seconds:.0f} s{seed}")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
