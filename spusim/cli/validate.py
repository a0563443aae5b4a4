"""`spusim validate`."""

import json as jsons
from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.kernels import tell_of_compiling
from spusim.cli.options import Json
from spusim.experiments.store import check_place
from spusim.experiments.tables import make_console, print_parts

DIFFERS = 4


def validate(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Validations; default: all."),
    ] = None,
    json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Folder for validation.json and a figure each."
        ),
    ] = None,
) -> None:
    """Lay our figures beside published ones. Exit code 4: one that must hold does not."""
    # polars takes long to import, and other commands do not need it
    from spusim.experiments.validation import write
    from spusim.experiments.validation.catalogue import run_studies
    from spusim.experiments.validation.sheets import study_sheets, summary_sheets

    if output:
        check_place(output)
    console = make_console()
    studies = []
    with tell_of_compiling():
        for study in run_studies(names or ()):
            studies.append(study)
            if not json:
                print_parts(console, study_sheets(study))
    if not json and len(studies) > 1:
        print_parts(console, summary_sheets(studies))
    if json:
        typer.echo(jsons.dumps(write.record(studies), indent=2, sort_keys=True))
    if output:
        written = write.write_studies(studies, output)
        typer.echo(f"written to {output}: {', '.join(path.name for path in written)}", err=json)
    raise typer.Exit(0 if all(study.holds for study in studies) else DIFFERS)
