"""What `spusim regress` and `spusim compare` have in common: options, and giving their answer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from spusim.experiments.record import record_text
from spusim.experiments.sheets import Part, markdown, rich_parts
from spusim.experiments.store import check_place, write_file
from spusim.experiments.tables import make_console, print_parts

ToleranceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tolerance",
        metavar="X",
        help="Share that may change: 0.5% for all but outputs, or cycles=1%; also stalls, counts, "
        "energy, memory, area; may be repeated. Default: none.",
    ),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Markdown, fit for a pull request.")]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Write the report there: .md, .json, or as asked."
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show every figure that changed.")]

Parts = Callable[[], Iterator[Part]]


def check_report(output: Path | None, json: bool, markdown: bool) -> None:
    """Refuse a report that cannot be written, before the work is done."""
    if json and markdown:
        raise typer.BadParameter("--json and --markdown are two forms; choose one")
    if output:
        if not (json or markdown or output.suffix.lower() in _FORM_OF_SUFFIX):
            raise typer.BadParameter(
                f"-o {output}: name a .md or .json file, or add --json or --markdown"
            )
        check_place(output.absolute().parent)


def give_report(
    title: str, parts: Parts, record: Callable[[], Any], output: Path | None, form: str
) -> None:
    """Print a report as `form` (json, markdown, or empty for tables), or write it to a file.

    With a file, the terminal gets the tables.
    """
    texts = {
        "json": lambda: record_text(record()),
        "markdown": lambda: markdown(title, parts()),
    }
    if form and not output:
        typer.echo(texts[form](), nl=False)
        return
    print_parts(make_console(), rich_parts(parts()))
    if output:
        form = form or _FORM_OF_SUFFIX[output.suffix.lower()]
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        write_file(output, texts[form]().encode())
        typer.echo(f"written: {output}")


def form_of(json: bool, markdown: bool) -> str:
    """Return the form that the options ask for; empty for tables."""
    return "json" if json else "markdown" if markdown else ""


_FORM_OF_SUFFIX = {".md": "markdown", ".json": "json"}
