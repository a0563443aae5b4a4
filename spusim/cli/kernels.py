"""Telling people why the first run takes long."""

from pathlib import Path

import typer

from spusim.kernels import thread


def tell_if_cold() -> None:
    """Say on stderr that kernels will be compiled, if numba's cache has none or old ones."""
    kernel = thread.run_thread
    stats = getattr(kernel, "stats", None)  # none when numba's compiler is switched off
    if stats is None:
        return
    source = Path(str(thread.__file__))
    indices = Path(stats.cache_path).glob(f"{source.stem}.{kernel.__name__}-*.nbi")
    newest = max((index.stat().st_mtime for index in indices), default=0.0)
    if newest < source.stat().st_mtime:
        typer.echo("compiling kernels (once, about a minute)", err=True)
