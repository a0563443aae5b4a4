"""Units of the machine in groups, for people: a core's PEs are one row, and so are its banks."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# section -> the kinds of unit in it, and their causes of waiting in the order of the tables
SECTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sparse engine": (
        ("scanner", "pe"),
        (
            "load", "queue_full", "pe_wait", "starved", "empty_column", "hazard", "port",
            "imbalance", "drain",
        ),
    ),
    "vector unit": (("vector",), ("port",)),
    "sequencer": (
        ("sequencer",), ("dispatch", "unit", "banks", "engine", "vector", "router", "dma"),
    ),
    "router and host link": (("router", "out", "in"), ("blocked", "message")),
    "external memory": (("dma",), ("channel", "latency")),
    "data memory": (("data_memory.bank",), ("held",)),
}  # fmt: skip
_INSTANCE = re.compile(r"^(?:(core\d+)\.)?(.*?)(\d*)$")
_PE_MEMORY = re.compile(r"^(core\d+)\.pe\d+\.(.*)$")
_NAMES = {"pe": "PEs", "data_memory.bank": "banks"}


@dataclass(frozen=True)
class UnitGroup:
    """Units shown as one: cycles by cause, summed over `members` units."""

    name: str
    members: int
    causes: dict[str, int]


def kind_of(unit: str) -> tuple[str, str]:
    """Return where a unit is and what it is: core0.pe3 -> core0, pe; host.out -> host, out."""
    place, kind, _ = _parts(unit)
    return place, kind


def grouped(
    stalls: dict[str, dict[str, int]], section: str, every_unit: bool = False
) -> list[UnitGroup]:
    """Return the units of a section, those of one kind and core as one unless `every_unit`."""
    kinds = SECTIONS[section][0]
    groups: dict[str, UnitGroup] = {}
    for unit, causes in stalls.items():
        place, kind, number = _parts(unit)
        if kind not in kinds:
            continue
        alike = bool(number) and not every_unit
        name = f"{place} {_NAMES[kind]}" if alike else unit
        group = groups.get(name, UnitGroup(name, 0, {}))
        groups[name] = UnitGroup(name, group.members + 1, _sum(group.causes, causes))
    return list(groups.values())


def shown_causes(groups: Iterable[UnitGroup], section: str) -> list[str]:
    """Return the causes that cost any of the groups a cycle, those that are not known last."""
    found = {cause for group in groups for cause, cycles in group.causes.items() if cycles}
    found -= {"busy", "idle"}
    known = [cause for cause in SECTIONS[section][1] if cause in found]
    return known + sorted(found - set(known))


def memory_groups(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield memories of one core and kind with their banks: core0 data memory, [...]."""
    groups: dict[str, list[str]] = {}
    for name in names:
        of_pe = _PE_MEMORY.match(name)
        place, kind = of_pe.groups() if of_pe else kind_of(name)
        title = f"{place} {kind.removesuffix('.bank').replace('_', ' ')}".strip()
        groups.setdefault(title, []).append(name)
    yield from groups.items()


def _parts(unit: str) -> tuple[str, str, str]:
    if unit.startswith("host."):
        return "host", unit.removeprefix("host."), ""
    match = _INSTANCE.match(unit)
    assert match is not None
    return match[1] or "", match[2], match[3]


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
