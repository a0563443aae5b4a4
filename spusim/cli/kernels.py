"""Telling people why the first run takes long."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from numba.core import event

from spusim.kernels.compiling import Kernel, called_by

KERNELS = "spusim.kernels."
CLEAR = "\x1b[2K"  # the terminal's line


class _Teller(event.Listener):  # type: ignore[misc]
    """Says so once, when one of our kernels is compiled, which no later run has to do.

    A terminal is also told which kernel it is, and how many of its functions are done.
    """

    def __init__(self) -> None:
        self._told = False
        self._kernel, self._functions, self._done = "", 0, 0

    def on_start(self, event: Any) -> None:
        """Say what begins."""
        dispatcher = event.data["dispatcher"]
        module = dispatcher.py_func.__module__
        if not module or not module.startswith(KERNELS):
            return
        if not self._told:
            self._told = True
            typer.echo("compiling kernels (once, about half a minute)", err=True)
        if isinstance(dispatcher, Kernel):
            missing = [called for called in called_by(dispatcher) if not called.part.overloads]
            self._kernel, self._functions, self._done = dispatcher.__name__, len(missing), 0
        elif self._kernel:
            self._done = min(self._done + 1, self._functions)
        if self._kernel and sys.stderr.isatty():
            text = f"{self._kernel}: {self._done} of {self._functions} functions"
            typer.echo(f"\r{CLEAR}  {text}", err=True, nl=False)

    def on_end(self, event: Any) -> None:
        """Wipe the line of a kernel that is done."""
        if isinstance(event.data["dispatcher"], Kernel) and sys.stderr.isatty():
            typer.echo(f"\r{CLEAR}", err=True, nl=False)


@contextmanager
def tell_of_compiling() -> Iterator[None]:
    """Say on stderr when kernels have to be compiled, because numba's cache lacks them."""
    with event.install_listener("numba:compile", _Teller()):
        yield
