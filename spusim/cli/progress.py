"""Showing on stderr what a run has come to."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from spusim.machine.progress import listening


@contextmanager
def show_layers(name: str, quiet: bool) -> Iterator[None]:
    """Show layer after layer of a run while it lasts, where stderr is a terminal and not quiet."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    # elsewhere nobody needs it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(name, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("preparing", total=None)

        def show(layer: str, number: int, total: int) -> None:
            bar.update(task, description=layer, completed=number, total=total)

        with listening(show):
            yield
