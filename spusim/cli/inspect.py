"""`spusim inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.options import Json, SparsityProfile
from spusim.experiments.inspection import (
    inspect_target,
    inspection_parts,
    inspection_record,
    write_starter,
)
from spusim.experiments.record import record_text
from spusim.experiments.tables import make_console, print_parts


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A checkpoint, FQIR plan, network file or shipped network."
        ),
    ],
    pes: Annotated[int, typer.Option(help="PEs that share a matrix.")] = 8,
    pencil: Annotated[int, typer.Option(help="Rows of a pencil.")] = 8,
    block: Annotated[str, typer.Option(metavar="RxC", help="Rows and columns of a block.")] = "4x4",
    weight_bits: Annotated[int, typer.Option(help="Bits of a stored weight.")] = 8,
    sparsity_profile: SparsityProfile = None,
    starter: Annotated[
        Path | None,
        typer.Option("--starter", metavar="FILE", help="Write a network file to start from."),
    ] = None,
    json: Json = False,
) -> None:
    """Tell a file's layers, shapes, types, densities, imbalance and bytes by format."""
    inspection = inspect_target(file, pes, pencil, weight_bits, block, sparsity_profile)
    questions = write_starter(file, starter) if starter else ()
    if json:
        typer.echo(record_text(inspection_record(inspection)), nl=False)
    else:
        print_parts(make_console(), inspection_parts(inspection))
        for question in questions:
            typer.echo(f"not settled: {question}")
        if starter:
            typer.echo(f"written: {starter}")
