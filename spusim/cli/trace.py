"""`spusim trace`."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from spusim.cli.kernels import tell_of_compiling
from spusim.cli.options import ArchName, NetworkName, Settings
from spusim.cli.run import InputPeriod, StreamSpec, Target
from spusim.experiments.store import check_file
from spusim.experiments.targets import open_case
from spusim.experiments.traces import MAX_EVENTS, choose_format, write_trace
from spusim.machine.trace import Progress, TraceRequest

Format = Enum("Format", {"chrome": "chrome", "vcd": "vcd"}, type=str)


def trace(
    target: Target,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Trace file: .json or .json.gz (chrome), .vcd or .vcd.gz.",
        ),
    ],
    format: Annotated[
        Format | None, typer.Option("--format", help="Default: what FILE's suffix says.")
    ] = None,
    arch: ArchName = None,
    network: NetworkName = None,
    stream: StreamSpec = None,
    settings: Settings = None,
    input_period: InputPeriod = None,
    first: Annotated[
        int, typer.Option("--from", metavar="CYCLE", help="First cycle of the trace.")
    ] = 0,
    end: Annotated[
        int | None,
        typer.Option("--to", metavar="CYCLE", help="Cycle after the last; default: the run's end."),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB,...",
            help="Units, such as core0.pe*,core*.vector,host.*; default: all.",
        ),
    ] = None,
    max_events: Annotated[
        int, typer.Option(metavar="N", help="Refuse to write more.")
    ] = MAX_EVENTS,
) -> None:
    """Write what every unit did in every cycle, for Perfetto or a waveform viewer."""
    kind = choose_format(output, format.value if format else None)
    check_file(output)
    case = open_case(target, arch, network, settings or ())
    patterns = tuple(part.strip() for part in units.split(",")) if units is not None else ()
    request = TraceRequest(first, end, patterns)
    with tell_of_compiling(), _bar() as progress:
        result, trace, events = write_trace(
            case, output, kind, request,
            stream=stream, input_period=input_period, max_events=max_events, progress=progress,
        )  # fmt: skip
    typer.echo(
        f"{trace.name} on {trace.arch_name}: {len(trace.units)} units, cycles {trace.first:,} to "
        f"{trace.end - 1:,} of {result.cycles:,}, {events:,} events"
    )
    typer.echo(f"written: {output}")


@contextmanager
def _bar() -> Iterator[Progress]:
    """Show progress on stderr where that is a terminal."""
    console = Console(stderr=True)
    bar = Bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("simulating", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show
