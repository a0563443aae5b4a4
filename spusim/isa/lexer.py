"""Lines of assembly to tokens, and a cursor over them."""

import re
from dataclasses import dataclass

from spusim.errors import SpusimError

END = "end of line"

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>[;#].*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_.]*)|(?P<directive>\.[A-Za-z]\w*)
    |(?P<integer>(?:0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)(?![\w.]))
    |(?P<text>"[^"]*")|(?P<mark>[=,:{}()+*-])
    |(?P<bad>[\w.]+|.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


@dataclass(frozen=True)
class Token:
    """A word of assembly at a column (from 1)."""

    kind: str  # name, directive, integer, text, mark, bad, end
    text: str
    column: int


class FaultError(SpusimError):
    """A mistake at a token; the assembler collects these into one AssemblyError."""

    def __init__(self, token: Token, message: str) -> None:
        super().__init__(token, message)
        self.token = token
        self.message = message


def tokens(line: str) -> list[Token]:
    """Return the tokens of a line without its comment; an end token is last.

    What is no token has kind `bad`, so that the mistake is reported where it matters.
    """
    found = [
        Token(match.lastgroup or "", match.group(), match.start() + 1)
        for match in _TOKEN.finditer(line)
    ]
    kept = [token for token in found if token.kind not in ("space", "comment")]
    return [*kept, Token("end", END, len(line.rstrip()) + 1)]


class Cursor:
    """A place in a list of tokens, the last of which has kind `end`."""

    def __init__(self, items: list[Token]) -> None:
        self._items = items
        self._next = 0

    @property
    def token(self) -> Token:
        """The token to be taken next."""
        return self._items[self._next]

    def sees(self, *texts: str) -> bool:
        """Tell whether the next token is one of these marks."""
        return self.token.kind == "mark" and self.token.text in texts

    def follows(self, kind: str, mark: str) -> bool:
        """Tell whether the next tokens are one of `kind` and then `mark`."""
        return (
            self.token.kind == kind
            and self._items[self._next + 1].kind == "mark"
            and self._items[self._next + 1].text == mark
        )

    def take(self) -> Token:
        """Return the next token and go on; the end is never passed."""
        token = self.token
        self._next += token.kind != "end"
        return token

    def mark(self, text: str) -> bool:
        """Take a mark if it comes next."""
        return self.sees(text) and bool(self.take())

    def expect(self, kind: str, what: str) -> Token:
        """Take a token of a kind; raises FaultError where another stands."""
        if self.token.kind != kind:
            raise FaultError(self.token, f"expected {what}")
        return self.take()

    def expect_mark(self, text: str, what: str) -> Token:
        """Take a mark; raises FaultError where another token stands."""
        if not self.sees(text):
            raise FaultError(self.token, f"expected `{text}` {what}")
        return self.take()
