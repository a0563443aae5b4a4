"""What goes wrong, as one message on stderr and an exit code; never a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from spusim.cli.interruption import INTERRUPTED, TOLD
from spusim.cli.streams import STDOUT, silence_stdout
from spusim.errors import SpusimError

ERROR = 1


class GuardedGroup(TyperGroup):
    """The top command: runs a command under the guard."""

    def make_context(self, *words: Any, **more: Any) -> Any:
        """Read the words, for which typer loads what it needs: Ctrl-C is told all the same."""
        with guard():
            return super().make_context(*words, **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with guard():
            try:
                result = super().invoke(ctx)
            except typer.Exit:  # of a command that has said what differs
                sys.stdout.flush()
                raise
            sys.stdout.flush()  # a broken pipe shows here, not when the interpreter ends
            return result


@contextmanager
def guard() -> Iterator[None]:
    """Turn errors into messages and exit codes: 1 for an error, 130 for Ctrl-C."""
    try:
        yield
    except SpusimError as error:
        raise _exit(str(error)) from None
    except KeyboardInterrupt:
        raise _exit(TOLD, INTERRUPTED) from None
    except BrokenPipeError:
        raise _broken_pipe() from None
    except OSError as error:
        if error.filename == STDOUT:
            silence_stdout()
        where = f"{error.filename}: " if error.filename else ""
        raise _exit(f"{where}{error.strerror or error}; check path, space and permission") from None
    except MemoryError as error:
        raise _exit(f"out of memory ({error}); bring fewer frames, or a smaller layer") from None


def _exit(message: str, code: int = ERROR) -> typer.Exit:
    first, *others = message.splitlines() or [""]
    lines = [f"error: {first}", *(f"       {line}" for line in others)]
    typer.echo("\n".join(lines), err=True)
    return typer.Exit(code)


def _broken_pipe() -> typer.Exit:
    """Nobody reads any more: let what is left go nowhere, quietly."""
    silence_stdout()
    return typer.Exit(ERROR)
