"""Is it still as fast? `make bench-check`, or `python -m benchmarks.check [--record] [GROUP ...]`.

Ratios only, each of two things timed in turn on one core, against those of benchmarks/recorded.json
(`--record`, `make bench-record`, renews it: all of it, or what the groups named hold). Exits with 1
if one is beyond its tolerance.
"""

import benchmarks.one_core  # noqa: F401 - before numpy

# isort: split
import argparse
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks import guard
from benchmarks.convolutions import TARGETS as DATAFLOWS
from benchmarks.convolutions import measure_layers, ratio
from benchmarks.growth import measure_frames, measure_layers_deep
from benchmarks.lstm_pair import measure_lstm_pair
from benchmarks.machine import busy_note, describe_machine
from benchmarks.processes import measure_imports, measure_run
from benchmarks.product import both_row, cycles_row, measure_small, measure_steady, timing_row
from benchmarks.retime import layer, spotter
from benchmarks.rows import Row
from benchmarks.show import make_console
from benchmarks.spotter import measure_spotter
from benchmarks.stepping import measure_slowdown
from benchmarks.stopwatch import interleave

RECORDED = Path(__file__).with_name("recorded.json")
RUNS = 5  # that are recorded
REPEAT_WITHIN_S = 40.0  # a group that failed is measured again only up to here
CONVOLUTION = "layer3.1.conv2"


def _product(density: float) -> list[Row]:
    measured = measure_steady(density, rounds=12)
    return [both_row(measured), cycles_row(measured), timing_row(measured)]


def _convolution() -> list[Row]:
    contests = measure_layers([CONVOLUTION])
    for contest in contests:  # anew: in processor time, and often enough for a guard
        contest.seconds = interleave(contest.runs, 25, 2, time.process_time)
    return [
        Row(f"ResNet-50's {CONVOLUTION}, {dataflow} / torch", ratio(contests, dataflow), sense="<=")
        for dataflow in DATAFLOWS
    ]


def _growth() -> list[Row]:
    return [measure_frames((100, 2000), rounds=3), measure_layers_deep((5, 50), rounds=3)]


GROUPS: dict[str, guard.Group] = {
    "product, density 0.1": partial(_product, 0.1),
    "product, density 0.5": partial(_product, 0.5),
    "small product": lambda: [measure_small(0.3, rounds=12)],
    "convolution": _convolution,
    "frame": partial(measure_spotter, rounds=5),
    "frame of two layers": partial(measure_lstm_pair, rounds=5),
    "stepping": lambda: [measure_slowdown(rounds=5)],
    "re-timing": lambda: [each.rows(rounds=5)[0] for each in (spotter(), layer(0.1))],
    "import": lambda: measure_imports(rounds=3)[:1],
    "run": lambda: measure_run(rounds=3)[:1],
    "growth": _growth,
}


def record(groups: dict[str, guard.Group]) -> None:
    """Measure RUNS times, and write medians and tolerances; other groups' rows stay."""
    kept = {} if groups == GROUPS else guard.load(RECORDED)[0]
    console = make_console()
    machine = describe_machine()
    runs: list[list[Row]] = []
    for number in range(RUNS):
        with console.status(f"run {number + 1} of {RUNS}"):
            runs.append([row for measure in groups.values() for row in measure()])
        console.print(f"run {number + 1} of {RUNS}: {len(runs[-1])} ratios")
    recorded = guard.record(runs)
    how = {"command": guard.RENEW, "runs": RUNS, **machine}
    guard.save(RECORDED, kept | recorded, how)
    console.print(guard.as_table(guard.judge(runs[-1], recorded)))
    console.print(f"{len(recorded)} ratios recorded in {RECORDED.name}")
    console.print(busy_note(float(str(machine["load"]))), style="yellow")


def compare(groups: dict[str, guard.Group]) -> int:
    """Measure once, print all beside what was recorded; return the exit code."""
    console, began = make_console(), time.monotonic()
    recorded, how = guard.load(RECORDED)
    machine = describe_machine()
    with console.status("measuring"):
        verdicts = guard.check(groups, recorded, lambda: time.monotonic() - began < REPEAT_WITHIN_S)
    lost = guard.missing(verdicts, recorded) if groups == GROUPS else []
    console.print(guard.as_table(verdicts))
    for name in lost:
        console.print(f"recorded, and not measured any more: {name}; run {guard.RENEW}")
    if how.get("processor") != machine["processor"]:
        console.print(f"recorded on {how.get('processor')}, which is another; {guard.RENEW} renews")
    console.print(busy_note(float(str(machine["load"]))), style="yellow")
    console.print(guard.closing_line(verdicts, lost, time.monotonic() - began))
    return 0 if not lost and all(each.passed for each in verdicts) else 1


def main() -> int:
    """Compare, or record."""
    parser = argparse.ArgumentParser(prog="benchmarks.check", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of: {'; '.join(GROUPS)}")
    parser.add_argument("--record", action="store_true", help="renew the recorded ratios")
    asked = parser.parse_args()
    if unknown := [name for name in asked.groups if name not in GROUPS]:
        parser.error(f"no group {', '.join(unknown)}; there are: {'; '.join(GROUPS)}")
    groups = {name: GROUPS[name] for name in asked.groups or GROUPS}
    try:
        if asked.record:
            record(groups)
            return 0
        return compare(groups)
    except guard.GuardError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
