"""`spusim run`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.kernels import tell_of_compiling
from spusim.cli.options import (
    AllUnits,
    ArchName,
    Folder,
    Json,
    NetworkName,
    NoBaseline,
    Settings,
    SparsityProfile,
)
from spusim.cli.progress import show_layers
from spusim.experiments.case import run_case
from spusim.experiments.outputs import output_files
from spusim.experiments.record import record_text, result_record
from spusim.experiments.store import check_folder, write_folder
from spusim.experiments.tables import make_console, print_result
from spusim.experiments.targets import open_case, profile_settings
from spusim.result import RunResult

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A shipped run or network; or a run file or network file (.yaml), a checkpoint (.pt, "
        ".pth, .tar, .ckpt, .bin, .safetensors, with --network or settled), an FQIR plan "
        "(.plan.json), a program image (.spu) or source (.spuasm).",
    ),
]
StreamSpec = Annotated[
    str | None,
    typer.Option(
        "--stream",
        metavar="S",
        help="A shipped stream, FILE[:key] (.npz, .npy, .safetensors), sound (.wav), an image "
        "(.png, .jpg), a folder of files, noise:frames=2,seed=1, or "
        "random:density=0.5,frames=50,seed=1.",
    ),
]
InputPeriod = Annotated[
    int | None,
    typer.Option(
        "--input-period", metavar="CYCLES", help="Post frames on schedule; they may overlap."
    ),
]


def run(
    target: Target,
    arch: ArchName = None,
    network: NetworkName = None,
    stream: StreamSpec = None,
    settings: Settings = None,
    sparsity_profile: SparsityProfile = None,
    input_period: InputPeriod = None,
    no_baseline: NoBaseline = False,
    all_units: AllUnits = False,
    json: Json = False,
    output: Folder = None,
) -> None:
    """Stream data through a network on an architecture: values, cycles, energy and stalls."""
    if output:
        check_folder(output)
    every = (*(settings or ()), *profile_settings(target, sparsity_profile))
    with show_layers(target, quiet=json), tell_of_compiling():
        case = open_case(target, arch, network, every, stream)
        result = run_case(case, stream, input_period=input_period, baseline=not no_baseline)
    show_result(result, json, output, all_units)


def show_result(result: RunResult, json: bool, output: Path | None, all_units: bool) -> None:
    """Write a result to its folder, then print it as JSON or as tables."""
    written = write_folder(output, output_files(result)) if output else []
    if json:
        typer.echo(record_text(result_record(result)), nl=False)
        return
    print_result(make_console(), result, all_units)
    if written:
        typer.echo(f"written: {', '.join(map(str, written))}")
