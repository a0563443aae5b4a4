"""`spusim isa`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.experiments.assembly import assemble_file, disassemble_file, listing, word_bytes
from spusim.experiments.store import write_file
from spusim.isa import check as check_isa
from spusim.isa import load_isa, manual

app = typer.Typer(help="The instruction set: manual, assembler, disassembler, checks.")
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there instead.")
]


@app.command()
def doc(output: Output = None) -> None:
    """Print the manual (Markdown), generated from the instruction table."""
    _give(manual(load_isa()), output)


@app.command()
def asm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Assembly, .spuasm.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Words, little-endian uint64."),
    ] = None,
) -> None:
    """Assemble a file: print a listing, or write the words."""
    text, assembly = assemble_file(file)
    if output:
        write_file(output, word_bytes(assembly.words))
        typer.echo(f"written: {output}")
    else:
        typer.echo(listing(text, assembly), nl=False)


@app.command()
def disasm(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Words (little-endian uint64), hex text, or a program image."
        ),
    ],
    output: Output = None,
) -> None:
    """Disassemble words, or every core of a program image."""
    _give(disassemble_file(file), output)


@app.command()
def check() -> None:
    """Check the instruction table, and print facts about it."""
    for fact in check_isa(load_isa()):
        typer.echo(fact)


def _give(text: str, output: Path | None) -> None:
    if output:
        write_file(output, text.encode())
        typer.echo(f"written: {output}")
    else:
        typer.echo(text, nl=False)
