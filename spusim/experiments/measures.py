"""The quantities of a stored result, by name: of a run's record, or of a row of a sweep's table."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from spusim.errors import SpusimError
from spusim.experiments.differences import Quantity, Value
from spusim.experiments.record import SCHEMA_VERSION
from spusim.experiments.units import kind_of

Counts = dict[str, int]
Named = Iterator[tuple[str, Quantity]]

# start of a sweep column's name -> (group, unit)
_COLUMNS = {
    "outputs_sha256": ("outputs", ""),
    "frames": ("outputs", ""),
    "accuracy": ("outputs", "share"),
    "sqnr_db": ("outputs", "dB"),
    "cycles": ("cycles", "cycles"),
    "frame_cycles_": ("cycles", "cycles"),
    "count.cycle": ("cycles", "cycles"),
    "latency_s_": ("cycles", "s"),
    "clock_mhz": ("cycles", "MHz"),
    "utilization": ("cycles", "share"),
    "speedup_": ("cycles", "x"),
    "stall.": ("stalls", "cycles"),
    "energy_j_": ("energy", "J"),
    "energy_pj.": ("energy", "pJ"),
    "power_w": ("energy", "W"),
    "memory_": ("memory", "B"),
    "area_um2": ("area", "um2"),
}
_MAY_LACK = ("speedup", "area_um2")


class RecordError(SpusimError):
    """A stored result that cannot be read."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class _Bank(_Part):
    used_words: int
    capacity_words: int
    word_bits: int


class _Memory(_Part):
    used: int
    capacity: int
    banks: dict[str, _Bank]


class _PerFrame(_Part):
    cycles: dict[str, float]
    latency_s: dict[str, float]
    energy_j: dict[str, float]


class _Speedup(_Part):
    achieved: float | None
    ideal: float | None


class Record(_Part):
    """What comparing needs of a run's record (see `record.result_record`)."""

    schema_version: int
    versions: dict[str, str | None]
    frames: int
    cycles: int = Field(ge=0)
    per_frame: _PerFrame
    macs: Counts
    utilization: float
    speedup: _Speedup | None
    stalls: dict[str, Counts]
    counts: Counts
    energy_pj: dict[str, FiniteFloat]
    memory: _Memory
    outputs_sha256: str
    layers: dict[str, Counts]
    area_um2: dict[str, FiniteFloat]
    power_w: float
    files: tuple[dict[str, Any], ...] = ()


def read_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises RecordError for one that cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise RecordError(
            f"{path}: is damaged: no JSON ({reason}); restore or make it again"
        ) from None


def check_record(record: Any, where: str) -> Record:
    """Return a run's record, checked. Raises RecordError for another schema, or a damaged one."""
    version = record.get("schema_version") if isinstance(record, dict) else None
    if version != SCHEMA_VERSION:
        versions = record.get("versions") if isinstance(record, dict) else None
        maker = versions.get("spusim") if isinstance(versions, dict) else None
        raise RecordError(
            f"{where}: has result schema {'none' if version is None else version}"
            f"{f' (spusim {maker})' if maker else ''}, and this spusim reads {SCHEMA_VERSION}; "
            "make it again with this one, or use the other"
        )
    try:
        return Record.model_validate_json(json.dumps(record))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise RecordError(
            f"{where}: is damaged: {place}: {problem['msg'].lower()}; restore or make it again"
        ) from None


def record_quantities(record: Record) -> dict[str, Quantity]:
    """Return a run's quantities, the most important first."""
    return {
        name: quantity
        for part in (_results, _time, _stalls, _layers, _counts, _energy, _memory)
        for name, quantity in part(record)
    }


def row_quantities(row: Mapping[str, Value | None], columns: Iterable[str]) -> dict[str, Quantity]:
    """Return the quantities of a row of a sweep's table: the numbers and hashes of `columns`.

    Numbers that are not known are counts; texts that are not, no quantities.
    """
    quantities = {}
    for column in columns:
        value = row[column]
        group, unit = next((_COLUMNS[p] for p in _COLUMNS if column.startswith(p)), ("counts", ""))
        if value is None or value != value or (isinstance(value, str) and group != "outputs"):
            continue  # NaN is nothing, too
        scale = row.get(_SCALES[group]) if group in _SCALES else None
        quantities[column] = Quantity(
            group,
            value,
            unit,
            scale=scale if isinstance(scale, int | float) else None,
            optional=column.startswith(_MAY_LACK),
        )
    return quantities


# group -> the column that a tolerance is a share of
_SCALES = {"stalls": "cycles", "energy": "energy_pj.total"}


def _results(record: Record) -> Named:
    yield "outputs_sha256", Quantity("outputs", record.outputs_sha256)
    yield "frames", Quantity("outputs", record.frames)
    for file in record.files:
        if "heard" in file:
            yield f"heard.{file.get('name', '')}", Quantity("outputs", str(file["heard"]))


def _time(record: Record) -> Named:
    yield "cycles", Quantity("cycles", record.cycles, "cycles")
    for key, cycles in record.per_frame.cycles.items():
        yield f"frame_cycles.{key}", Quantity("cycles", cycles, "cycles")
    for key, seconds in record.per_frame.latency_s.items():
        yield f"latency_s.{key}", Quantity("cycles", seconds, "s")
    yield "utilization", Quantity("cycles", record.utilization, "share")
    for key in ("achieved", "ideal"):
        speedup = getattr(record.speedup, key, None)
        if speedup is not None:
            yield f"speedup.{key}", Quantity("cycles", speedup, "x", optional=True)


def _stalls(record: Record) -> Named:
    """Cycles by unit kind and cause, then of every unit; of how many units is in the scale."""
    sums: dict[tuple[str, str], int] = {}
    members: dict[str, int] = {}
    for unit, causes in record.stalls.items():
        kind = kind_of(unit)[1]
        members[kind] = members.get(kind, 0) + 1
        for cause, cycles in causes.items():
            sums[kind, cause] = sums.get((kind, cause), 0) + cycles
    for (kind, cause), cycles in sums.items():
        scale = float(record.cycles * members[kind])
        yield f"stall.{kind}.{cause}", Quantity("stalls", cycles, "cycles", scale)
    for unit, causes in record.stalls.items():
        for cause, cycles in causes.items():
            scale = float(record.cycles)
            yield f"stall.{unit}.{cause}", Quantity("stalls", cycles, "cycles", scale, detail=True)


def _layers(record: Record) -> Named:
    for name, layer in record.layers.items():
        for key, value in layer.items():
            if key == "engine_cycles":
                yield f"layer.{name}.{key}", Quantity("cycles", value, "cycles")
            elif key == "dense_engine_cycles":  # the baseline's, like the speedup
                yield (
                    f"layer.{name}.{key}",
                    Quantity("cycles", value, "cycles", detail=True, optional=True),
                )
            else:
                yield f"layer.{name}.{key}", Quantity("counts", value, detail=True)


def _counts(record: Record) -> Named:
    for key, value in record.macs.items():
        yield f"macs.{key}", Quantity("counts", value)
    for event, value in record.counts.items():
        # cycles are an event, too: the clock's
        yield f"count.{event}", Quantity("cycles" if event == "cycle" else "counts", value)


def _energy(record: Record) -> Named:
    total = record.energy_pj.get("total", 0.0)
    for term in sorted(record.energy_pj, key=lambda term: term != "total"):
        yield f"energy_pj.{term}", Quantity("energy", record.energy_pj[term], "pJ", total)
    for key, joule in record.per_frame.energy_j.items():
        yield f"energy_j_frame.{key}", Quantity("energy", joule, "J")
    yield "power_w", Quantity("energy", record.power_w, "W")


def _memory(record: Record) -> Named:
    yield "memory.used", Quantity("memory", record.memory.used, "B")
    yield "memory.capacity", Quantity("memory", record.memory.capacity, "B")
    for name, bank in record.memory.banks.items():
        for key, value in bank:
            yield f"memory.{name}.{key}", Quantity("memory", value, detail=True)
    for term, area in record.area_um2.items():
        yield f"area_um2.{term}", Quantity("area", area, "um2", record.area_um2.get("total"))
