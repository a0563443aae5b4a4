"""`spusim quantize`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.options import Json, NetworkName, Settings
from spusim.experiments.compression import (
    WEIGHTS,
    quantise_to_file,
    quantised_parts,
    quantised_record,
)
from spusim.experiments.record import record_text
from spusim.experiments.tables import make_console, print_parts


def quantize(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A checkpoint with float weights.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The quantised .safetensors.")
    ],
    weights: Annotated[str, typer.Option(help=f"One of {', '.join(WEIGHTS)}.")] = "int8",
    activations: Annotated[str, typer.Option(help="binary, int4, int8 or int16.")] = "int16",
    calibrate: Annotated[
        str | None,
        typer.Option(metavar="S", help="Typical frames, as --stream of run; else the network's."),
    ] = None,
    per_channel: Annotated[
        bool, typer.Option("--per-channel", help="A scale per output row, not per weight.")
    ] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Find the scales of activations in every frame.")
    ] = False,
    input_range: Annotated[
        float | None,
        typer.Option(metavar="R", help="With --dynamic: frames are within +-R; no calibration."),
    ] = None,
    network: NetworkName = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Quantise a checkpoint for a network, calibrated on a stream."""
    quantised = quantise_to_file(
        file, output, network, weights, activations, calibrate, per_channel, settings or (),
        dynamic, input_range,
    )  # fmt: skip
    if json:
        typer.echo(record_text(quantised_record(quantised, output)), nl=False)
    else:
        print_parts(make_console(), quantised_parts(quantised, output))
