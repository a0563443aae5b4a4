"""`spusim inspect`."""

from typing import Annotated

import typer

from spusim.cli.options import Json
from spusim.experiments.inspection import inspect_target, inspection_parts, inspection_record
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
    json: Json = False,
) -> None:
    """Tell a file's layers, shapes, types, densities, imbalance and bytes by format."""
    inspection = inspect_target(file, pes, pencil, weight_bits, block)
    if json:
        typer.echo(record_text(inspection_record(inspection)), nl=False)
    else:
        print_parts(make_console(), inspection_parts(inspection))
