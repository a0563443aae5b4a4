"""`spusim compare`."""

from pathlib import Path
from typing import Annotated

import typer

from spusim.cli.differences import (
    Markdown,
    ReportFile,
    ToleranceOption,
    Verbose,
    check_report,
    form_of,
    give_report,
)
from spusim.cli.options import Json
from spusim.experiments.comparison import compare as compare_sides
from spusim.experiments.difference_sheets import comparison_record, comparison_sheets
from spusim.experiments.differences import option_tolerances

_OLD = "The old: a folder of `spusim run -o` or `spusim sweep -o`, or a result.json."


def compare(
    old: Annotated[Path, typer.Argument(metavar="A", help=_OLD)],
    new: Annotated[Path, typer.Argument(metavar="B", help="The new: a result of the same kind.")],
    tolerance: ToleranceOption = None,
    verbose: Verbose = False,
    json: Json = False,
    markdown: Markdown = False,
    output: ReportFile = None,
) -> None:
    """Lay two runs or two sweeps side by side. Exit code 3: not the same; 4: in results, too."""
    check_report(output, json, markdown)
    comparison = compare_sides(old, new, option_tolerances(tolerance or ()))
    give_report(
        f"{old} and {new}",
        lambda: comparison_sheets(comparison, verbose),
        lambda: comparison_record(comparison),
        output,
        form_of(json, markdown),
    )
    raise typer.Exit(comparison.exit_code)
