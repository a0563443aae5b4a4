"""Telling people why the first run takes long."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from spusim.kernels.declare import tell_when_compiling


class _Teller:
    """Says so once, when a kernel has to be compiled, which no later run has to do."""

    def __init__(self) -> None:
        self.told = False

    def __call__(self, _kernel: str) -> None:
        """Say it."""
        if not self.told:
            self.told = True
            typer.echo("compiling kernels (once, about half a minute)", err=True)


@contextmanager
def tell_of_compiling() -> Iterator[None]:
    """Say on stderr when kernels have to be compiled, because none are kept."""
    end = tell_when_compiling(_Teller())
    try:
        yield
    finally:
        end()
