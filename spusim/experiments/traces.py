"""Trace files: a target's run to a file that a viewer opens."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from spusim.experiments import trace_chrome, trace_vcd
from spusim.experiments.case import Case, check_period, compile_case, integer_stream
from spusim.experiments.store import open_whole
from spusim.machine.errors import TraceError
from spusim.machine.trace import Progress, Trace, TraceRequest, too_many, trace_run
from spusim.result import RunResult

MAX_EVENTS = 5_000_000


@dataclass(frozen=True)
class TraceFormat:
    """A kind of trace file: what it shows, and how it is prepared, counted and written.

    changes: of a signal, that one event shows at most.
    """

    suffixes: tuple[str, ...]
    signals: frozenset[str] | None
    changes: int
    prepare: Callable[[Trace], Any]
    count: Callable[[Any], int]
    write: Callable[[Trace, Any, BinaryIO, Progress | None], None]


FORMATS = {
    "chrome": TraceFormat(
        (".json", ".json.gz"),
        trace_chrome.SIGNALS,
        2,  # a span begins and ends
        trace_chrome.chrome_events,
        lambda events: len(events.table),
        trace_chrome.write_chrome,
    ),
    "vcd": TraceFormat(
        (".vcd", ".vcd.gz"),
        trace_vcd.SIGNALS,
        1,
        trace_vcd.vcd_wires,
        trace_vcd.count_changes,
        trace_vcd.write_vcd,
    ),
}


def choose_format(path: Path, name: str | None) -> TraceFormat:
    """Return the format of a name, else of a suffix; raises TraceError if they do not agree."""
    fitting = [key for key, kind in FORMATS.items() if path.name.lower().endswith(kind.suffixes)]
    if name is None and not fitting:
        raise TraceError(
            f"{path}: the suffix is none of a trace's ({_suffixes()}); name one, or say --format"
        )
    if name is not None and name not in FORMATS:
        raise TraceError(f"format (={name}) must be one of {', '.join(FORMATS)}")
    if name is not None and fitting and name not in fitting:
        raise TraceError(
            f"{path}: has the suffix of a {fitting[0]} trace, and --format says {name}; change one "
            "of them"
        )
    return FORMATS[name or fitting[0]]


def write_trace(
    case: Case,
    path: Path,
    format: TraceFormat,
    request: TraceRequest,
    *,
    stream: str | None = None,
    input_period: int | None = None,
    max_events: int = MAX_EVENTS,
    progress: Progress | None = None,
) -> tuple[RunResult, Trace, int]:
    """Run a case and write its trace, whole or not at all; return both, and how many events.

    A name that ends in .gz is compressed. Raises TraceError for units or cycles that there are
    not and for more than max_events, OutputError for a place that cannot be written to.
    """
    if max_events < 1:
        raise TraceError(f"max events (={max_events}) must be at least 1")
    check_period(input_period)
    program = compile_case(case)
    frames = integer_stream(case, stream)
    wanted = replace(request, signals=format.signals, most=max_events, changes=format.changes)
    result, trace = trace_run(
        program, case.arch, frames.frames, frames.starts, input_period, wanted, progress
    )
    prepared = format.prepare(trace)
    events = format.count(prepared)
    if events > max_events:
        raise TraceError(too_many(f"{events:,}", max_events))
    with open_whole(path) as file, _compressed(path, file) as out:
        format.write(trace, prepared, out, progress)
    return result, trace, events


@contextmanager
def _compressed(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    """Compress what is written to a file named .gz; the same trace gives the same bytes."""
    if path.suffix.lower() != ".gz":
        yield file
        return
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as out:
        yield out  # type: ignore[misc]


def _suffixes() -> str:
    return ", ".join(suffix for kind in FORMATS.values() for suffix in kind.suffixes)
