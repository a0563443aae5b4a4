"""Differences as tables and as plain objects: what `spusim regress` and `spusim compare` show."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spusim.experiments.comparison import Place, RunComparison, SweepComparison
from spusim.experiments.differences import Difference, Quantity, Value
from spusim.experiments.quantities import count, percent, ratio, si, size
from spusim.experiments.regress import Outcome, exit_code_of
from spusim.experiments.sheets import Part, Sheet

MOST_STALLS = 2  # named in a case's row
MOST_POINTS = 20  # listed, unless all are asked for
COMPARE_SCHEMA = 1
_ARROW = " → "
_JOULE_PER_PJ = 1e-12
_AMOUNTS: dict[str, Any] = {
    "J": lambda value: si(value, "J"),
    "pJ": lambda value: si(value * _JOULE_PER_PJ, "J"),
    "W": lambda value: si(value, "W"),
    "s": lambda value: si(value, "s"),
    "B": lambda value: size(int(value)) if value >= 0 else f"-{size(int(-value))}",
    "MHz": lambda value: f"{value:g} MHz",
    "x": ratio,
    "share": lambda value: f"{percent(value, 1, 2)} %",
    "um2": lambda value: f"{value:,.0f} µm²",
}
# title of a run's table -> start of the quantities' names in it
_SECTIONS = {
    "figures": (
        "outputs_sha256", "frames", "heard.", "cycles", "frame_cycles.", "latency_s.",
        "utilization", "speedup.", "power_w", "energy_j_frame.", "memory.used", "memory.capacity",
    ),
    "energy by term": ("energy_pj.",),
    "stalls by unit kind and cause, cycles summed over the units": ("stall.",),
    "layers": ("layer.",),
    "area": ("area_um2.",),
    "counts": ("macs.", "count."),
    "memory, by bank": ("memory.",),
}  # fmt: skip
_ALWAYS = (
    "outputs_sha256", "frames", "cycles", "frame_cycles.mean", "latency_s.mean", "latency_s.max",
    "utilization", "speedup.achieved", "speedup.ideal", "power_w", "energy_j_frame.mean",
    "memory.used", "energy_pj.total", "area_um2.total",
)  # fmt: skip


def amount(value: Value | None, unit: str = "") -> str:
    """Return a value as people read it; hashes by their first 12 digits."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value[:12]
    if unit in _AMOUNTS:
        return str(_AMOUNTS[unit](value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".removesuffix(".00")


def signed(difference: Difference) -> str:
    """Return a change with its sign; of texts that they differ."""
    change = difference.change
    if change is None:
        return "differ"
    return f"{'+' if change > 0 else ''}{amount(change, difference.unit)}"


def signed_percent(value: float | None) -> str:
    """Return a change in %, with its sign; small ones with their first digits."""
    if value is None:
        return "-"
    return f"{value:+.2f}" if abs(value) >= 0.01 else f"{value:+.2g}"


def difference_sheet(title: str, shown: Iterable[Difference]) -> Sheet:
    """Return a table of quantities of two sides."""
    rows = tuple(
        (
            pair.name,
            amount(pair.old, pair.unit),
            amount(pair.new, pair.unit),
            "same" if pair.old == pair.new else signed(pair),
            "-" if pair.old == pair.new else signed_percent(pair.percent),
        )
        for pair in shown
    )
    return Sheet(title, ("", "old", "new", "difference", "%"), rows)


# compare


def comparison_sheets(comparison: RunComparison | SweepComparison, verbose: bool) -> Iterator[Part]:
    """Yield the tables of two runs or two sweeps, then notes and the verdict."""
    if isinstance(comparison, RunComparison):
        yield from _run_sheets(comparison, verbose)
    else:
        yield from _sweep_sheets(comparison, verbose)
    yield from (f"note: {note}" for note in comparison.notes)
    yield f"differs in: {', '.join(comparison.kinds) or 'nothing'}"


def comparison_record(comparison: RunComparison | SweepComparison) -> dict[str, Any]:
    """Return a comparison as plain objects for JSON."""
    told = {
        "schema_version": COMPARE_SCHEMA,
        "exit_code": comparison.exit_code,
        "differs_in": list(comparison.kinds),
        "notes": list(comparison.notes),
    }
    if isinstance(comparison, RunComparison):
        return {**told, "differences": [difference_record(found) for found in comparison.found]}
    return {
        **told,
        "points": len(comparison.found),
        "only_old": [dict(place) for place in comparison.only_old],
        "only_new": [dict(place) for place in comparison.only_new],
        "differences": [
            {"point": dict(place), **difference_record(difference)}
            for place, found in comparison.found.items()
            for difference in found
        ],
    }


def _run_sheets(comparison: RunComparison, details: bool) -> Iterator[Part]:
    """Yield the figures, and what else changed; details: by unit, too."""
    changed = {d.name for d in comparison.found if details or not d.detail}
    left = {n: pair for n, pair in comparison.pairs.items() if n in changed or n in _ALWAYS}
    for title, starts in _SECTIONS.items():
        inside = [left.pop(name) for name in list(left) if name.startswith(starts)]
        if inside:
            yield difference_sheet(title, inside)
    hidden = sum(d.detail for d in comparison.found)
    if hidden and not details:
        yield f"{count(hidden, 'figure')} of single units and banks changed; --verbose shows them"


def _sweep_sheets(comparison: SweepComparison, every: bool) -> Iterator[Part]:
    """Yield a row a metric, then the points that differ, and those that only one side has."""
    points = comparison.found
    by_metric: dict[str, list[tuple[Place, Difference]]] = {}
    for place, found in points.items():
        for difference in found:
            by_metric.setdefault(difference.name, []).append((place, difference))
    rows = tuple(_metric_row(name, found, len(points)) for name, found in by_metric.items())
    changed = sum(map(bool, points.values()))
    title = f"{count(len(points), 'point')} of both, {changed} of them changed; largest changes"
    yield Sheet(title, ("", "points", "old", "new", "%", "at"), rows)
    if every:
        for place, found in points.items():
            if found:
                yield difference_sheet(place_text(place), found)
    for title, places in (
        ("only the old has", comparison.only_old),
        ("only the new has", comparison.only_new),
    ):
        shown = places if every else places[:MOST_POINTS]
        yield from (f"{title} {place_text(place)}" for place in shown)
        if places[len(shown) :]:
            yield f"{title} {len(places) - len(shown)} more; --verbose lists them"


def _metric_row(
    name: str, found: Sequence[tuple[Place, Difference]], points: int
) -> tuple[str, ...]:
    """Return how many points changed in a metric, and the largest of the changes."""
    place, most = max(found, key=lambda pair: _size(pair[1]))
    values = (amount(value, most.unit) for value in (most.old, most.new))
    where = place_text(place)
    return (name, f"{len(found)} of {points}", *values, signed_percent(most.percent), where)


def _size(difference: Difference) -> tuple[float, float]:
    """Return what orders changes: those from nothing before all others, then by percentage."""
    percentage = abs(difference.percent) if difference.percent is not None else float("inf")
    return percentage, abs(difference.change or 0)


def place_text(place: Place) -> str:
    """Return a point as people write it: `core.pes=8 replica=0`."""
    return " ".join(f"{axis}={value}" for axis, value in place) or "the point"


# regress


def outcome_sheets(outcomes: Sequence[Outcome], verbose: bool) -> Iterator[Part]:
    """Yield a row a case, then what is to be known of each, and (verbose) all that changed."""
    rows = tuple(_outcome_row(outcome) for outcome in outcomes)
    columns = ("case", "differs in", "outputs", "cycles", "%", "energy", "%")
    yield Sheet("", (*columns, "stalls that changed most"), rows, texts=3)
    for outcome in outcomes:
        yield from (f"{outcome.name}: {note}" for note in outcome.notes)
        if outcome.error:
            yield f"{outcome.name}: failed: {outcome.error}"
        if outcome.found and verbose:
            yield difference_sheet(outcome.name, outcome.found)
    total = sum(len(outcome.found) for outcome in outcomes)
    if total and not verbose:
        yield f"{count(total, 'figure')} changed; --verbose shows them"


def outcome_record(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the outcomes as plain objects for JSON."""
    return {
        "schema_version": COMPARE_SCHEMA,
        "exit_code": exit_code_of(outcomes),
        "cases": [
            {
                "name": outcome.name,
                "differs_in": list(outcome.kinds),
                "error": outcome.error,
                "notes": list(outcome.notes),
                "differences": [difference_record(found) for found in outcome.found],
            }
            for outcome in outcomes
        ],
    }


def difference_record(found: Difference) -> dict[str, Any]:
    """Return a difference as a plain object for JSON."""
    return {
        "quantity": found.name,
        "kind": found.kind,
        "group": found.group,
        "unit": found.unit,
        "old": found.old,
        "new": found.new,
        "change": found.change,
        "percent": found.percent,
    }


def _outcome_row(outcome: Outcome) -> tuple[str, ...]:
    if outcome.error:
        return (outcome.name, "failed", *("-" for _ in range(6)))
    old = outcome.old or {}
    differs = ", ".join(outcome.kinds) or ("nothing" if outcome.old is not None else "new")
    outputs = "differ" if "results" in outcome.kinds else "same" if old else "-"
    return (
        outcome.name,
        differs,
        outputs,
        *_old_to_new("cycles", old, outcome.new),
        *_old_to_new("energy_pj.total", old, outcome.new),
        _stalls(outcome.found),
    )


def _old_to_new(
    name: str, old: Mapping[str, Quantity], new: Mapping[str, Quantity]
) -> tuple[str, str]:
    now = new[name]
    was = old.get(name, now)
    text = amount(now.value, now.unit)
    if was.value == now.value:
        return text, "-"
    difference = Difference(name, now.group, now.unit, was.value, now.value)
    return f"{amount(was.value, was.unit)}{_ARROW}{text}", signed_percent(difference.percent)


def _stalls(found: Sequence[Difference]) -> str:
    changed = [d for d in found if d.group == "stalls" and not d.detail]
    changed.sort(key=lambda d: (-abs(d.change or 0), d.name))
    named = [f"{d.name.removeprefix('stall.').replace('.', ' ')} {signed(d)}" for d in changed]
    return ", ".join(named[:MOST_STALLS]) or "-"
