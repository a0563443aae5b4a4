"""Mistakes of a file, collected while it is read, and the one error that reports them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from spusim.errors import SpusimError
from spusim.isa.lexer import FaultError, Token

MAX_REPORTED = 20


class AssemblyError(SpusimError):
    """Assembly with mistakes; `errors` has one `file:line:column: ...` for each, in file order."""

    def __init__(self, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class Faults:
    """The mistakes found so far; the same one at the same place counts once."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int, str, str], None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, line: int, token: Token, message: str) -> None:
        """Note a mistake at a token of a line."""
        self._found[line, token.column, token.text, message] = None

    @contextmanager
    def collecting(self, line: int) -> Iterator[None]:
        """Note the fault that ends the body, and go on behind it."""
        try:
            yield
        except FaultError as fault:
            self.add(line, fault.token, fault.message)

    def error(self, source: str) -> AssemblyError:
        """Return the error that tells the first 20 mistakes, in file order."""
        errors = [
            f"{source}:{line}:{column}: `{text}`: {message}"
            for line, column, text, message in sorted(self._found, key=lambda item: item[:2])
        ]
        shown = errors[:MAX_REPORTED]
        if len(errors) > len(shown):
            shown.append(f"{source}: and {len(errors) - len(shown)} more mistakes")
        return AssemblyError("\n".join(shown), errors[:MAX_REPORTED])
