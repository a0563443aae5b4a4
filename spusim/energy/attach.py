"""Attaching energy, power's ingredients and area to a run's counts."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spusim.arch.shelf import PathLike
from spusim.arch.spec import Arch
from spusim.energy.costs import EVENTS, TERMS, Prices, price
from spusim.energy.technology import Technology, load_technology
from spusim.errors import SpusimError, nearest
from spusim.result import RunResult

_NOTE = "energy: "
_FRAMES_AT_ONCE = 1024  # priced in one table


class EnergyError(SpusimError):
    """Counts that cannot be priced."""


def attach_energy(
    result: RunResult, arch: Arch, technology: Technology | PathLike | None = None
) -> RunResult:
    """Return the result with energy_pj, frame_energy_pj (frames,) and area_um2 filled in.

    technology: a table, its name or path; default: the architecture's. energy_pj has every term
    and their sum `total`, all pJ; area_um2 the terms that take area and `total`. Raises
    EnergyError for a count that no price exists for, TechnologyError for a bad table.
    """
    if not isinstance(technology, Technology):
        technology = load_technology(technology or arch.technology)
    prices = price(arch, technology)
    counts = _checked_counts(result, prices)
    more = sorted({term for term, _ in prices.events.values()} - {*TERMS})
    energy = dict.fromkeys((*TERMS, *more), 0.0)
    for event, count in counts.items():
        term, each_pj = prices.events[event]
        energy[term] += count * each_pj
    energy["leakage"] = prices.leakage_uw * result.cycles / result.clock_mhz  # uW x us = pJ
    area = {**prices.area_um2, "total": sum(prices.area_um2.values())}
    kept = tuple(note for note in result.notes if not note.startswith(_NOTE))
    return replace(
        result,
        energy_pj={**energy, "total": sum(energy.values())},
        frame_energy_pj=_per_frame(result, counts, prices, energy["clock"] + energy["leakage"]),
        area_um2=area,
        notes=kept + tuple(_NOTE + note for note in prices.notes),
        details={**result.details, "technology": technology.name},
    )


def _checked_counts(result: RunResult, prices: Prices) -> dict[str, int]:
    """Return all that was counted, as plain integers, `cycle` among it.

    Raises EnergyError for unknown names and impossible counts; what was counted zero times may
    belong to a unit that the architecture lacks, and is left out.
    """
    counts = {event: int(count) for event, count in result.counts.items()}
    counts.setdefault("cycle", result.cycles)
    if counts["cycle"] != result.cycles:
        raise EnergyError(
            f"{result.name}: count cycle (={counts['cycle']}) must equal the run's cycles "
            f"(={result.cycles}); leave it out or correct it"
        )
    for event, frame_count in result.frame_counts.items():
        if event not in counts and np.any(frame_count):
            raise EnergyError(
                f"{result.name}: frame_counts of {event} have no total in counts; add it"
            )
    for event, count in counts.items():
        if count < 0:
            raise EnergyError(f"{result.name}: count {event} (={count}) must not be negative")
        if event not in prices.events and (count or event not in EVENTS):
            raise EnergyError(f"{result.name}: {_unknown(event, prices.events)}")
    return {event: count for event, count in counts.items() if event in prices.events}


def _unknown(event: str, known: Mapping[str, object]) -> str:
    kind, _, precision = event.partition(".")
    if kind in ("mac", "mac_gated"):
        computed = [name.partition(".")[2] for name in known if name.startswith("mac.")]
        return (
            f"count {event}: the lanes do not compute {precision or 'that'}; core.precisions are "
            f"{', '.join(computed)}"
        )
    return f"count {event} has no price on this architecture; {nearest(event, sorted(known))}"


def _per_frame(
    result: RunResult, counts: Mapping[str, int], prices: Prices, timed_pj: float
) -> np.ndarray:
    """Energy of each frame, (frames,) float64 pJ; they sum to the run's total.

    Events are priced where they were counted; what no frame counted goes to the first, before
    which a run sets up. Clock and leakage are shared out by frame_cycles.
    """
    if not result.frames:
        return np.zeros(0)
    cycles = result.frame_cycles.astype(np.float64)
    share = cycles / cycles.sum() if cycles.sum() else np.full(len(cycles), 1 / len(cycles))
    return np.asarray(_of_events(result, counts, prices) + timed_pj * share)


def _of_events(result: RunResult, counts: Mapping[str, int], prices: Prices) -> np.ndarray:
    """Energy of each frame's events, (frames,) float64 pJ, many frames at a time."""
    energy = np.zeros(result.frames)
    priced = [event for event in counts if event != "cycle"]
    if not priced:
        return energy
    columns = [_frame_column(result, event) for event in priced]
    each_pj = np.array([[prices.events[event][1]] for event in priced])
    outside = np.array([counts[event] for event in priced], np.int64)
    for first in range(0, result.frames, _FRAMES_AT_ONCE):
        part = slice(first, first + _FRAMES_AT_ONCE)
        inside = np.array([column[part] for column in columns])
        outside -= inside.sum(axis=1)
        energy[part] = _in_order(inside * each_pj)
    for event, column, missing in zip(priced, columns, outside.tolist(), strict=True):
        if missing < 0:
            raise _miscounted(result, event, column, counts[event])
    if outside.any():
        first_pj = np.array([[column[0] for column in columns], outside]).T * each_pj
        energy[0] = _in_order(first_pj.reshape(-1, 1))[0]
    return energy


def _in_order(energy: np.ndarray) -> np.ndarray:
    """Sum over events (events, frames) one after the other, whatever the number of frames."""
    return np.asarray(np.cumsum(energy, axis=0)[-1])


def _frame_column(result: RunResult, event: str) -> np.ndarray:
    column = np.asarray(result.frame_counts.get(event, np.zeros(result.frames, np.int64)))
    if column.shape != (result.frames,):
        raise _miscounted(result, event, column, result.counts[event])
    return column


def _miscounted(result: RunResult, event: str, column: np.ndarray, total: int) -> EnergyError:
    return EnergyError(
        f"{result.name}: frame_counts of {event} (shape {column.shape}, sum {int(column.sum())}) "
        f"must have one entry for each of {result.frames} frames and at most the total of {total}; "
        "correct what counts them"
    )
