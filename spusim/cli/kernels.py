"""Telling people why the first run takes long."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from numba.core import event

KERNELS = "spusim.kernels."


class _Teller(event.Listener):  # type: ignore[misc]
    """Says so once, when one of our kernels is compiled, which no later run has to do."""

    def __init__(self) -> None:
        self.told = False

    def on_start(self, event: Any) -> None:
        """Say it."""
        module = event.data["dispatcher"].py_func.__module__
        if module and module.startswith(KERNELS) and not self.told:
            self.told = True
            typer.echo("compiling kernels (once, about half a minute)", err=True)

    def on_end(self, event: Any) -> None:
        """Say nothing."""


@contextmanager
def tell_of_compiling() -> Iterator[None]:
    """Say on stderr when kernels have to be compiled, because numba's cache lacks them."""
    with event.install_listener("numba:compile", _Teller()):
        yield
