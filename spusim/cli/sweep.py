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
    if not (dry_run or scheduler or os.path.exists(_usual_folder(file, output) / TABLE_NAME)):
        start_server()  # its processes' modules are loaded beside those of this one
    from spusim.cli.sweeping import run

    run(file, jobs, scheduler, output, dry_run, yes)


def _usual_folder(file: str, output: Path | None) -> Path:
    """Return where results most likely go; a file may say another name."""
    return output or Path("results") / Path(file).stem
