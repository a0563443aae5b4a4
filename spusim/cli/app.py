"""The commands of `spusim`, put together."""

from typing import Annotated

import typer

import spusim
from spusim.cli import isa, layer
from spusim.cli.compare import compare
from spusim.cli.compile import compile_target
from spusim.cli.guard import GuardedGroup
from spusim.cli.inspect import inspect
from spusim.cli.listing import list_shipped
from spusim.cli.plot import plot
from spusim.cli.prune import prune
from spusim.cli.quantize import quantize
from spusim.cli.regress import regress
from spusim.cli.report import report
from spusim.cli.run import run
from spusim.cli.sweep import sweep
from spusim.cli.trace import trace
from spusim.cli.validate import validate

app = typer.Typer(
    name="spusim",
    cls=GuardedGroup,
    help="Cycle-accurate, bit-exact simulator of sparse processing units.",
    epilog="Exit codes: 0 fine, 1 error, 2 usage, 3 differs in time or energy only, "
    "4 differs in results or breaks compatibility, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run)
app.add_typer(layer.app, name="layer")
app.command("inspect")(inspect)
app.command("prune")(prune)
app.command("quantize")(quantize)
app.command("compile")(compile_target)
app.command("trace")(trace)
app.add_typer(isa.app, name="isa", no_args_is_help=True)
app.command("sweep")(sweep)
app.command("report")(report)
app.command("compare")(compare)
app.command("regress")(regress)
app.command("plot")(plot)
app.command("validate")(validate)
app.command("list")(list_shipped)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spusim {spusim.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Cycle-accurate, bit-exact simulator of sparse processing units."""
