"""Tables that a terminal and Markdown both show."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import RenderableType

from spusim.experiments.tables import REMARKS, table


@dataclass(frozen=True)
class Sheet:
    """A table: its first `texts` columns are words, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


Part = Sheet | str
_MARKS = ("\\", "|", "<", "*", "`")  # the backslash first


def rich_parts(parts: Iterable[Part]) -> list[RenderableType]:
    """Return parts for a terminal, an empty line after each table."""
    shown: list[RenderableType] = []
    for part in parts:
        if isinstance(part, Sheet):
            shown += [table(part.title, part.columns, part.rows, part.texts), ""]
        else:
            shown.append(part)
    return shown


def markdown(title: str, parts: Iterable[Part]) -> str:
    """Return parts as Markdown: a heading, tables, and lines as a list."""
    blocks = [f"## {_escaped(title)}"]
    lines: list[str] = []
    for part in parts:
        if isinstance(part, str):
            lines.append(f"* {_escaped(part)}")
            continue
        blocks += ["\n".join(lines)] if lines else []
        lines = []
        blocks += [f"### {_escaped(part.title)}"] if part.title else []
        blocks.append(_table(part))
    blocks += ["\n".join(lines)] if lines else []
    return "\n\n".join(blocks) + "\n"


def _table(sheet: Sheet) -> str:
    words = [n < sheet.texts or column in REMARKS for n, column in enumerate(sheet.columns)]
    rule = ["---" if word else "---:" for word in words]
    head, *rows = (map(_escaped, row) for row in (sheet.columns, *sheet.rows))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _escaped(text: str) -> str:
    for mark in _MARKS:
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
