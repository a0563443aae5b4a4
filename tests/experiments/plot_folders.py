"""Small folders of results with numbers chosen by hand, for figures to be held against."""

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl

from spusim.experiments.results import FAMILIES, FIRST, IDENTITY, METRICS

PES = 2
LAYER = {"inputs": 16, "outputs": 8, "seed": 0, "frames": 1}


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def point(number: int, axes: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a row: 10 frames, 1000 cycles at 100 MHz, 800 of 3200 MACs effective."""
    row = {
        "point": number,
        "key": key(number),
        "status": "done",
        "part": "net",
        "replica": 0,
        "arch": "tiny",
        "arch_hash": "a" * 64,
        "network": "net",
        "frames": 10,
        "cycles": 1000,
        "frame_cycles_mean": 100.0,
        "latency_s_mean": 1e-6,
        "energy_j_frame_mean": 5e-9,
        "clock_mhz": 100.0,
        "macs_dense": 3200,
        "macs_weight_nonzero": 1600,
        "macs_activation_nonzero": 1600,
        "macs_effective": 800,
        "peak_macs_per_cycle": 4,
        "weight_density": 0.5,
        "activation_density": 0.5,
        "utilization": 0.2,
        "speedup_achieved": 2.0,
        "speedup_ideal": 4.0,
        "memory_used_bytes": 2048,
        "memory_capacity_bytes": 8192,
        "area_um2": 2e6,
        "energy_pj.mac": 30_000.0,
        "energy_pj.clock": 20_000.0,
        "energy_pj.total": 50_000.0,
        "stall.pe.busy": 500,
        "stall.pe.starved": 1000,
        "stall.pe.idle": 500,
        "stall.vector.busy": 250,
        "stall.vector.idle": 750,
        "count.queue.push": 400,
        "count.data_memory.read": 200,
        **axes,
    }
    return {**row, **changed}


def record(number: int, **changed: Any) -> dict[str, Any]:
    """Return a point's record: two cores' banks, two PEs, two layers."""
    banks = {
        f"core{core}.data_memory.bank{bank}": {
            "used_words": 10 * (core + 1) + bank, "capacity_words": 40, "word_bits": 64,
        }
        for core in range(2) for bank in range(2)
    }  # fmt: skip
    stalls: dict[str, dict[str, int]] = {
        f"core{core}.data_memory.bank{bank}": {"busy": 100 * (core + 1) + bank, "idle": 0}
        for core in range(2)
        for bank in range(2)
    }
    stalls |= {f"core0.pe{pe}": {"busy": 250} for pe in range(PES)}
    layers = {
        "fc1": {"dense": 2000, "weight_nonzero": 500, "effective": 250, "engine_cycles": 400,
                "dense_engine_cycles": 1000},
        "fc2": {"dense": 1200, "weight_nonzero": 1100, "effective": 550, "engine_cycles": 600,
                "dense_engine_cycles": 600},
    }  # fmt: skip
    return {
        "status": "done",
        "cycles": 1000,
        "identity": {"layer": None},
        "memory": {"banks": banks},
        "stalls": stalls,
        "layers": layers,
        "number": number,
        **changed,
    }


def write_results(
    folder: Path,
    rows: list[dict[str, Any]],
    axes: list[str],
    *,
    planned: int | None = None,
    sweep: dict[str, Any] | None = None,
    records: dict[int, dict[str, Any]] | None = None,
) -> Path:
    """Write a sweep's folder: table, sweep.json, and a record of every finished point."""
    (folder / "points").mkdir(parents=True)
    families = {
        name: kind
        for prefix, kind in FAMILIES.items()
        for name in sorted({name for row in rows for name in row})
        if name.startswith(prefix)
    }
    plain = {name: pl.Series([r.get(name) for r in rows if r.get(name) is not None]).dtype
             for name in axes}  # fmt: skip
    types = {**FIRST, **plain, **IDENTITY, **METRICS, **families}
    table = pl.DataFrame(
        {name: pl.Series(name, [row.get(name) for row in rows], kind)
         for name, kind in types.items()}
    )  # fmt: skip
    table.write_parquet(folder / "results.parquet")
    parts = list(dict.fromkeys(row["part"] for row in rows)) or ["net"]
    counts = {part: sum(row["part"] == part for row in rows) for part in parts}
    counts[parts[0]] += (planned or len(rows)) - len(rows)
    told = {
        "schema_version": 1,
        "name": folder.name,
        "description": "for tests",
        "versions": {"spusim": "0", "isa": "0", "code": "0"},
        "axes": [{"name": name, "about": "", "values": []} for name in axes],
        "parts": [{"name": part, "points": counts[part], "axes": axes} for part in parts],
        "sweep": sweep or {"grid": dict.fromkeys(axes)},
    }
    (folder / "sweep.json").write_text(json.dumps(told))
    for row in rows:
        if row["status"] == "done":
            content = (records or {}).get(row["point"]) or record(row["point"])
            (folder / "points" / f"{row['key']}.json").write_text(json.dumps(content))
    return folder


def densities(folder: Path) -> Path:
    """Pruned to 100, 50 and 10 %: achieved 1, 1.5, 2; ideal 1, 2, 10."""
    rows = [
        point(n, {"prune.density": density}, weight_density=density, speedup_achieved=achieved,
              speedup_ideal=1 / density)
        for n, (density, achieved) in enumerate(((1.0, 1.0), (0.5, 1.5), (0.1, 2.0)))
    ]  # fmt: skip
    return write_results(folder, rows, ["prune.density"])


def queues(folder: Path) -> Path:
    """Depths 1, 2 and 8, released at pop and done."""
    combinations = [(depth, release) for depth in (1, 2, 8) for release in ("pop", "done")]
    rows = [
        point(n, {"core.queue.depth": depth, "core.queue.release": release},
              speedup_achieved=1.0 + depth / 8 + (release == "pop"), utilization=depth / 10,
              latency_s_mean=1e-6 / (n + 1), energy_j_frame_mean=1e-9 * (n + 1))
        for n, (depth, release) in enumerate(combinations)
    ]  # fmt: skip
    return write_results(folder, rows, ["core.queue.depth", "core.queue.release"])


def shapes(folder: Path) -> Path:
    """8 lanes in all as 1x8, 2x4, 4x2 with accumulators that follow; and 2x8, which is alone."""
    axes = ["core.pes", "core.lanes", "core.accumulators"]
    rows = [
        point(n, {"core.pes": pes, "core.lanes": lanes, "core.accumulators": 64 // pes},
              frame_cycles_mean=100.0 * pes, area_um2=1e6 * pes)
        for n, (pes, lanes) in enumerate(((1, 8), (2, 4), (4, 2), (2, 8)))
    ]  # fmt: skip
    return write_results(folder, rows, axes, sweep={"zip": dict.fromkeys(axes)})


def formats(folder: Path) -> Path:
    """Dense always 1000 bytes, bitmap 100 + 2000 x density: they cross at 45 %."""
    combinations = [(f, d) for f in ("dense", "bitmap") for d in (1.0, 0.5, 0.4, 0.1)]
    rows = [
        point(n, {"core.sparse.format": form, "prune.density": density}, weight_density=density,
              memory_used_bytes=1000 if form == "dense" else round(100 + 2000 * density))
        for n, (form, density) in enumerate(combinations)
    ]  # fmt: skip
    return write_results(folder, rows, ["core.sparse.format", "prune.density"])


def structures(folder: Path) -> Path:
    """Elements and pencils at two densities; format follows from structure."""
    axes = ["prune.structure", "core.sparse.format", "prune.density"]
    combinations = [(s, f, d) for s, f in (("element", "bitmap"), ("pencil:8", "pencil"))
                    for d in (0.5, 0.1)]  # fmt: skip
    rows = [
        point(n, {"prune.structure": s, "core.sparse.format": f, "prune.density": d},
              weight_density=d, accuracy=0.9 if s == "element" else 0.5)
        for n, (s, f, d) in enumerate(combinations)
    ]  # fmt: skip
    tied = {"zip": {axes[0]: None, axes[1]: None}, "grid": {axes[2]: None}}
    return write_results(folder, rows, axes, sweep=tied)


def banks(folder: Path) -> Path:
    """Banks x words at equal capacity; 2 words follow from 4 banks and 1 word width."""
    axes = ["core.data_memory.banks", "core.data_memory.words"]
    rows = [
        point(n, {axes[0]: number, axes[1]: 64 // number}, frame_cycles_mean=100.0 - number)
        for n, number in enumerate((2, 4, 8))
    ]
    return write_results(folder, rows, axes, sweep={"zip": dict.fromkeys(axes)})


def machines(folder: Path) -> Path:
    """Five machines: 0, 1 and 2 on the front of latency and energy, 3 and 4 behind it."""
    told = [(1, 9, 1), (2, 5, 2), (4, 1, 2), (2, 6, 1), (9, 9, 1)]
    rows = [
        point(n, {"cores": n % 2 + 1, "core.lanes": n + 1}, latency_s_mean=1e-6 * latency,
              energy_j_frame_mean=1e-9 * energy, area_um2=1e6 * area)
        for n, (latency, energy, area) in enumerate(told)
    ]  # fmt: skip
    return write_results(folder, rows, ["cores", "core.lanes"])


def hazards(folder: Path) -> Path:
    """An axis of words that no figure is about."""
    rows = [point(n, {"core.hazard": word}, frame_cycles_mean=100.0 + n)
            for n, word in enumerate(("bypass", "stall"))]  # fmt: skip
    return write_results(folder, rows, ["core.hazard"])


def numbers(folder: Path) -> Path:
    """Three formats of the weights at two widths of the activations, compared with floats."""
    axes = ["quantise.weights", "quantise.activations"]
    combinations = [(w, a) for w in ("binary", "codebook", "int8") for a in (8, 16)]
    rows = [
        point(n, {axes[0]: w, axes[1]: a}, sqnr_db=5.0 * n - 1.0, memory_used_bytes=1000 * (n + 1))
        for n, (w, a) in enumerate(combinations)
    ]
    return write_results(folder, rows, axes)


def tradeoffs(folder: Path) -> Path:
    """Elements, pencils and units on two machines, whole and halved; units in parts of their own.

    Unpruned and unskipped it is 1000 cycles and 3200 dense MACs. One half takes 800 cycles by
    elements and 500 by units, whose own dense twin takes 600.
    """
    axes = ["prune.structure", "prune.density"]
    rows: list[dict[str, Any]] = []
    for arch in ("tiny", "spu001"):
        for structure, indices in (("element", 100), ("pencil:8", 20), ("unit", 0)):
            for density in (1.0, 0.5):
                cycles = 1000 if density == 1 else 500 if structure == "unit" else 800
                twin = 600 if density < 1 and structure == "unit" else 1000
                part = arch + "_units" * (structure == "unit")
                rows.append(
                    point(len(rows), {axes[0]: structure, axes[1]: density}, part=part, arch=arch,
                          cycles=cycles, speedup_achieved=twin / cycles,
                          macs_weight_nonzero=round(3200 * density),
                          macs_dense=round(3200 * density) if structure == "unit" else 3200,
                          weights_bytes=round(1024 * density), indices_bytes=indices)
                )  # fmt: skip
    return write_results(folder, rows, axes)


def maps(folder: Path) -> Path:
    """Elements and pencils on two machines that skip or decompress; one point failed."""
    axes = ["prune.structure", "arch", "core.sparse.weights"]
    combinations = [(s, a, w) for s in ("element", "pencil:8") for a in ("tiny", "spu001")
                    for w in ("skip", "decompress")]  # fmt: skip
    rows = [
        point(n, dict(zip(axes, combination, strict=True)), latency_s_mean=1e-6 * (n + 1),
              energy_j_frame_mean=1e-9 * (9 - n), sqnr_db=30.0)
        for n, combination in enumerate(combinations)
    ]  # fmt: skip
    kept = ("point", "key", "part", *axes)
    rows[-1] = {k: rows[-1][k] for k in kept} | {"status": "failed", "error": "does not fit"}
    return write_results(folder, rows, axes)


def dataflows(folder: Path) -> Path:
    """A convolution at two densities each of weights and activations, by row and by pixel."""
    axes = ["conv.weight_density", "conv.activation_density"]
    layer = {"kernel": 3, "size": 14, "in_channels": 8, "out_channels": 16}
    rows, records = [], {}
    for flow in ("row", "pixel"):
        for weights, activations in ((0.1, 0.5), (0.1, 1.0), (1.0, 0.5), (1.0, 1.0)):
            number = len(rows)
            dense = 1000 if flow == "row" else 1800
            cycles = dense * weights * (activations if flow == "row" else 1)
            rows.append(
                point(number, {axes[0]: weights, axes[1]: activations}, part=flow, network=None,
                      frame_cycles_mean=cycles, speedup_achieved=dense / cycles)
            )  # fmt: skip
            records[number] = record(
                number, identity={"layer": layer}, names={"dataflow": flow}, layers={}
            )
    return write_results(folder, rows, axes, records=records)


FOLDERS = {
    make.__name__: make
    for make in (
        densities,
        queues,
        shapes,
        formats,
        structures,
        banks,
        machines,
        hazards,
        numbers,
        tradeoffs,
        maps,
        dataflows,
    )
}
