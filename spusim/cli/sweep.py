"""`spusim sweep`: its options. What it does is loaded when it is to be done (`sweeping.py`)."""

import os
from pathlib import Path
from typing import Annotated

import typer

from spusim.experiments.sweep.layout import TABLE_NAME
from spusim.experiments.sweep.server import start_server

MANY = 10_000  # points, from which on --yes is asked for


def sweep(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A shipped sweep, or a sweep file (.yaml).")
    ],
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Processes; default: all cores.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Use the workers of a Dask cluster instead, e.g. tcp://127.0.0.1:8786.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Results; default: results/NAME."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell points and axes, and run nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help=f"Run more than {MANY:,} points without being asked.")
    ] = False,
) -> None:
    """Run a network or layer at every point of a sweep; what is stored already is not run again."""
    if not (dry_run or scheduler) and _likely_computes(file, output):
        start_server()  # what its processes need is loaded beside what this one needs
    from spusim.cli.sweeping import run

    run(file, jobs, scheduler, output, dry_run, yes)


def _likely_computes(file: str, output: Path | None) -> bool:
    """Tell, before it can be known, whether processes will be needed: a guess that costs nothing.

    Not for a file that is not there, nor where there is a table already.
    """
    folder = output or Path("results") / Path(file).stem
    there = os.path.exists(file) or not Path(file).suffix  # else it is the name of a shipped one
    return there and not os.path.exists(folder / TABLE_NAME)
