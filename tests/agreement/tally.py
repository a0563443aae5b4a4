"""How many programs, and how many of their cycles, were compared between which implementations."""

from collections import Counter
from collections.abc import Iterable

Rows = dict[str, tuple[int, int]]  # kind -> programs, cycles

IMPLEMENTATIONS = {
    "whole programs": "stepper, machine, golden",
    "compiled networks": "stepper, machine, golden, integer reference",
    "graphs of operations": "stepper, machine, golden, integer reference",
    "networks over images": "stepper, machine, golden, integer reference",
    "programs worked out by hand": "stepper, machine",
    "programs with convolutions": "stepper, machine, golden",
    "programs that stream": "stepper, machine, golden",
    "conformance programs": "stepper, machine, golden, golden files",
    "engine programs": "RTL, stepper, machine",
    "products of conformance programs": "RTL, stepper, machine",
    "single products": "stepper, machine",
}

_programs: Counter[str] = Counter()
_cycles: Counter[str] = Counter()


def compared(kind: str, cycles: int) -> None:
    """Note a program on which the implementations of IMPLEMENTATIONS[kind] agree."""
    assert kind in IMPLEMENTATIONS, kind
    _programs[kind] += 1
    _cycles[kind] += cycles


def take() -> Rows:
    """Return what was noted since the last time."""
    rows = {kind: (programs, _cycles[kind]) for kind, programs in _programs.items()}
    _programs.clear()
    _cycles.clear()
    return rows


def total(parts: Iterable[Rows]) -> Rows:
    """Add rows up, in the order of IMPLEMENTATIONS."""
    listed = list(parts)
    rows: Rows = {}
    for kind in IMPLEMENTATIONS:
        found = [part[kind] for part in listed if kind in part]
        if found:
            rows[kind] = (sum(n for n, _ in found), sum(n for _, n in found))
    return rows


def table_lines(rows: Rows) -> list[str]:
    """Lay out rows and their sum as text."""
    programs, cycles = (sum(column) for column in zip(*rows.values(), strict=True))
    cells = [("compared", "by", "programs", "cycles")]
    cells += [(kind, IMPLEMENTATIONS[kind], f"{n:,}", f"{c:,}") for kind, (n, c) in rows.items()]
    cells += [("all", "", f"{programs:,}", f"{cycles:,}")]
    kind, by, n, c = (max(map(len, column)) for column in zip(*cells, strict=True))
    return [f"{a:<{kind}}  {b:<{by}}  {p:>{n}}  {q:>{c}}" for a, b, p, q in cells]
