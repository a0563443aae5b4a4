"""Rows as a table for a terminal, as Markdown, as CSV and as JSON."""

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row

COLUMNS = ("measurement", "target", "measured", "verdict", "times")
WIDTH = 170
COLOURS = {True: "green", False: "red", None: "dim"}


def _measured(row: Row) -> str:
    """Return the figure with three digits."""
    digits = 0 if row.measured >= 99.95 else 1 if row.measured >= 9.995 else 2
    return f"{row.measured:.{digits}f} {row.unit}".rstrip()


def make_console() -> Console:
    """Return a console as wide as the terminal, and wide enough for the table in a file."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def as_table(rows: list[Row], title: str) -> Table:
    """Lay the rows out for a terminal."""
    table = Table(title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("target", "measured") else "left")
    for row in rows:
        verdict = f"[{COLOURS[row.met]}]{row.verdict}[/]"
        table.add_row(row.name, row.wanted, _measured(row), verdict, row.detail)
    return table


def as_markdown(rows: list[Row]) -> str:
    """Return the rows that have a target as a table for the README."""
    lines = ["| measurement | target (stretch) | measured | |", "|---|---|---|---|"]
    lines += [
        f"| {row.name} | {row.wanted} | {_measured(row)} | {row.verdict} |"
        for row in rows
        if row.target is not None
    ]
    return "\n".join(lines) + "\n"


def save_csv(rows: list[Row], path: Path) -> None:
    """Write the rows with all digits."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        names = ("measurement", "sense", "target", "stretch", "measured", "unit", "met", "times")
        writer.writerow(names)
        for row in rows:
            asked = ["" if v is None else v for v in (row.target, row.stretch)]
            met = "" if row.met is None else row.met
            writer.writerow((row.name, row.sense, *asked, row.measured, row.unit, met, row.detail))


def save_json(rows: list[Row], machine: Mapping[str, object], path: Path) -> None:
    """Write the rows, and on what they were measured."""
    table = [{**asdict(row), "met": row.met} for row in rows]
    path.write_text(json.dumps({"machine": dict(machine), "rows": table}, indent=1) + "\n")
