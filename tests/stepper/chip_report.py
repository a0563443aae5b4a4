"""What a run of the chip's stepper did, and where two runs first differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spusim.result import RunResult


@dataclass(frozen=True)
class ChipRun:
    """What a run did; the fields that a RunResult has too mean the same.

    `stalls` and `counts` leave out what never occurred. A word of `trace` is the chip's state in a
    cycle: what each unit does in it, by the names in `trace_names`.
    """

    cycles: int
    frame_cycles: list[int]
    outputs: list[list[int]]
    stalls: dict[str, dict[str, int]]
    counts: dict[str, int]
    macs: dict[str, int]
    layers: dict[str, dict[str, int]]
    data_memory: tuple[bytes, ...]
    accumulators: tuple[list[int], ...]
    external_memory: bytes
    trace: list[tuple[object, ...]]
    trace_names: tuple[str, ...]
    frame_spans: list[tuple[int, int]]  # cycle of the first input word, of the last output word


def first_difference(run: ChipRun, other: ChipRun | RunResult) -> str:
    """Tell where two runs differ, "" if nowhere: the first cycle, frame, then units and counts.

    With two traces it begins with the first cycle in which they differ, and both state words.
    """
    lines = [*_traces(run, other), *_figures(run, other), *_frames(run, other)]
    return "\n".join(lines)


def _traces(run: ChipRun, other: ChipRun | RunResult) -> Iterator[str]:
    """Name the fields in which the first differing state words differ."""
    if not (isinstance(other, ChipRun) and run.trace and other.trace):
        return
    if run.trace_names != other.trace_names:
        yield "the runs are of different chips"
        return
    pairs = zip(run.trace, other.trace, strict=False)
    cycle = next((t for t, (a, b) in enumerate(pairs) if a != b), None)
    if cycle is None:
        return
    yield f"first differing cycle: {cycle}"
    for name, a, b in zip(run.trace_names, run.trace[cycle], other.trace[cycle], strict=True):
        yield f"  {name}: {a!r}" + (f" and {b!r}  <--" if a != b else "")


def _frames(run: ChipRun, other: ChipRun | RunResult) -> Iterator[str]:
    """Tell the first frame that differs, and when it ran."""
    spans = run.frame_spans
    for what in ("outputs", "frame_cycles"):
        here, there = _plain(getattr(run, what)), _plain(getattr(other, what))
        for frame, (a, b) in enumerate(zip(here, there, strict=False)):
            if a != b:
                began, ended = spans[frame]
                yield f"{what} of frame {frame} (cycles {began} to {ended}): {a} and {b}"
                break
        if len(here) != len(there):
            yield f"{what} of {len(here)} and {len(there)} frames"


def _figures(run: ChipRun, other: ChipRun | RunResult) -> Iterator[str]:
    """Tell cycles, causes of units and counts that differ."""
    if run.cycles != other.cycles:
        yield f"cycles: {run.cycles} and {other.cycles}"
    for unit in sorted({*run.stalls, *other.stalls}):
        yield from _mapping(unit, run.stalls.get(unit), other.stalls.get(unit))
    yield from _mapping("counts", run.counts, other.counts)
    yield from _mapping("macs", run.macs, other.macs)
    for layer in sorted({*run.layers, *other.layers}):
        yield from _mapping(f"layer {layer}", run.layers.get(layer), other.layers.get(layer))
    if isinstance(other, ChipRun):
        for what in ("data_memory", "accumulators", "external_memory"):
            if getattr(run, what) != getattr(other, what):
                yield f"{what} at the end"


def _mapping(
    name: str, here: Mapping[str, int] | None, there: Mapping[str, int] | None
) -> Iterator[str]:
    """Tell in which keys two mappings differ; a missing key is zero, a missing mapping is not."""
    if here is None or there is None:
        yield f"{name} is only in one of the runs"
        return
    for key in sorted({*here, *there}):
        if here.get(key, 0) != there.get(key, 0):
            yield f"{name}.{key}: {here.get(key, 0)} and {there.get(key, 0)}"


def _plain(values: Any) -> list[Any]:
    """Return an array's or list's rows as a list."""
    return values if isinstance(values, list) else list(values.tolist())
