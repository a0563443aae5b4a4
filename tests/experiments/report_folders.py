"""Folders of results for the tests of reports: made up, of any size, in the real schema."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from spusim.arch import load_arch
from spusim.experiments.layers import RandomLinear, run_linear
from spusim.experiments.record import result_record
from spusim.experiments.results import FAMILIES, FIRST, IDENTITY, METRICS
from spusim.experiments.sweep.identity import hash_of, json_bytes, versions
from spusim.experiments.sweep.layout import POINTS_NAME, SCHEMA_VERSION, SWEEP_NAME, TABLE_NAME
from spusim.experiments.sweep.table import measured

EVIL = "<script>window.pwned = 1</script></script><img src=x onerror='window.pwned = 2'>"
AXES = {
    "core.queue.depth": [1, 2, 4, 8, 16],
    "core.pes": [2, 4, 8, 16],
    "prune.density": [round(0.05 * k, 2) for k in range(1, 26)],
    "core.queue.release": ["pop", "done"],
}


def made_up_sweep(folder: Path, most: int = 1000, failing: int = 97) -> Path:
    """Write a sweep of up to 1,000 points whose figures are drawn, every `failing`th failed."""
    (folder / POINTS_NAME).mkdir(parents=True)
    real = real_record()
    draw = np.random.default_rng(7)
    rows = [_point(folder, number, real, draw, failing) for number in range(most)]
    names = dict.fromkeys(name for row in rows for name in row)
    families = {
        name: kind for prefix, kind in FAMILIES.items()
        for name in sorted(names) if name.startswith(prefix)
    }  # fmt: skip
    axes = {name: pl.DataFrame({name: values}).schema[name] for name, values in AXES.items()}
    types = {**FIRST, **axes, **IDENTITY, **METRICS, **families}
    table = pl.DataFrame({n: pl.Series(n, [r.get(n) for r in rows], t) for n, t in types.items()})
    table.write_parquet(folder / TABLE_NAME)
    (folder / SWEEP_NAME).write_text(json.dumps(_told(most)))
    return folder


def real_record() -> dict[str, Any]:
    """Return the record of a small layer, with what a sweep adds to it."""
    arch = load_arch("tiny")
    result = run_linear(RandomLinear(32, 32, 0.5, 0.5, frames=2), arch)
    extra = {"clock_mhz": result.clock_mhz, "peak_macs_per_cycle": int(result.peak_macs_per_cycle)}
    return {**result_record(result), **extra}


def _point(
    folder: Path, number: int, real: dict[str, Any], draw: np.random.Generator, failing: int
) -> dict[str, Any]:
    values, rest = {}, number
    for name, choices in reversed(AXES.items()):
        rest, place = divmod(rest, len(choices))
        values[name] = choices[place]
    key = hash_of(number)
    failed = number % failing == failing - 1
    identity = {"layer": None, "network": "n", "stream": "s", "input_period": None,
                "baseline": True, "arch": "a"}  # fmt: skip
    record: dict[str, Any] = {"error": f"no room: {EVIL}"} if failed else _varied(real, draw)
    record |= {"key": key, "status": "failed" if failed else "done", "identity": identity}
    (folder / POINTS_NAME / f"{key}.json").write_bytes(json_bytes(record))
    row = {
        "point": number, "key": key, "status": record["status"], "error": record.get("error"),
        "part": "net", "replica": 0, "arch": "spu001", "network": EVIL, "stream": "speech.npz",
        "spusim_version": versions().spusim, "isa_version": versions().isa,
    }  # fmt: skip
    return {**row, **values, **({} if failed else measured(record))}


def _varied(real: dict[str, Any], draw: np.random.Generator) -> dict[str, Any]:
    record = copy.deepcopy(real)
    cycles = int(draw.integers(1_000, 90_000))
    record["cycles"] = cycles
    for key, least in (("cycles", 500), ("latency_s", 1e-6), ("energy_j", 1e-9)):
        record["per_frame"][key]["mean"] = float(least * draw.uniform(1, 90))
    for terms in (record["energy_pj"], record["counts"], *record["stalls"].values()):
        for name, value in terms.items():
            terms[name] = type(value)(value * draw.uniform(0.2, 3))
    record["speedup"] = {"achieved": float(draw.uniform(0.5, 9)), "ideal": 10.0}
    record["macs"]["weight_nonzero"] = int(record["macs"]["dense"] * draw.uniform(0.02, 1))
    return record


def _told(points: int) -> dict[str, Any]:
    axes = [{"name": n, "about": f"about {n}", "values": v} for n, v in AXES.items()]
    return {
        "schema_version": SCHEMA_VERSION,
        "name": "made_up",
        "description": f"drawn, not run; {EVIL}",
        "versions": vars(versions()),
        "axes": axes,
        "parts": [{"name": "net", "points": points, "axes": list(AXES), "baseline": True}],
        "sweep": {"name": "made_up", "network": "net.yaml", "arch": "spu001", "grid": AXES,
                  "parts": {"net": {}}},
    }  # fmt: skip
