"""The speed table: `python -m benchmarks.speed`, one core, ratios within this run.

A missed target is printed with its distance, and is no error; wrong results are.
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
import csv
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figure import save_figure
from benchmarks.processes import measure_processes
from benchmarks.product import WHAT, measure_products
from benchmarks.retime import measure_retiming
from benchmarks.rows import Row
from benchmarks.spotter import measure_spotter

OUTPUT = Path("out/bench")
COLUMNS = ("measurement", "target", "measured", "verdict", "times")
COLOURS = {True: "green", False: "red", None: "dim"}


def as_table(rows: list[Row]) -> Table:
    """Lay the rows out for a terminal."""
    table = Table(title=f"Speed, one core; products: {WHAT}", title_justify="left")
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


def main() -> None:
    """Measure, print and save."""
    console = Console(width=None)
    rows: list[Row] = []
    for measure in (measure_products, measure_spotter, measure_retiming, measure_processes):
        with console.status(measure.__name__.replace("_", " ")):
            rows += measure()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    save_csv(rows, OUTPUT / "speed.csv")
    save_figure(rows, OUTPUT / "speed.png")
    console.print(as_table(rows))
    missed = sum(row.met is False for row in rows)
    asked = sum(row.met is not None for row in rows)
    console.print(f"{asked - missed} of {asked} targets met; saved in {OUTPUT}")


if __name__ == "__main__":
    main()
