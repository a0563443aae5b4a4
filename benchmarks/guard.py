"""The regression guard's judgement: ratios of today against recorded ones, within a tolerance.

A row is beyond its tolerance if it is worse than recorded by a larger factor. The tolerance comes
from the spread of the runs that were recorded: 1 + SPREADS x the second largest relative deviation
from their median (one run in five may have met other work), at least LEAST and at most MOST.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.rows import Row

SPREADS, LEAST, MOST = 3.0, 1.25, 2.0
RENEW = "make bench-record"
Group = Callable[[], list[Row]]


class GuardError(Exception):
    """A file of recorded ratios that cannot be compared with."""


@dataclass(frozen=True)
class Recorded:
    """A ratio as it was recorded; better: `higher` or `lower`; tolerance: a factor above 1."""

    ratio: float
    better: str
    tolerance: float

    def worse(self, ratio: float) -> float:
        """Return by what factor a ratio is worse than this one; below 1 it is better."""
        return self.ratio / ratio if self.better == "higher" else ratio / self.ratio


@dataclass(frozen=True)
class Verdict:
    """A row beside what was recorded of it; None where nothing was."""

    row: Row
    recorded: Recorded | None

    @property
    def worse(self) -> float | None:
        """By what factor it is worse; None for a row that is not recorded."""
        return self.recorded.worse(self.row.measured) if self.recorded else None

    @property
    def passed(self) -> bool:
        """Whether it is recorded, and within its tolerance."""
        return self.recorded is not None and self.worse is not None and (
            self.worse <= self.recorded.tolerance
        )  # fmt: skip


def record(runs: Iterable[list[Row]]) -> dict[str, Recorded]:
    """Make what is kept of several runs of the same rows."""
    found: dict[str, list[Row]] = {}
    for rows in runs:
        for row in rows:
            found.setdefault(row.name, []).append(row)
    return {name: _recorded(rows) for name, rows in found.items()}


def _recorded(rows: list[Row]) -> Recorded:
    middle = median(row.measured for row in rows)
    factors = sorted(max(row.measured / middle, middle / row.measured) for row in rows)
    spread = factors[-2 if len(rows) > 2 else -1] - 1
    better = "higher" if rows[0].sense == ">=" else "lower"
    return Recorded(middle, better, round(min(max(LEAST, 1 + SPREADS * spread), MOST), 2))


def judge(rows: Iterable[Row], recorded: Mapping[str, Recorded]) -> list[Verdict]:
    """Put every row beside what was recorded of it."""
    return [Verdict(row, recorded.get(row.name)) for row in rows]


def check(
    groups: Mapping[str, Group], recorded: Mapping[str, Recorded], may_repeat: Callable[[], bool]
) -> list[Verdict]:
    """Measure all groups; one with a row beyond its tolerance once or twice more, if it may be.

    The best of its figures counts: other work on a machine makes a figure worse, seldom better.
    """
    verdicts: list[Verdict] = []
    for measure in groups.values():
        found = judge(measure(), recorded)
        for _ in range(2):
            if all(each.passed for each in found) or not may_repeat():
                break
            again = {each.row.name: each for each in judge(measure(), recorded)}
            found = [_better(each, again.get(each.row.name, each)) for each in found]
        verdicts += found
    return verdicts


def _better(one: Verdict, other: Verdict) -> Verdict:
    return one if (one.worse or 0.0) <= (other.worse or 0.0) else other


def missing(verdicts: Iterable[Verdict], recorded: Mapping[str, Recorded]) -> list[str]:
    """Return the names of what is recorded and was not measured."""
    measured = {each.row.name for each in verdicts}
    return [name for name in recorded if name not in measured]


def save(path: Path, recorded: Mapping[str, Recorded], how: Mapping[str, object]) -> None:
    """Write recorded ratios, and how they were recorded."""
    rows = {
        name: {**asdict(each), "ratio": float(f"{each.ratio:.4g}")}
        for name, each in recorded.items()
    }
    path.write_text(json.dumps({"how": dict(how), "rows": rows}, indent=1) + "\n")


def load(path: Path) -> tuple[dict[str, Recorded], dict[str, object]]:
    """Return recorded ratios, and how they were recorded; raises GuardError."""
    try:
        told = json.loads(path.read_text())
        rows = {name: Recorded(**each) for name, each in told["rows"].items()}
        how = dict(told["how"])
    except FileNotFoundError:
        raise GuardError(f"{path}: nothing has been recorded; run {RENEW}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GuardError(f"{path}: no recorded ratios ({error}); run {RENEW}") from None
    return rows, how


def as_table(verdicts: Iterable[Verdict]) -> Table:
    """Lay the verdicts out for a terminal."""
    table = Table(title="Ratios against recorded ones", title_justify="left")
    for name in ("ratio", "recorded", "now", "worse by", "at most", "verdict"):
        table.add_column(name, justify="left" if name in ("ratio", "verdict") else "right")
    for each in verdicts:
        now = f"{each.row.measured:.3g}"
        if each.recorded is None or each.worse is None:
            table.add_row(each.row.name, "-", now, "-", "-", f"NOT RECORDED; run {RENEW}")
            continue
        known = each.recorded
        verdict = "passed" if each.passed else "[red]FAILED[/]"
        factors = (f"{each.worse:.2f}", f"{known.tolerance:.2f}")
        table.add_row(each.row.name, f"{known.ratio:.3g}", now, *factors, verdict)
    return table


def closing_line(verdicts: list[Verdict], lost: list[str], seconds: float) -> str:
    """Say in one line how many passed and failed."""
    failed = sum(not each.passed for each in verdicts) + len(lost)
    passed = len(verdicts) + len(lost) - failed
    return f"{passed} passed, {failed} failed in {seconds:.0f} s"
