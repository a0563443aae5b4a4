"""`spusim compile`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from spusim.arch import Arch
from spusim.cli.options import ArchName, NetworkName, Settings
from spusim.cli.run import Target
from spusim.compiler.explain import explain as explain_program
from spusim.errors import SpusimError
from spusim.experiments.case import compile_case
from spusim.experiments.tables import make_console, memory_table, print_parts
from spusim.experiments.targets import open_case
from spusim.image import save_program
from spusim.machine.memory import memory_use
from spusim.program import Program

SUFFIX = ".spu"


def compile_target(
    target: Target,
    arch: ArchName = None,
    network: NetworkName = None,
    settings: Settings = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Program image, .spu.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print memory map, threads and commented assembly.")
    ] = False,
) -> None:
    """Compile a network for an architecture; without -o, see whether it fits."""
    if output and output.suffix.lower() != SUFFIX:
        raise SpusimError(
            f"{output}: a program image ends in {SUFFIX}, by which commands know it; name it "
            f"{output.with_suffix(SUFFIX)}"
        )
    case = open_case(target, arch, network, settings or ())
    program = compile_case(case)
    if output:
        save_program(program, output)
    if explain:
        typer.echo(explain_program(program, case.arch), nl=False)
    else:
        print_parts(make_console(), _summary(program, case.arch))
    if output:
        typer.echo(f"written: {output}")


def _summary(program: Program, arch: Arch) -> Iterator[RenderableType]:
    code = ", ".join(f"{len(core.code)} on core {n}" for n, core in enumerate(program.cores))
    yield f"{program.name} fits {program.arch_name}; instructions: {code}"
    yield ""
    yield memory_table(memory_use(program, arch))
    yield ""
    yield from (f"note: {note}" for note in program.notes)
