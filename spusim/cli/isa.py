"""`spusim isa`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.kernels import tell_of_compiling
from spusim.cli.options import Json
from spusim.errors import SpusimError
from spusim.experiments.assembly import (
    assemble_file,
    disassemble_file,
    listing,
    only_code,
    word_bytes,
)
from spusim.experiments.conformance import (
    check_programs,
    conformance_record,
    exit_code,
    refresh_goldens,
)
from spusim.experiments.conformance_tables import outcome_parts, refreshed_parts
from spusim.experiments.isa_diff import ERROR, diff_record, diff_sides, find_side
from spusim.experiments.isa_diff_view import diff_markdown, diff_parts
from spusim.experiments.record import record_text
from spusim.experiments.store import write_file
from spusim.experiments.tables import make_console, print_parts, rendered
from spusim.isa import check as check_isa
from spusim.isa import check_beside, load_isa, manual, plan_freeze
from spusim.resources import shipped

app = typer.Typer(help="The instruction set: manual, assembler, disassembler, checks.")
SIDE = "A table (.isa), a version that ships, a git revision, or . for the working tree."
TableFile = Annotated[
    Path | None, typer.Argument(metavar="TABLE", help="A table, .isa; else the one that ships.")
]
DRAFT = Path("isa/spu.isa")  # of a checkout: what an installed spusim ships is nobody's to change
FreezeFile = Annotated[Path, typer.Argument(metavar="TABLE", help="A table, .isa.")]
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
    text, assemblies = assemble_file(file)
    if output:
        write_file(output, word_bytes(only_code(file, assemblies)))
        typer.echo(f"written: {output}")
    else:
        typer.echo(listing(text, assemblies), nl=False)


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
def check(table: TableFile = None) -> None:
    """Check an instruction table, and that it keeps to the frozen versions beside it."""
    path = table or shipped("isa") / "spu.isa"
    for fact in [*check_isa(load_isa(path)), *check_beside(path)]:
        typer.echo(fact)


@app.command()
def test(
    programs: Annotated[
        list[str] | None, typer.Argument(metavar="PROGRAM", help="Their names; default: all.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Programs and golden files; default: shipped."),
    ] = None,
    json: Json = False,
    refresh: Annotated[
        Path | None, typer.Option("--refresh", metavar="DIR", help="Rewrite its golden files.")
    ] = None,
) -> None:
    """Run the conformance programs on golden and machine, and compare with their golden files.

    Exit code 3: cycles, stalls or counts differ; 4: results differ.
    """
    if refresh:
        if json or folder:
            raise typer.BadParameter(
                "names the folder itself; leave out --dir and --json", param_hint="--refresh"
            )
        with tell_of_compiling():
            told = refresh_goldens(refresh, programs or ())
        print_parts(make_console(), refreshed_parts(told))
        return
    with tell_of_compiling():
        outcomes = check_programs(folder, programs or ())
    if json:
        typer.echo(record_text(conformance_record(outcomes)), nl=False)
    else:
        print_parts(make_console(), outcome_parts(outcomes))
    raise typer.Exit(exit_code(outcomes))


@app.command()
def freeze(table: FreezeFile = DRAFT) -> None:
    """Freeze a table's draft: a copy goes to frozen/ beside it, and its hash is recorded."""
    path = table
    check_isa(load_isa(path))
    frozen = plan_freeze(path)
    frozen.files[0][0].parent.mkdir(exist_ok=True)
    for file, content in frozen.files:
        write_file(file, content)
    typer.echo(f"frozen: {frozen.version}, {frozen.files[0][0]}")


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help=SIDE)],
    b: Annotated[str, typer.Argument(metavar="B", help="As A.")],
    json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown, fit for a pull request.")
    ] = False,
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Run nothing; compare the tables of revisions.")
    ] = False,
    output: Output = None,
) -> None:
    """Compare two instruction sets: encodings, and between revisions meaning and timing.

    Exit code: 0 no difference that matters, 3 time or counts differ, 4 values differ or
    compatibility is broken.
    """
    if json and markdown:
        raise typer.BadParameter("is one form, --json another; take one", param_hint="--markdown")
    old, new = (find_side(name, Path.cwd()) for name in (a, b))
    found = diff_sides(old, new, lambda line: typer.echo(line, err=True), run=not tables_only)
    if json:
        text = record_text(diff_record(found))
    else:
        text = diff_markdown(found) if markdown else rendered(diff_parts(found))
    _give(text, output)
    if found.exit_code == ERROR:
        raise SpusimError(found.failure)
    raise typer.Exit(found.exit_code)


def _give(text: str, output: Path | None) -> None:
    if output:
        write_file(output, text.encode())
        typer.echo(f"written: {output}")
    else:
        typer.echo(text, nl=False)
