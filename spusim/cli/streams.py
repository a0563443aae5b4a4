"""Standard output and error, as commands find them: there, and known by name when they fail."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDOUT = "standard output"


class Output(io.TextIOWrapper):
    """Standard output, whose errors name it as those of a file name the file."""

    def write(self, text: str, /) -> int:
        """Write text; raises OSError with `filename` STDOUT."""
        with _named():
            return super().write(text)

    def flush(self) -> None:
        """Write what waits; raises OSError as `write` does."""
        with _named():
            super().flush()


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = STDOUT
        raise


def prepare_streams() -> None:
    """Have a place for all that is said.

    A terminal that lacks a character gets a question mark, not a traceback; and where a stream was
    closed by who started us, as by `>&-`, what is said goes nowhere.
    """
    closed = [name for name in ("stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    if "stdout" not in closed:
        out = sys.stdout
        lines = out.isatty() or bool(getattr(out, "write_through", False))
        sys.stdout = Output(
            out.buffer, out.encoding, "replace", line_buffering=lines, write_through=lines
        )
    sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]


def silence_stdout() -> None:
    """Have standard output go nowhere: else the interpreter would try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
