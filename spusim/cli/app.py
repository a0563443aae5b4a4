"""The commands of `spusim`, put together: each is loaded when it is asked for."""

import gc
from typing import Annotated, Any

import typer

import spusim
from spusim.cli.commands import COMMANDS, load_command, stand_in
from spusim.cli.guard import GuardedGroup


class _Commands(GuardedGroup):
    """The top command: loads the command that was asked for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and what is left of the words."""
        name, found, left = super().resolve_command(ctx, args)
        command = load_command(str(name)) if found else None
        if not gc.isenabled():  # as `main` has it while modules load, which stay
            gc.freeze()
            gc.enable()
        return name, command, left


app = typer.Typer(
    name="spusim",
    cls=_Commands,
    help="Cycle-accurate, bit-exact simulator of sparse processing units.",
    epilog="Exit codes: 0 fine, 1 error, 2 usage, 3 differs in time or energy only, "
    "4 differs in results or breaks compatibility, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for _name, _place in COMMANDS.items():
    app.command(_name, help=_place.help)(stand_in)


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
