"""Rows as a table for a terminal, and as CSV."""

import csv
from pathlib import Path

from rich.table import Table

from benchmarks.rows import Row

COLUMNS = ("measurement", "target", "measured", "verdict", "times")
COLOURS = {True: "green", False: "red", None: "dim"}


def as_table(rows: list[Row], title: str) -> Table:
    """Lay the rows out for a terminal."""
    table = Table(title=title, title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("target", "measured") else "left")
    for row in rows:
        verdict = f"[{COLOURS[row.met]}]{row.verdict}[/]"
        measured = f"{row.measured:.2f} {row.unit}"
        table.add_row(row.name, row.wanted, measured, verdict, row.detail)
    return table


def save_csv(rows: list[Row], path: Path) -> None:
    """Write the rows with all digits."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("measurement", "sense", "target", "measured", "unit", "met", "times"))
        for row in rows:
            target = "" if row.target is None else row.target
            met = "" if row.met is None else row.met
            writer.writerow((row.name, row.sense, target, row.measured, row.unit, met, row.detail))
