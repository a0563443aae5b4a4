"""A traced run: what every unit did in which cycle, as signals and spans.

The chip logs issues, grants and waits; what happens inside an instruction is stepped again from
the logged operands by the kernels that define it (`spusim.kernels.trace`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from spusim.arch.spec import Arch
from spusim.errors import nearest
from spusim.kernels.chip import Q, R
from spusim.kernels.layout import S
from spusim.machine.errors import TraceError
from spusim.program import Program
from spusim.result import RunResult

# (what is being done, how much of it is done, how much there is)
Progress = Callable[[str, int, int], None]

ENGINE_CAUSES = (*(cause.name.lower() for cause in S if cause is not S.COUNT), "idle")
SEQUENCER_CAUSES = tuple(cause.name.lower() for cause in Q if cause is not Q.COUNT)
ROUTER_CAUSES = (*(cause.name.lower() for cause in R if cause is not R.COUNT), "idle")
DMA_CAUSES = ("busy", "channel", "latency", "idle")
VECTOR_CAUSES = ("busy", "port", "idle")
PHASES = ("load", "run", "drain", "idle")
FRAMES = "host.frames"
_BY = ("router", "vector", "engine")
BANK_STATES = ("idle", *_BY, *(f"held by {unit}" for unit in _BY))
BANK_CAUSES = ("idle", *("busy" for _ in _BY), *("held" for _ in _BY))


@dataclass(frozen=True)
class Signal:
    """A value over time: cycles (changes,) ascending and its values from then on.

    The first change is in the trace's first cycle. states names the values, and causes says what
    the unit's cycles with that value count as in the result's `stalls`; both None: a number.
    """

    unit: str
    name: str
    cycles: np.ndarray
    values: np.ndarray
    states: tuple[str, ...] | None = None
    causes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Span:
    """Something that a unit did in cycles start to end - 1; those of a unit nest.

    Its cycles without those of spans inside it count as `cause` in the result's `stalls`; None: the
    unit is no unit of the result.
    """

    unit: str
    start: int
    end: int
    name: str
    cause: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    depth: int = 0  # of nesting


@dataclass(frozen=True)
class TraceRequest:
    """What to trace: cycles first to end - 1 (None: to the run's end) of units.

    units: names or patterns with * and ?, none: all. signals: names of the signals wanted, None:
    all. most: events that the trace may have, each of which shows up to `changes` changes of a
    signal.
    """

    first: int = 0
    end: int | None = None
    units: tuple[str, ...] = ()
    signals: frozenset[str] | None = None
    most: int = 5_000_000
    changes: int = 1


@dataclass(frozen=True)
class Trace:
    """A traced run's cycles first to end - 1."""

    name: str
    arch_name: str
    clock_mhz: float
    first: int
    end: int
    cycles: int  # of the whole run
    units: tuple[str, ...]  # those that were asked for, core by core
    signals: tuple[Signal, ...]
    spans: tuple[Span, ...]


def unit_names(program: Program, arch: Arch) -> list[str]:
    """Names of all units that a trace can have, core by core."""
    names = []
    for c, image in enumerate(program.cores):
        parts = ["sequencer", *(f"thread.{name}" for name in thread_names(image.threads))]
        parts += ["in_flight", "ready_queue", "engine", "scanner"]
        for p in range(arch.core.pes):
            parts += [f"pe{p}", f"pe{p}.queue"]
        parts += ["vector", "router", *(["dma"] if arch.external_memory else [])]
        parts += [f"data_memory.bank{bank}" for bank in range(arch.core.data_memory.banks)]
        names += [f"core{c}.{part}" for part in parts]
    return [*names, "host.out", "host.in", FRAMES]


def thread_names(threads: Iterable[Any]) -> list[str]:
    """Names of a core's threads; one that an earlier thread has gets its number behind it."""
    names: list[str] = []
    for number, thread in enumerate(threads):
        names.append(f"{thread.name}#{number}" if thread.name in names else thread.name)
    return names


def select_units(patterns: Sequence[str], names: Sequence[str]) -> frozenset[str]:
    """Names that match any of the patterns, all without patterns; raises TraceError for none."""
    if not patterns:
        return frozenset(names)
    chosen: set[str] = set()
    for pattern in patterns:
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise TraceError(
                f"units: {pattern} names no unit of the machine; {nearest(pattern, names)} "
                "(core0.pe* and host.* name several)"
            )
        chosen.update(found)
    return frozenset(chosen)


def check_range(request: TraceRequest) -> None:
    """Raise TraceError for a range without cycles."""
    if request.first < 0:
        raise TraceError(f"from (={request.first}) must be a cycle of the run; they begin with 0")
    if request.end is not None and request.end <= request.first:
        raise TraceError(
            f"to (={request.end}) must be after from (={request.first}): the range is from `from` "
            "to the cycle before `to`"
        )


def too_many(events: str, most: int) -> str:
    """Say that a trace has too many events, and what to do."""
    return (
        f"the trace has {events} events, and at most {most:,} are allowed; narrow it with --from "
        "and --to (cycles) or --units, or raise --max-events"
    )


def trace_run(
    program: Program,
    arch: Arch,
    frames: np.ndarray,
    starts: Sequence[int] = (0,),
    input_period: int | None = None,
    request: TraceRequest = TraceRequest(),
    progress: Progress | None = None,
) -> tuple[RunResult, Trace]:
    """Run a program as `spusim.machine.run` does, with the same result, and trace it.

    Raises TraceError for units or cycles that there are not, or more changes than wanted;
    MachineError as `run`.
    """
    from spusim.machine.spu import Spu
    from spusim.machine.trace_log import LogReader
    from spusim.machine.trace_replay import replay_all

    check_range(request)
    names = unit_names(program, arch)
    units = select_units(request.units, names)
    reader = LogReader(program, arch, request, units, progress)
    result = Spu(program, arch).run(frames, starts, input_period, reader.read)
    if request.first >= result.cycles:
        raise TraceError(
            f"from (={request.first}) must be below the run's {result.cycles} cycles; name an "
            "earlier cycle, or bring a longer stream"
        )
    end = min(request.end or result.cycles, result.cycles)
    replayed = replay_all(reader, request, end, progress)
    signals, spans = reader.finish(end, replayed)
    return result, Trace(
        name=program.name,
        arch_name=arch.name,
        clock_mhz=arch.clock_mhz,
        first=request.first,
        end=end,
        cycles=result.cycles,
        units=(*(name for name in names if name in units), *reader.lanes),
        signals=tuple(signals),
        spans=tuple(spans),
    )
