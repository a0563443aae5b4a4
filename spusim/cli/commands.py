"""The table of commands: where each is, to be loaded when it is asked for.

No command needs all that others do, and the list of commands needs nothing but this table.
"""

from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.main import get_command


class Place(NamedTuple):
    """A module of `spusim.cli`, a function or `Typer` of it, and the first line of its help."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "run": Place(
        "run",
        "run",
        "Stream data through a network on an architecture: values, cycles, energy and stalls.",
    ),
    "inspect": Place(
        "inspect",
        "inspect",
        "Tell a file's layers, shapes, types, densities, imbalance and bytes by format.",
    ),
    "prune": Place(
        "prune", "prune", "Prune a checkpoint's weights by magnitude; biases stay as they are."
    ),
    "quantize": Place(
        "quantize", "quantize", "Quantise a checkpoint for a network, calibrated on a stream."
    ),
    "compile": Place(
        "compile",
        "compile_target",
        "Compile a network for an architecture; without -o, see whether it fits.",
    ),
    "trace": Place(
        "trace",
        "trace",
        "Write what every unit did in every cycle, for Perfetto or a waveform viewer.",
    ),
    "sweep": Place(
        "sweep",
        "sweep",
        "Run a network or layer at every point of a sweep; what is stored already is not run "
        "again.",
    ),
    "report": Place(
        "report", "report", "Write a sweep or run as one interactive HTML file that works offline."
    ),
    "compare": Place(
        "compare",
        "compare",
        "Lay two runs or two sweeps side by side. Exit code 3: not the same; 4: in results, too.",
    ),
    "regress": Place(
        "regress",
        "regress",
        "Run a set of runs against stored results. Exit code 3: not the same; 4: in results, too.",
    ),
    "plot": Place(
        "plot",
        "plot",
        "Draw all the figures that fit a sweep's or a run's results: PNG, SVG and CSV each.",
    ),
    "validate": Place(
        "validate",
        "validate",
        "Lay our figures beside published ones. Exit code 4: one that must hold does not.",
    ),
    "list": Place(
        "listing",
        "list_shipped",
        "List the presets, networks, runs, sweeps, streams and technology tables that ship.",
    ),
    "layer": Place("layer", "app", "Run one random layer of given densities, alone."),
    "isa": Place("isa", "app", "The instruction set: manual, assembler, disassembler, checks."),
}


def load_command(name: str) -> Any:
    """Return a command whole: its options and its own commands, as typer makes them."""
    place = COMMANDS[name]
    found = getattr(import_module(f"spusim.cli.{place.module}"), place.attribute)
    around = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    around.callback()(stand_in)  # makes it a group, whatever is in it
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, no_args_is_help=True)
    else:
        around.command(name)(found)
    return get_command(around).commands[name]  # type: ignore[attr-defined]


def stand_in() -> None:
    """Stand for a command that is not loaded; never run."""
