"""The command line's entry point: it loads nothing before it can tell Ctrl-C in one line."""

import gc
import os
import sys

from spusim.cli.interruption import INTERRUPTED, TOLD


def main() -> None:
    """Run the command line, and leave with its exit code."""
    try:
        _run()
    except KeyboardInterrupt:  # before the guard was there, or behind it
        sys.stderr.write(f"error: {TOLD}\n")
        sys.exit(INTERRUPTED)


def _run() -> None:
    import typer

    from spusim.cli.guard import guard
    from spusim.cli.streams import prepare_streams

    # modules stay; looking for garbage among them while they load takes a tenth of a second
    gc.disable()
    # else pydantic reads what every installed package says of itself, for plugins to watch specs
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    prepare_streams()
    try:
        with guard():
            from spusim.cli.app import app

            app()
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
