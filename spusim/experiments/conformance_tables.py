"""The outcome of conformance programs as tables for a terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from spusim.experiments.conformance import Outcome
from spusim.experiments.quantities import count
from spusim.experiments.tables import table

SHOWN_CHANGES = 6  # of a program; the others are counted
VERDICTS = ("pass", "time", "values", "error")


def outcome_parts(outcomes: Sequence[Outcome]) -> Iterator[RenderableType]:
    """Return the table of all programs, what differs, and a line that sums it up."""
    rows = [
        [outcome.name, _signature(outcome), _cycles(outcome), _counts(outcome), outcome.verdict]
        for outcome in outcomes
    ]
    yield table("", ["program", "signature", "cycles", "counts", "verdict"], rows, texts=2)
    for outcome in outcomes:
        if outcome.verdict != "pass":
            yield Text("")
            yield from _details(outcome)
    yield Text("")
    tally = Counter(outcome.verdict for outcome in outcomes)
    parts = [f"{tally[verdict]} {verdict}" for verdict in VERDICTS if tally[verdict]]
    yield Text(f"{count(len(outcomes), 'program')}: {', '.join(parts)}")


def refreshed_parts(told: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[RenderableType]:
    """Return what a refresh changed, program by program."""
    for name, changes in told:
        if changes:
            yield Text(f"{name}: {_shown(changes)}")
    changed = sum(bool(changes) for _, changes in told)
    yield Text(f"{count(len(told), 'program')}: {count(changed, 'golden file')} written")


def _details(outcome: Outcome) -> Iterator[RenderableType]:
    if outcome.error:
        first, *others = outcome.error.splitlines()
        yield Text("\n".join([f"{outcome.name}: {first}", *(f"  {line}" for line in others)]))
    if outcome.changes:
        yield Text(f"{outcome.name}: {_shown(outcome.changes)}")


def _shown(changes: Sequence[str]) -> str:
    shown = [*changes[:SHOWN_CHANGES]]
    if len(changes) > len(shown):
        shown.append(f"and {len(changes) - len(shown)} more")
    return "; ".join(shown)


def _signature(outcome: Outcome) -> str:
    """Return `1a2b3c4d` where golden, machine and golden file agree, else who does not."""
    if outcome.found is None:
        return "-"
    now = str(outcome.found["signature"])[:8]
    if not outcome.same:
        return f"{now} golden ≠ machine"
    if outcome.expected is None:
        return now
    stored = str(outcome.expected["signature"])[:8]
    return now if stored == now else f"{now} ≠ {stored} stored"


def _cycles(outcome: Outcome) -> str:
    if outcome.found is None:
        return "-"
    now, stored = outcome.found["cycles"], (outcome.expected or outcome.found)["cycles"]
    return f"{now:,}" if now == stored else f"{stored:,} → {now:,}"


def _counts(outcome: Outcome) -> str:
    if outcome.found is None or outcome.expected is None:
        return "-"
    before, now = ({**record["counts"], **record["stalls"]} for record in
                   (outcome.expected, outcome.found))  # fmt: skip
    names = before.keys() | now.keys()
    differ = sum(before.get(name) != now.get(name) for name in names)
    return f"{differ} of {len(names)} differ" if differ else "same"
