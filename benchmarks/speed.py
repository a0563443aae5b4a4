"""The speed table: `python -m benchmarks.speed`, one core, ratios within this run.

A missed target is printed with its distance, and is no error; wrong results are.
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
from pathlib import Path

from rich.console import Console

from benchmarks.figure import save_figure
from benchmarks.processes import measure_processes
from benchmarks.product import WHAT, measure_products
from benchmarks.retime import measure_retiming
from benchmarks.rows import Row
from benchmarks.show import as_table, save_csv
from benchmarks.spotter import measure_spotter
from benchmarks.two_lstms import measure_two_lstms

OUTPUT = Path("out/bench")
MEASURES = (
    measure_products,
    measure_spotter,
    measure_two_lstms,
    measure_retiming,
    measure_processes,
)


def main() -> None:
    """Measure, print and save."""
    console = Console(width=None)
    rows: list[Row] = []
    for measure in MEASURES:
        with console.status(measure.__name__.replace("_", " ")):
            rows += measure()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    save_csv(rows, OUTPUT / "speed.csv")
    save_figure(rows, OUTPUT / "speed.png")
    console.print(as_table(rows, f"Speed, one core; products: {WHAT}"))
    missed = sum(row.met is False for row in rows)
    asked = sum(row.met is not None for row in rows)
    console.print(f"{asked - missed} of {asked} targets met; saved in {OUTPUT}")


if __name__ == "__main__":
    main()
