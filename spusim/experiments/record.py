"""A run as one JSON object: `--json`, and `result.json` in an output folder."""

import json
import math
from typing import Any

import numpy as np

import spusim
from spusim.energy import power_w, report_fields
from spusim.machine import outputs_hash
from spusim.result import RunResult

SCHEMA_VERSION = 1
_JOULE_PER_PJ = 1e-12


def result_record(result: RunResult) -> dict[str, Any]:
    """Return all that a run tells, as plain objects for JSON; no wall-clock times.

    Energies are in pJ or J, times in s, areas in um2, memory in bytes. `speedup` is null where
    the baseline was left out, its `ideal` where no MAC is left. Raises EnergyError if no energy
    is attached.
    """
    fields = report_fields(result)
    return {
        "schema_version": SCHEMA_VERSION,
        "versions": {
            "spusim": spusim.__version__,
            **{key: result.versions.get(key) for key in ("isa", "arch", "network")},
        },
        "frames": result.frames,
        "cycles": int(result.cycles),
        "per_frame": per_frame(result),
        "macs": _integers(result.macs),
        "utilization": float(result.utilization),
        "speedup": _speedup(result),
        "stalls": {unit: _integers(causes) for unit, causes in result.stalls.items()},
        "counts": _integers(result.counts),
        "energy_pj": {term: float(value) for term, value in result.energy_pj.items()},
        "memory": {
            "used": fields["Memory Used (B)"],
            "capacity": fields["Memory Capacity (B)"],
            "banks": {
                name: {
                    "used_words": int(bank.used_words),
                    "capacity_words": int(bank.capacity_words),
                    "word_bits": int(bank.word_bits),
                }
                for name, bank in result.memory.items()
            },
        },
        "stored_bytes": {what: -(-bits // 8) for what, bits in result.stored_bits.items()},
        "outputs_sha256": outputs_hash(result.outputs),
        "layers": {name: _integers(layer) for name, layer in result.layers.items()},
        "area_um2": {term: float(value) for term, value in result.area_um2.items()},
        "power_w": float(power_w(result)),
        "notes": list(result.notes),
        "files": list(result.details.get("files", ())),
        "report": fields,
    }


def record_text(record: dict[str, Any]) -> str:
    """Return an object as JSON text: keys sorted, two spaces of indent, a newline at the end."""
    return json.dumps(record, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def per_frame(result: RunResult) -> dict[str, dict[str, float]]:
    """Return min, mean and max over the frames of cycles, latency_s and energy_j."""
    cycles = result.frame_cycles
    energy = np.zeros(len(cycles)) if result.frame_energy_pj is None else result.frame_energy_pj
    hertz = result.clock_mhz * 1e6
    spread = {"min": int(cycles.min()), "mean": float(cycles.mean()), "max": int(cycles.max())}
    return {
        "cycles": spread,
        "latency_s": {key: value / hertz for key, value in spread.items()},
        "energy_j": {
            "min": float(energy.min()) * _JOULE_PER_PJ,
            "mean": float(energy.mean()) * _JOULE_PER_PJ,
            "max": float(energy.max()) * _JOULE_PER_PJ,
        },
    }


def _integers(counts: dict[str, int]) -> dict[str, int]:
    return dict(zip(counts, map(int, counts.values()), strict=True))


def _speedup(result: RunResult) -> dict[str, float | None] | None:
    if not result.speedup:
        return None
    return {
        key: float(value) if math.isfinite(value) else None for key, value in result.speedup.items()
    }
