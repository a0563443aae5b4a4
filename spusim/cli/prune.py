"""`spusim prune`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.options import Json
from spusim.experiments.compression import (
    CompressionError,
    prune_to_file,
    pruned_parts,
    pruned_record,
    shrink_to_files,
    shrunk_parts,
    shrunk_record,
)
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
            help="element, pencil:N, block:RxC, row, column, filter, channel, kernel, unit, or N:M "
            "of M outputs (n_of_m:N:M:inputs: of M inputs)."
        ),
    ] = "element",
    density: Annotated[float | None, typer.Option(help="Fraction kept, 0 to 1.")] = None,
    sparsity: Annotated[float | None, typer.Option(help="Fraction dropped, 0 to 1.")] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Prune these only, e.g. 'lstm*'; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave these alone, e.g. 'stft*'; may be repeated."),
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option("--global/--per-layer", help="One threshold for all, or a density for each."),
    ] = False,
    scope: Annotated[
        str | None, typer.Option(help="layer or global: as --per-layer and --global.")
    ] = None,
    norm: Annotated[str, typer.Option(help="Norm by which groups compare: l1 or l2.")] = "l2",
    network: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Of structure unit: the network that shrinks."),
    ] = None,
    json: Json = False,
) -> None:
    """Prune a checkpoint's weights by magnitude; biases stay as they are."""
    scope = scope or ("global" if everywhere else "layer")
    chosen, left = layers or (), exclude or ()
    if structure == "unit":
        _shrink(file, output, network, (density, sparsity, scope, norm), chosen, left, json)
        return
    pruned = prune_to_file(file, output, structure, density, sparsity, scope, norm, chosen, left)
    if json:
        typer.echo(record_text(pruned_record(pruned, output)), nl=False)
    else:
        print_parts(make_console(), pruned_parts(pruned, output))


def _shrink(
    file: str, output: Path, network: str | None,
    how: tuple[float | None, float | None, str, str], chosen: Sequence[str],
    left: Sequence[str], json: bool,
) -> None:  # fmt: skip
    """Take units out of a network and its checkpoint. how: density, sparsity, scope, norm."""
    if left:
        raise CompressionError(
            f"exclude (={', '.join(left)}): unit prunes layers of a network; name those "
            "that shrink: --layers GLOB"
        )
    if network is None:
        raise typer.BadParameter(
            "unit takes rows and columns out of several layers, so give the network file, "
            "which shrinks with them: --network NET.yaml",
            param_hint="--structure",
        )
    shrunk, smaller = shrink_to_files(file, output, network, *how, chosen)
    if json:
        typer.echo(record_text(shrunk_record(shrunk, output, smaller)), nl=False)
    else:
        print_parts(make_console(), shrunk_parts(shrunk, output, smaller))
