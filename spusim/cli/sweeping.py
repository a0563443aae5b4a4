"""Doing what `spusim sweep` was asked to: points are made, computed and watched, and summed up."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from spusim.cli.interruption import INTERRUPTED
from spusim.cli.kernels import tell_of_compiling
from spusim.cli.sweep import MANY
from spusim.experiments.pool import own_cores
from spusim.experiments.quantities import count
from spusim.experiments.sweep.explain import sweep_parts
from spusim.experiments.sweep.file import SweepError, load_sweep
from spusim.experiments.sweep.parts import OpenPart, open_parts
from spusim.experiments.sweep.points import make_points
from spusim.experiments.sweep.pools import Pool, dask_pool, local_pool
from spusim.experiments.sweep.run import Progress, Summary, run_sweep
from spusim.experiments.sweep.warm import WARM
from spusim.experiments.tables import make_console, print_parts

LINE_S = 5.0  # between lines of progress where there is no terminal
MOST_ERRORS = 10  # failed points that are named

Watch = Callable[[Progress], None]


def run(
    file: str,
    jobs: int | None,
    scheduler: str | None,
    output: Path | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Run a sweep, or tell of it; the options are those of the command."""
    if jobs is not None and (jobs < 1 or scheduler):
        raise SweepError(
            "--jobs goes with processes of this machine; drop it or --scheduler"
            if scheduler
            else f"--jobs (={jobs}) must be at least 1"
        )
    described = load_sweep(file)
    parts = open_parts(described)
    total = sum(part.count for part in parts)
    if dry_run:
        if total <= MANY or yes:
            make_points(parts)
        print_parts(make_console(), sweep_parts(described, parts))
        return
    if total > MANY and not yes:
        raise SweepError(
            f"{described.tree.origin}: {described.name} has {total:,} points, more than {MANY:,}; "
            "look at it with --dry-run, and run it with --yes if that is what you mean"
        )
    points = make_points(parts)
    folder = output or Path("results") / described.name
    pool = _pool(parts, jobs, scheduler)
    with _watching(described.name, folder) as watch:
        summary = run_sweep(described, parts, points, folder, pool, watch)
    _conclude(summary, folder)


def _pool(
    parts: list[OpenPart], jobs: int | None, scheduler: str | None
) -> Callable[[], AbstractContextManager[Pool]]:
    if scheduler:
        return lambda: dask_pool(scheduler, lambda line: typer.echo(line, err=True))

    @contextmanager
    def started() -> Iterator[Pool]:
        with local_pool(jobs or own_cores()) as pool:
            with tell_of_compiling():
                for warm in {WARM[part.part.file.alone] for part in parts}:
                    warm()
            yield pool

    return started


def _conclude(summary: Summary, folder: Path) -> None:
    """Say what came of it, and leave with the exit code."""
    progress = summary.progress
    if summary.damaged:
        typer.echo(
            f"{count(summary.damaged, 'stored point')} in {folder} were damaged and computed anew",
            err=True,
        )
    told = [
        f"{progress.done:,} computed",
        f"{progress.cached:,} read from {folder}",
        *([f"{progress.impossible:,} impossible"] if progress.impossible else []),
        f"{progress.failed:,} failed",
    ]
    typer.echo(f"{count(progress.total, 'point')}: {', '.join(told)}")
    if summary.files:
        typer.echo(f"written: {', '.join(map(str, summary.files))}")
    if summary.interrupted:
        left = progress.total - progress.finished
        typer.echo(
            f"interrupted: {count(left, 'point')} left; the same command goes on from here",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)
    if progress.failed:
        shown = [error for _, error in sorted(progress.errors.items())[:MOST_ERRORS]]
        lines = [error.splitlines()[0] for error in shown]
        more = progress.failed - len(lines)
        lines += [f"and {more:,} more, see the column error"] if more > 0 else []
        raise SweepError(
            "\n".join([f"{count(progress.failed, 'point')} failed, the others are stored", *lines])
        )


@contextmanager
def _watching(name: str, folder: Path) -> Iterator[Watch]:
    """Show progress on stderr: a bar on a terminal, else a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name)
        return
    columns = (
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Bar(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(name, total=None, told="")

        def watch(progress: Progress) -> None:
            bar.update(
                task, total=progress.total, completed=progress.finished, told=_told(progress)
            )

        yield watch


def _lines(name: str) -> Watch:
    began = last = time.monotonic()

    def watch(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_S:
            return
        last = now
        work = progress.finished - progress.cached
        left = progress.total - progress.finished
        eta = f", {left * (now - began) / work:.0f} s left" if work else ""
        line = f"{name}: {progress.finished:,} of {progress.total:,}, {_told(progress)}{eta}"
        typer.echo(line, err=True)

    return watch


def _told(progress: Progress) -> str:
    return f"{progress.done:,} done, {progress.cached:,} cached, {progress.failed:,} failed"
