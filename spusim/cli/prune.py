"""`spusim prune`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.options import Json
from spusim.experiments.compression import prune_to_file, pruned_parts, pruned_record
from spusim.experiments.record import record_text
from spusim.experiments.tables import make_console, print_parts


def prune(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A checkpoint with float weights.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The pruned .safetensors.")
    ],
    structure: Annotated[
        str,
        typer.Option(
            help="element, pencil:N, block:RxC, row, column, filter, channel, kernel or n_of_m:N:M."
        ),
    ] = "element",
    density: Annotated[float | None, typer.Option(help="Fraction kept, 0 to 1.")] = None,
    sparsity: Annotated[float | None, typer.Option(help="Fraction dropped, 0 to 1.")] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Prune these only, e.g. 'lstm*'; may be repeated."),
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option("--global/--per-layer", help="One threshold for all, or a density for each."),
    ] = False,
    norm: Annotated[str, typer.Option(help="Norm by which groups compare: l1 or l2.")] = "l2",
    json: Json = False,
) -> None:
    """Prune a checkpoint's weights by magnitude; biases stay as they are."""
    scope = "global" if everywhere else "layer"
    pruned = prune_to_file(file, output, structure, density, sparsity, scope, norm, layers or ())
    if json:
        typer.echo(record_text(pruned_record(pruned, output)), nl=False)
    else:
        print_parts(make_console(), pruned_parts(pruned, output))
