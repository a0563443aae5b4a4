"""Bank occupancy: words used and cycles busy, core by bank."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spusim.experiments.charts.records import HeatChart, HeatPanel, Quantity
from spusim.experiments.charts.select import UnfitError, missing, point_labels, sampled
from spusim.experiments.results import Results

_MOST_POINTS = 3
_SCALES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # in percent
_BANK = re.compile(r"^(core\d+)\.data_memory\.bank(\d+)$")
_WEIGHTS = re.compile(r"^(core\d+)\.pe(\d+)\.weight_memory$")


@dataclass(frozen=True)
class _Cells:
    """Cells by (row, column): what was counted, and what would be full."""

    counts: dict[tuple[str, int], int]
    full: dict[tuple[str, int], int]


def bank_occupancy(results: Results) -> HeatChart:
    """Return words used and cycles busy of the data banks, and words of weight memories.

    Of at most three points, evenly spaced among those that are done. Raises UnfitError.
    """
    rows, notes = sampled(results.done, _MOST_POINTS)
    labels = point_labels(results, rows)
    panels: list[HeatPanel] = []
    for number, key, label in zip(rows["point"], rows["key"], labels, strict=True):
        record = results.record(key)
        panels.append(_used(record, number, label))
        panels.append(_busy(record, number, label))
    panels = [_on_one_scale(panel, panels) for panel in panels]
    if not panels:
        raise UnfitError("needs a finished point")
    title = "Occupancy of the memory banks"
    notes = (*missing(results), *notes)
    return HeatChart(
        "bank_occupancy", title, tuple(panels), 2, "bank or PE (number)", "core (name)", notes
    )


def _used(record: dict[str, Any], number: int, label: str) -> HeatPanel:
    counts, full = {}, {}
    for name, bank in record["memory"]["banks"].items():
        for pattern, suffix in ((_BANK, ""), (_WEIGHTS, " weights")):
            if found := pattern.match(name):
                place = (found[1] + suffix, int(found[2]))
                counts[place], full[place] = bank["used_words"], bank["capacity_words"]
    quantity = Quantity("words used", "%")
    return _panel(label, quantity, _Cells(counts, full), number, "words")


def _busy(record: dict[str, Any], number: int, label: str) -> HeatPanel:
    counts = {
        (found[1], int(found[2])): causes.get("busy", 0)
        for name, causes in record["stalls"].items()
        if (found := _BANK.match(name))
    }
    full = dict.fromkeys(counts, record["cycles"])
    quantity = Quantity("cycles busy", "%")
    return _panel("", quantity, _Cells(counts, full), number, "cycles")


def _panel(label: str, quantity: Quantity, cells: _Cells, number: int, counted: str) -> HeatPanel:
    rows = sorted({row for row, _ in cells.counts}, key=_in_order)
    columns = sorted({column for _, column in cells.counts})
    counts = [[cells.counts.get((row, column)) for column in columns] for row in rows]
    full = [[cells.full.get((row, column)) for column in columns] for row in rows]
    values = [
        [None if c is None or not f else 100 * c / f for c, f in zip(*pair, strict=True)]
        for pair in zip(counts, full, strict=True)
    ]
    return HeatPanel(
        label,
        quantity,
        100.0,
        tuple(rows),
        tuple(map(str, columns)),
        tuple(map(tuple, values)),
        number,
        tuple(map(tuple, counts)),
        counted,
    )


def _on_one_scale(panel: HeatPanel, panels: Sequence[HeatPanel]) -> HeatPanel:
    """Return a panel whose scale ends where it does for all panels of its quantity."""
    alike = [other for other in panels if other.quantity == panel.quantity]
    largest = max((v for p in alike for row in p.values for v in row if v is not None), default=0)
    return replace(panel, full=next(full for full in _SCALES if full >= largest))


def _in_order(row: str) -> tuple[str, int]:
    core, _, what = row.partition(" ")
    return what, int(core.removeprefix("core"))
