"""`spusim report`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.experiments.store import check_file, write_file


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A folder of `spusim sweep -o` or `spusim run -o`."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The HTML file to write.")
    ] = Path("report.html"),
    title: Annotated[
        str | None, typer.Option(help="Title of the page; default: the sweep's or folder's name.")
    ] = None,
) -> None:
    """Write a sweep or run as one interactive HTML file that works offline."""
    # polars takes long to import, and other commands do not need it
    from spusim.experiments.charts.source import open_results
    from spusim.experiments.report.page import check_extra, report_page

    check_extra()
    check_file(output)
    results = open_results(folder)
    write_file(output, report_page(results, title).encode())
    typer.echo(f"written: {output}")
