"""What bars are stacked of in a report: energy by term, cycles by cause for each kind of unit."""

from collections.abc import Mapping, Sequence
from typing import Any

from spusim.experiments.report.columns import OTHER_TERMS, TERM

# Okabe and Ito's palette, told apart with every common colour blindness; black is the text's
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999",
)  # fmt: skip
_REST = "#999999"
_FIXED = {"busy": "#0072B2", "idle": "#999999"}
_WAITING = tuple(colour for colour in PALETTE if colour not in _FIXED.values())
_TITLES = {
    "pe": "PEs", "scanner": "the scanner", "vector": "the vector unit", "bank": "data banks",
    "sequencer": "the sequencer", "router": "the router", "dma": "the dma",
    "host": "the host link",
}  # fmt: skip

Columns = Sequence[Mapping[str, Any]]


def energy_terms(columns: Columns) -> dict[str, Any]:
    """Return names, labels and colours of the energy columns, and their unit."""
    found = [c for c in columns if c["group"] == TERM]
    labels = [c["label"] for c in found]
    colours = [_REST if label == OTHER_TERMS else PALETTE[k] for k, label in enumerate(labels)]
    unit = found[0]["shown_unit"] if found else "J"
    return {"columns": [c["name"] for c in found], "names": labels, "colours": colours,
            "unit": unit}  # fmt: skip


def stall_causes(columns: Columns) -> dict[str, dict[str, Any]]:
    """Return the same of every kind of unit, causes that cost no cycle left out.

    A cause has the same colour in all of them, as far as colours reach.
    """
    found: dict[str, list[str]] = {kind: [] for kind in _TITLES}
    for column in columns:
        if column["group"] == "stall" and any(column["values"]):
            kind, _, cause = column["name"].removeprefix("stall.").partition(".")
            found.setdefault(kind, []).append(cause)
    return {
        kind: {
            "title": _TITLES.get(kind, kind),
            "columns": [f"stall.{kind}.{cause}" for cause in _ordered(causes)],
            "names": [cause.replace("_", " ") for cause in _ordered(causes)],
            "colours": _colours(_ordered(causes)),
        }
        for kind, causes in found.items()
        if causes
    }


def _ordered(causes: Sequence[str]) -> list[str]:
    """Return busy first and idle last."""
    return sorted(causes, key=lambda cause: (cause != "busy", cause == "idle", cause))


def _colours(causes: Sequence[str]) -> list[str]:
    waits = [cause for cause in causes if cause not in _FIXED]
    of = {cause: _WAITING[k % len(_WAITING)] for k, cause in enumerate(waits)}
    return [{**of, **_FIXED}[cause] for cause in causes]
