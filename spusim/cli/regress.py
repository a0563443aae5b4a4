"""`spusim regress`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from spusim.cli.differences import (
    Markdown,
    ReportFile,
    ToleranceOption,
    Verbose,
    check_report,
    form_of,
    give_report,
)
from spusim.cli.kernels import tell_of_compiling
from spusim.cli.options import ArchName, Json, NetworkName, Settings
from spusim.cli.run import InputPeriod, StreamSpec
from spusim.experiments.baseline import BaselineCase, find_baseline
from spusim.experiments.difference_sheets import outcome_record, outcome_sheets
from spusim.experiments.differences import option_tolerances
from spusim.experiments.pool import own_cores
from spusim.experiments.regress import (
    ERROR,
    Outcome,
    compare_cases,
    exit_code_of,
    record_cases,
    stale_results,
)


def regress(
    baseline: Annotated[
        Path,
        typer.Argument(
            metavar="BASELINE",
            help="A folder with regress.yaml and stored results, the YAML file itself, or a "
            "shipped baseline.",
        ),
    ],
    cases: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CASE]...", help="Cases, default all; with --record also targets to add."
        ),
    ] = None,
    record_results: Annotated[
        bool, typer.Option("--record", help="Make or renew the stored results.")
    ] = False,
    arch: ArchName = None,
    network: NetworkName = None,
    stream: StreamSpec = None,
    settings: Settings = None,
    input_period: InputPeriod = None,
    tolerance: ToleranceOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Cases at a time; default: all cores.")
    ] = None,
    verbose: Verbose = False,
    json: Json = False,
    markdown: Markdown = False,
    output: ReportFile = None,
) -> None:
    """Run a set of runs against stored results. Exit code 3: not the same; 4: in results, too."""
    check_report(output, json, markdown)
    tolerances = option_tolerances(tolerance or ())
    options = BaselineCase("", "", arch, network, stream, tuple(settings or ()), input_period)
    if options.words and not (record_results and cases):
        raise typer.BadParameter(
            "--arch, --network, --stream, --set and --input-period go with --record and a target; "
            "what is in the baseline runs as its list says"
        )
    path, cores = find_baseline(baseline, record_results), jobs or own_cores()
    if record_results:
        outcomes, written = record_cases(path, cases or [], options, tolerances, cores, _watch)
        told = f"written: {', '.join(map(str, written)) or 'nothing, all is the same'}"
    else:
        outcomes = compare_cases(path, cases or [], tolerances, cores, _watch)
        told = "\n".join(f"note: {stale}: belongs to no case" for stale in stale_results(path))
    give_report(
        f"spusim regress {baseline}",
        lambda: outcome_sheets(outcomes, verbose),
        lambda: outcome_record(outcomes),
        output,
        form_of(json, markdown),
    )
    if told:
        typer.echo(told, err=json or markdown)
    _tell_of_failures(outcomes)
    code = exit_code_of(outcomes)
    raise typer.Exit(code if code == ERROR or not record_results else 0)


def _tell_of_failures(outcomes: Sequence[Outcome]) -> None:
    failed = [outcome.name for outcome in outcomes if outcome.error]
    if failed:
        said = f"{len(failed)} of {len(outcomes)} cases failed: {', '.join(failed)}"
        typer.echo(f"error: {said}", err=True)


@contextmanager
def _watch(cases: int) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr where that is a terminal; offer what moves it by a case."""
    console = Console(stderr=True)
    columns = (TextColumn("cases"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with tell_of_compiling(), bar:
        task = bar.add_task("cases", total=cases)
        yield lambda: bar.advance(task)
