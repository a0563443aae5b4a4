"""The command line's entry point."""

import gc
import os
import sys

import typer

from spusim.cli.guard import guard


def main() -> None:
    """Run the command line, and leave with its exit code."""
    # modules stay; looking for garbage among them while they load takes a tenth of a second
    gc.disable()
    # else pydantic reads what every installed package says of itself, for plugins to watch specs
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):
        # a terminal that lacks a character gets a question mark, not a traceback
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        with guard():
            # inside, so that Ctrl-C is told in one line while the rooms are loading, too
            from spusim.cli.app import app

            app()
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
