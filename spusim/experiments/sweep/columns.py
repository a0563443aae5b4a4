"""What a point's record says, as columns of the table; without what tables are made of.

Workers make rows of their own results, so that nobody need read a point's file to tell of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from spusim.experiments.sweep.pointfile import DONE
from spusim.experiments.units import kind_of

KINDS = {"data_memory.bank": "bank", "in": "host", "out": "host"}  # the others keep their names
# column -> where its figure is in a record
_SAME = (
    "frames", "cycles", "power_w", "utilization", "clock_mhz", "peak_macs_per_cycle",
    "outputs_sha256",
)  # fmt: skip
_SPREADS = {
    f"{name}_{how}": (of, how)
    for name, of in (
        ("frame_cycles", "cycles"), ("latency_s", "latency_s"), ("energy_j_frame", "energy_j"),
    )
    for how in ("min", "mean", "max")
}  # fmt: skip
_MACS = {
    f"macs_{kind}": kind for kind in ("dense", "weight_nonzero", "activation_nonzero", "effective")
}
_DENSITIES = {f"{side}_density": f"{side}_nonzero" for side in ("weight", "activation")}
_SPEEDUPS = {f"speedup_{key}": key for key in ("achieved", "ideal")}
_STORED = {f"{what}_bytes": what for what in ("weights", "indices")}

Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What the table tells of a point besides which it is; nothing is measured where it failed."""

    status: str
    error: str | None = None
    row: Row = field(default_factory=dict)


def told(record: Mapping[str, Any]) -> Told:
    """Return what a point's record tells."""
    done = record["status"] == DONE
    return Told(record["status"], record["error"], measured(record) if done else {})


def measured(record: Mapping[str, Any]) -> Row:
    """Return what a point's record says, by column."""
    return _metrics(record) | _families(record)


def _metrics(record: Mapping[str, Any]) -> Row:
    frame, macs, memory = record["per_frame"], record["macs"], record["memory"]
    speedup, stored = record["speedup"] or {}, record.get("stored_bytes", {})
    return {
        **{key: record[key] for key in _SAME},
        **{name: frame[of][how] for name, (of, how) in _SPREADS.items()},
        **{name: macs[kind] for name, kind in _MACS.items()},
        **{name: _share(macs[kind], macs["dense"]) for name, kind in _DENSITIES.items()},
        **{name: speedup.get(key) for name, key in _SPEEDUPS.items()},
        "memory_used_bytes": memory["used"],
        "memory_capacity_bytes": memory["capacity"],
        **{name: stored.get(what) for name, what in _STORED.items()},
        "area_um2": record["area_um2"]["total"],
        "accuracy": _accuracy(record["files"]),
        "sqnr_db": record.get("sqnr_db"),
        "arch_hash": record["versions"]["arch"],
        "network_hash": record["versions"]["network"],
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _accuracy(files: Sequence[Mapping[str, Any]]) -> float | None:
    known = [file for file in files if "label" in file and "heard" in file]
    return sum(file["label"] == file["heard"] for file in known) / len(known) if known else None


def _families(record: Mapping[str, Any]) -> Row:
    row: Row = {_named("energy_pj", term): value for term, value in record["energy_pj"].items()}
    row |= {_named("count", event): count for event, count in record["counts"].items()}
    for unit, causes in record["stalls"].items():
        kind = _stall_of(unit)
        for cause, cycles in causes.items():
            name = _named(kind, cause)
            row[name] = row.get(name, 0) + cycles
    return row


# a sweep's points have the same units and causes, whose names are then the same objects: they
# travel once for all points of a batch


@cache
def _stall_of(unit: str) -> str:
    kind = kind_of(unit)[1]
    return f"stall.{KINDS.get(kind, kind)}"


@cache
def _named(family: str, name: str) -> str:
    return f"{family}.{name}"
