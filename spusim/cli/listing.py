"""`spusim list`."""

import typer

from spusim.cli.options import Json
from spusim.experiments.catalogue import catalogue
from spusim.experiments.record import record_text
from spusim.experiments.tables import make_console, print_parts, table


def list_shipped(json: Json = False) -> None:
    """List the presets, networks, runs, sweeps, streams and technology tables that ship."""
    shipped = catalogue()
    if json:
        typer.echo(record_text(shipped), nl=False)
        return
    parts = []
    for kind, items in shipped.items():
        parts += [table(kind, ["name", "description"], list(items.items()), texts=2), ""]
    print_parts(make_console(), parts[:-1])
