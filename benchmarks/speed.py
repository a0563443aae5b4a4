"""The speed table: `python -m benchmarks.speed [GROUP ...]`, ratios within this run.

One core, but for the two processes of a sweep. A missed target is printed with its distance, and
is no error; wrong results are. Without groups all are measured, and the table, its data and its
figure are saved in out/bench.
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.convolutions import measure_convolutions
from benchmarks.figure import save_figure
from benchmarks.growth import measure_growth
from benchmarks.lstm_pair import measure_lstm_pair
from benchmarks.machine import busy_note, describe_machine
from benchmarks.one_core import all_cores
from benchmarks.processes import measure_compilation, measure_processes
from benchmarks.product import WHAT, measure_products
from benchmarks.retime import measure_retiming
from benchmarks.rows import Row
from benchmarks.show import as_markdown, as_table, make_console, save_csv, save_json
from benchmarks.spotter import measure_spotter
from benchmarks.stepping import measure_stepping
from benchmarks.sweeps import measure_two_processes

OUTPUT = Path("out/bench")


def _measure_sweep() -> list[Row]:
    with all_cores():
        return measure_two_processes()


def _measure_first_compilation() -> list[Row]:
    with all_cores():
        return measure_compilation()


GROUPS: dict[str, Callable[[], list[Row]]] = {
    "products": measure_products,
    "convolutions": measure_convolutions,
    "spotter": measure_spotter,
    "lstm": measure_lstm_pair,
    "stepping": measure_stepping,
    "retiming": measure_retiming,
    "processes": measure_processes,
    "growth": measure_growth,
    "sweep": _measure_sweep,
    "compilation": _measure_first_compilation,
}


def save(rows: list[Row], machine: dict[str, object], folder: Path) -> None:
    """Write table, data and figure."""
    folder.mkdir(parents=True, exist_ok=True)
    save_csv(rows, folder / "speed.csv")
    save_json(rows, machine, folder / "speed.json")
    (folder / "speed.md").write_text(as_markdown(rows))
    save_figure(rows, folder / "speed.png")


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("-o", "--output", type=Path, help="folder for table, data and figure")
    asked = parser.parse_args()
    if unknown := [name for name in asked.groups if name not in GROUPS]:
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    folder = asked.output or (None if asked.groups else OUTPUT)
    console, machine = make_console(), describe_machine()
    rows: list[Row] = []
    for name in asked.groups or GROUPS:
        with console.status(name):
            rows += GROUPS[name]()
    console.print(as_table(rows, f"Speed, one core; products: {WHAT}"))
    console.print(busy_note(float(str(machine["load"]))), end="", style="yellow")
    missed = sum(row.met is False for row in rows)
    told = sum(row.met is not None for row in rows)
    if folder:
        save(rows, machine, folder)
    kept = f"; saved in {folder}" if folder else ""
    console.print(f"\n{told - missed} of {told} targets met{kept}")


if __name__ == "__main__":
    main()
