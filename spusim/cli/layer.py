"""`spusim layer`."""

from typing import Annotated

import typer

from spusim.api import load_arch
from spusim.cli.kernels import tell_of_compiling
from spusim.cli.options import AllUnits, ArchName, Folder, Json, NoBaseline, Settings
from spusim.cli.run import show_result
from spusim.experiments.conv_layers import RandomConv, run_conv
from spusim.experiments.layers import RandomLinear, run_linear
from spusim.experiments.runs import DEFAULT_ARCH
from spusim.experiments.store import check_folder

CONV_ARCH = "smartskip"

WeightBits = Annotated[
    int | None, typer.Option(help="Bits of a weight; default: the architecture's.")
]
ActivationBits = Annotated[
    int | None, typer.Option(help="Bits of an activation; default: the architecture's.")
]

app = typer.Typer(help="Run one random layer of given densities, alone.", no_args_is_help=True)


@app.callback()
def layers() -> None:
    """Run one random layer of given densities, alone."""


@app.command()
def linear(
    inputs: Annotated[int, typer.Option(help="Columns of the weights.")],
    outputs: Annotated[int, typer.Option(help="Rows of the weights.")],
    weight_density: Annotated[float, typer.Option(help="Nonzero share of the weights, 0 to 1.")],
    activation_density: Annotated[float, typer.Option(help="Nonzero share of a frame, 0 to 1.")],
    frames: Annotated[int, typer.Option(help="Frames, each drawn anew.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights and frames.")] = 0,
    weight_bits: WeightBits = None,
    activation_bits: ActivationBits = None,
    codebook_bits: Annotated[
        int | None,
        typer.Option(help="Weights are 4-bit indices of 16 entries of 8 or 16 bits."),
    ] = None,
    arch: ArchName = None,
    settings: Settings = None,
    no_baseline: NoBaseline = False,
    all_units: AllUnits = False,
    json: Json = False,
    output: Folder = None,
) -> None:
    """Run a fully connected layer: operands in place, to the last accumulator write."""
    if output:
        check_folder(output)
    layer = RandomLinear(
        inputs,
        outputs,
        weight_density,
        activation_density,
        frames,
        seed,
        weight_bits,
        activation_bits,
        codebook_bits,
    )
    machine = load_arch(arch or DEFAULT_ARCH, settings or ())
    with tell_of_compiling():
        result = run_linear(layer, machine, baseline=not no_baseline)
    show_result(result, json, output, all_units)


@app.command()
def conv2d(
    in_channels: Annotated[int, typer.Option(help="Channels of the input.")],
    out_channels: Annotated[int, typer.Option(help="Filters.")],
    kernel: Annotated[int, typer.Option(help="Rows and columns of a filter.")],
    size: Annotated[int, typer.Option(help="Rows and columns of the input.")],
    weight_density: Annotated[float, typer.Option(help="Nonzero share of the weights, 0 to 1.")],
    activation_density: Annotated[float, typer.Option(help="Nonzero share of a frame, 0 to 1.")],
    stride: Annotated[int, typer.Option(help="Both ways.")] = 1,
    padding: Annotated[
        int | None, typer.Option(help="Zeros on every side; default: kernel // 2.")
    ] = None,
    dilation: Annotated[int, typer.Option(help="Both ways.")] = 1,
    groups: Annotated[int, typer.Option(help="Of channels and filters.")] = 1,
    frames: Annotated[int, typer.Option(help="Images, each drawn anew.")] = 1,
    seed: Annotated[int, typer.Option(help="Of weights and images.")] = 0,
    weight_bits: WeightBits = None,
    activation_bits: ActivationBits = None,
    arch: Annotated[
        str, typer.Option(help="Architecture: a preset with a convolution engine, or a file.")
    ] = CONV_ARCH,
    settings: Settings = None,
    no_baseline: NoBaseline = False,
    all_units: AllUnits = False,
    json: Json = False,
    output: Folder = None,
) -> None:
    """Run a convolution: operands in place, to the last accumulator that leaves."""
    if output:
        check_folder(output)
    layer = RandomConv(
        in_channels, out_channels, kernel, size, weight_density, activation_density, stride,
        padding, dilation, groups, frames, seed, weight_bits, activation_bits,
    )  # fmt: skip
    machine = load_arch(arch, settings or ())
    with tell_of_compiling():
        result = run_conv(layer, machine, baseline=not no_baseline)
    show_result(result, json, output, all_units)
