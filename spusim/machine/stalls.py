"""Cycles by cause of every unit: all of the run's, so that they sum to it."""

from collections.abc import Sequence
from enum import IntEnum
from functools import cache, lru_cache

import numpy as np

from spusim.arch.spec import Arch
from spusim.kernels.chip import D, G, Q, R
from spusim.kernels.core import CoreArrays
from spusim.kernels.layout import S
from spusim.machine.chip import Chip

Stalls = dict[str, dict[str, int]]
Causes = tuple[str, ...]
BUSY, IDLE = "busy", "idle"


def stalls(chip: Chip, arch: Arch, cycles: int) -> Stalls:
    """Return all units' cycles; whatever a unit did not account for it was idle."""
    units: Stalls = {}
    for c, core in enumerate(chip.loaded):
        name, arrays = f"core{c}", chip.arrays
        units |= _unit(f"{name}.sequencer", _names(Q), arrays["sequencer_cycles"][c], cycles)
        units |= engine_stalls(name, core.arrays, cycles)
        units |= _unit(f"{name}.vector", (BUSY, "port"), arrays["vector_cycles"][c], cycles)
        units |= _unit(f"{name}.router", _names(R), arrays["port_cycles"][c], cycles)
        if arch.external_memory:
            spent = arrays["dma"][c, D.BUSY :]
            units |= _unit(f"{name}.dma", _names(D)[D.BUSY :], spent, cycles)
        units |= bank_stalls(name, core.arrays, cycles)
    host = chip.registers[G.HOST_OUT_BUSY : G.HOST_IN_BUSY + 1]
    units |= _unit("host.out", (BUSY, "blocked"), host[:2], cycles)
    return units | _unit("host.in", (BUSY,), host[2:], cycles)


def engine_stalls(name: str, arrays: CoreArrays, cycles: int) -> Stalls:
    """Return those of a core's scanner and PEs."""
    pes = _numbered(f"{name}.pe", len(arrays.pe_stalls))
    scanner = _unit(f"{name}.scanner", _names(S), arrays.scanner_stalls, cycles)
    return scanner | _by_cause(pes, _names(S), arrays.pe_stalls, cycles)


def bank_stalls(name: str, arrays: CoreArrays, cycles: int) -> Stalls:
    """Return cycles with an access, and otherwise held, of a core's data banks (T18)."""
    busy, held = arrays.bank_busy, arrays.bank_held
    banks = _numbered(f"{name}.data_memory.bank", len(busy))
    spent = np.stack([busy, np.where(held, held - busy, 0)], axis=1)
    return _by_cause(banks, (BUSY, "held"), spent, cycles)


def _unit(name: str, causes: Causes, spent: np.ndarray, cycles: int) -> Stalls:
    return _by_cause((name,), causes, spent[None, :], cycles)


def _by_cause(units: Sequence[str], causes: Causes, spent: np.ndarray, cycles: int) -> Stalls:
    """Name the cycles (units, causes) that units spent: busy, idle, then causes that there were."""
    at = causes.index(BUSY)
    waits = [(n, cause) for n, cause in enumerate(causes) if cause not in (BUSY, IDLE)]
    named: Stalls = {}
    for unit, row in zip(units, spent.tolist(), strict=True):
        found = {cause: row[n] for n, cause in waits if row[n]}
        busy = row[at]
        named[unit] = {BUSY: busy, IDLE: cycles - busy - sum(found.values()), **found}
    return named


@lru_cache(maxsize=64)
def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}{number}" for number in range(count))


@cache
def _names(causes: type[IntEnum]) -> Causes:
    return tuple(cause.name.lower() for cause in causes if cause.name != "COUNT")
