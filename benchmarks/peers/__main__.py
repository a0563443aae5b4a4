"""One dense convolution here and in SCALE-Sim: `make peer`, or `python -m benchmarks.peers`.

3 x 3 over 256 channels, 256 filters, 14 x 14 outputs, on 256 MACs a cycle in both; each simulator
in a process of its own, in turn. What the two compute differs: docs/peers.md.
"""

import benchmarks.one_core  # noqa: F401 - for the processes started here

# isort: split
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.machine import busy_note, describe_machine
from benchmarks.show import make_console

HERE = Path(__file__).resolve().parent
PEER = HERE.parents[1] / ".cache" / "peer" / "bin" / "python"
RUNS = 3
Figures = dict[str, Any]


def run_peer() -> Figures:
    """Run SCALE-Sim once."""
    with tempfile.TemporaryDirectory() as folder:
        return _figures([str(PEER), str(HERE / "scalesim_layer.py"), folder])


def run_ours() -> Figures:
    """Run spusim once."""
    return _figures([sys.executable, "-m", "benchmarks.peers.our_layer"])


def _figures(command: list[str]) -> Figures:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def middle(runs: list[Figures]) -> Figures:
    """Return the median of each figure; versions are the same in all runs."""
    return {
        name: median(run[name] for run in runs) if isinstance(value, int | float) else value
        for name, value in runs[0].items()
    }


def rows(ours: Figures, peer: Figures) -> list[tuple[str, str, str, str]]:
    """Return what is compared: name, ours, the peer's, and how many times ours is the better."""
    rates = [1e-6 * each["cycles"] / each["processor_seconds"] for each in (ours, peer)]
    return [
        ("processor time, s", f"{ours['processor_seconds']:.3f}",
         f"{peer['processor_seconds']:.1f}",
         f"{peer['processor_seconds'] / ours['processor_seconds']:.0f} x"),
        ("wall time, s", f"{ours['seconds']:.3f}", f"{peer['seconds']:.1f}",
         f"{peer['seconds'] / ours['seconds']:.0f} x"),
        ("simulated cycles", f"{ours['cycles']:,.0f}", f"{peer['cycles']:,.0f}", ""),
        ("million simulated cycles a second", f"{rates[0]:.2f}", f"{rates[1]:.4f}",
         f"{rates[0] / rates[1]:.0f} x"),
        ("peak memory, MB", f"{ours['peak_mb']:.0f}", f"{peer['peak_mb']:.0f}",
         f"{peer['peak_mb'] / ours['peak_mb']:.1f} x"),
        ("output values", "all, exact", "none", ""),
    ]  # fmt: skip


def main() -> int:
    """Run both in turn, and print them side by side."""
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each simulator; medians count")
    count = parser.parse_args().runs
    if count < 1:
        parser.error(f"--runs (={count}) must be at least 1")
    if not PEER.exists():
        sys.stderr.write(f"error: {PEER} is not there; `make peer` sets it up\n")
        return 1
    console, machine = make_console(), describe_machine()
    with console.status("running both in turn"):
        pairs = [(run_ours(), run_peer()) for _ in range(count)]
    ours, peer = (middle([pair[k] for pair in pairs]) for k in (0, 1))
    table = Table(title="Dense 3 x 3 x 256 x 256 convolution, 14 x 14 outputs, 256 MACs a cycle",
                  title_justify="left")  # fmt: skip
    for name in ("", f"spusim {ours['version']}", f"SCALE-Sim {peer['version']}", "better by"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows(ours, peer):
        table.add_row(*row)
    console.print(table)
    console.print(busy_note(float(str(machine["load"]))), style="yellow")
    console.print(
        f"medians of {count} runs each, in turn on one core; docs/peers.md says what differs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
