"""Telling people why the first run takes long."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from spusim.kernels.declare import tell_when_compiling

CLEAR = "\x1b[2K"  # the terminal's line


class _Teller:
    """Says so once, when a kernel has to be compiled, which no later run has to do.

    A terminal is also told which kernel it is.
    """

    def __init__(self) -> None:
        self.told = False

    def __call__(self, kernel: str) -> None:
        """Say it."""
        if not self.told:
            self.told = True
            typer.echo("compiling kernels (once, about half a minute)", err=True)
        self._show(f"  {kernel} ...")

    def end(self) -> None:
        """Wipe what was shown of the last kernel."""
        if self.told:
            self._show("")

    def _show(self, text: str) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{CLEAR}{text}", err=True, nl=False)


@contextmanager
def tell_of_compiling() -> Iterator[None]:
    """Say on stderr when kernels have to be compiled, because none are kept."""
    teller = _Teller()
    end = tell_when_compiling(teller)
    try:
        yield
    finally:
        end()
        teller.end()
