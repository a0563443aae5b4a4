"""Conformance programs: run by golden and by the machine, and compared with their golden files."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import spusim
from spusim import golden, machine
from spusim.arch import Arch
from spusim.errors import SpusimError, nearest
from spusim.experiments.golden_file import (
    SCHEMA_VERSION,
    SUFFIX,
    GoldenFileError,
    golden_path,
    golden_text,
    read_golden,
)
from spusim.experiments.poison import poisoned, poisoned_accumulators
from spusim.experiments.store import write_file
from spusim.isa import load_isa
from spusim.program import Program
from spusim.resources import shipped
from spusim.source import load_source

PROGRAM_SUFFIX = ".spuasm"
TIME_DIFFERS, VALUES_DIFFER, ERROR = 3, 4, 1


class ConformanceError(SpusimError):
    """Programs that are not there, or that cannot be recorded."""


class ConformanceCase(NamedTuple):
    """A conformance program, its memory poisoned, and what it must do.

    frames (frames, elements) int64 of files that begin at `starts`; record: its golden file's.
    """

    name: str
    program: Program
    arch: Arch
    frames: np.ndarray
    starts: tuple[int, ...]
    input_period: int | None
    record: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of one program; verdict: pass, time, values or error.

    found and expected are golden-file records, None where there is none; same: whether golden and
    machine agree; error: what went wrong, or how the two differ.
    """

    name: str
    verdict: str
    found: dict[str, Any] | None = None
    expected: dict[str, Any] | None = None
    same: bool = True
    error: str | None = None
    changes: tuple[str, ...] = field(default=())


def shipped_programs() -> Path:
    """Return the folder of the conformance programs that ship."""
    return shipped("isa") / "programs"


def program_paths(folder: Path | None = None, names: Sequence[str] = ()) -> list[Path]:
    """Return the programs of a folder (default: the shipped one), all or those named.

    Raises ConformanceError for a folder without programs, and for a name that it does not have.
    """
    place = folder or shipped_programs()
    if not place.is_dir():
        raise ConformanceError(f"{place}: is no folder; name one with conformance programs")
    found = {path.stem: path for path in sorted(place.glob(f"*{PROGRAM_SUFFIX}"))}
    if not found:
        raise ConformanceError(f"{place}: has no programs (*{PROGRAM_SUFFIX}); name another folder")
    wanted = [name.removesuffix(PROGRAM_SUFFIX) for name in names] or [*found]
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise ConformanceError(
            f"{place}: has no program {', '.join(unknown)}; {nearest(unknown[0], found)}"
        )
    return [found[name] for name in dict.fromkeys(wanted)]


def load_conformance(folder: Path | None = None) -> list[ConformanceCase]:
    """Load the conformance programs of a folder with their golden records; raises SpusimError.

    Data memory is poisoned in the programs themselves; `poisoned_accumulators` has the values that
    their accumulators start with.
    """
    version = load_isa().version
    return [
        load_case(path)._replace(record=read_golden(golden_path(path), version))
        for path in program_paths(folder)
    ]


def load_case(path: Path) -> ConformanceCase:
    """Load a conformance program, its golden record left empty; raises SpusimError."""
    source = load_source(path)
    if not len(source.frames):
        raise ConformanceError(f"{path}: has no frames; a conformance program says its own")
    return ConformanceCase(
        path.stem,
        poisoned(source.program, source.arch),
        source.arch,
        source.frames,
        source.starts,
        source.input_period,
        {},
    )


def signature(
    outputs: np.ndarray,
    data_memory: Iterable[np.ndarray],
    accumulators: Iterable[np.ndarray],
    external_memory: np.ndarray | None = None,
) -> str:
    """Return the SHA-256 of outputs (frames, features), and all cores' final memories.

    data_memory: per core (words, word bytes) uint8, all words that the core has; accumulators:
    per core (rows,); external_memory: (words, word bytes) uint8, where the program has one.
    Integers count as little-endian int64, each array after its shape.
    """
    digest = hashlib.sha256()
    arrays = [np.asarray(outputs, "<i8"), *data_memory]
    arrays += [np.asarray(values, "<i8") for values in accumulators]
    if external_memory is not None and external_memory.size:
        arrays.append(external_memory)
    for array in arrays:
        digest.update(np.array(array.shape, "<i8").tobytes())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def run_case(case: ConformanceCase) -> tuple[dict[str, Any], str | None]:
    """Run a program on golden and machine: the machine's record, and how the two differ or None.

    Raises SpusimError for what either of them refuses.
    """
    start = poisoned_accumulators(case.program)
    meant = golden.run(case.program, case.frames, case.starts, accumulators=start)
    result, state = machine.run_to_end(
        case.program, case.arch, case.frames, case.starts, case.input_period, start
    )
    record = {
        "schema_version": SCHEMA_VERSION,
        "isa": case.program.isa_version,
        "signature": signature(
            result.outputs, state.data_memory, state.accumulators, state.external_memory
        ),
        "cycles": int(result.cycles),
        "frame_cycles": result.frame_cycles.tolist(),
        "outputs": result.outputs.tolist(),
        "stalls": {unit: dict(causes) for unit, causes in result.stalls.items()},
        "counts": {event: int(count) for event, count in result.counts.items()},
    }
    return record, _disagreement(meant, result.outputs, state)


def check_program(path: Path) -> Outcome:
    """Run one program and compare it with its golden file; what goes wrong is told, not raised."""
    name = path.stem
    try:
        expected = read_golden(golden_path(path), load_isa().version)
    except GoldenFileError as error:
        return _without_golden(path, str(error))
    try:
        found, difference = run_case(load_case(path))
    except SpusimError as error:
        return Outcome(name, "error", None, expected, error=str(error))
    changes = compare(expected, found)
    if difference:
        return Outcome(name, "values", found, expected, False, difference, changes)
    verdict = "time" if changes else "pass"
    if found["signature"] != expected["signature"] or found["outputs"] != expected["outputs"]:
        verdict = "values"
    return Outcome(name, verdict, found, expected, changes=changes)


def check_programs(folder: Path | None = None, names: Sequence[str] = ()) -> list[Outcome]:
    """Run programs of a folder, all or those named; golden files without a program are errors."""
    outcomes = [check_program(path) for path in program_paths(folder, names)]
    if not names:
        place = folder or shipped_programs()
        known = {outcome.name for outcome in outcomes}
        strays = sorted(path.name.removesuffix(SUFFIX) for path in place.glob(f"*{SUFFIX}"))
        outcomes += [
            Outcome(name, "error", error=f"{place / name}{SUFFIX}: has no program; remove it")
            for name in strays
            if name not in known
        ]
    return outcomes


def refresh_goldens(folder: Path, names: Sequence[str] = ()) -> list[tuple[str, tuple[str, ...]]]:
    """Rewrite golden files: what changed in each, for every program or those named.

    All programs run before the first file is written, each whole or not at all. Raises
    ConformanceError, and writes nothing, if a program fails or golden and machine disagree.
    """
    paths = program_paths(folder, names)
    records, wrong = {}, []
    for path in paths:
        try:
            records[path], difference = run_case(load_case(path))
        except SpusimError as error:
            difference = str(error)
        if difference:
            wrong.append(f"{path.stem}: {difference}")
    if wrong:
        raise ConformanceError("\n".join(["nothing was written:", *wrong]))
    told = []
    for path, record in records.items():
        changes = _changes_of(golden_path(path), record)
        if changes:
            write_file(golden_path(path), golden_text(record).encode())
        told.append((path.stem, changes))
    return told


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return 0 for passes only, 4 if results differ, else 1 for errors, 3 for times and counts."""
    verdicts = {outcome.verdict for outcome in outcomes}
    codes = (("values", VALUES_DIFFER), ("error", ERROR), ("time", TIME_DIFFERS))
    return next((code for verdict, code in codes if verdict in verdicts), 0)


def conformance_record(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return what `spusim isa test --json` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "versions": {"spusim": spusim.__version__, "isa": load_isa().version},
        "programs": {outcome.name: _outcome_record(outcome) for outcome in outcomes},
    }


def compare(expected: dict[str, Any], found: dict[str, Any]) -> tuple[str, ...]:
    """Tell how one golden-file record differs from another, a phrase each."""
    changes = [
        f"{key} {expected[key]} → {found[key]}"
        for key in ("cycles", "frame_cycles")
        if expected[key] != found[key]
    ]
    changes += [
        f"{key} differ{'s' * (key == 'signature')}"
        for key in ("signature", "outputs")
        if expected[key] != found[key]
    ]
    for key in ("stalls", "counts"):
        before, now = expected[key], found[key]
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                changes.append(f"{name} {before.get(name, 'none')} → {now.get(name, 'none')}")
    return tuple(changes)


def _without_golden(path: Path, error: str) -> Outcome:
    """Return the outcome of a program with no usable golden file, its figures included."""
    try:
        found, difference = run_case(load_case(path))
    except SpusimError as failure:
        return Outcome(path.stem, "error", error=f"{error}\n{failure}")
    if difference:
        return Outcome(path.stem, "values", found, None, False, f"{difference}\n{error}")
    return Outcome(path.stem, "error", found, error=error)


def _changes_of(path: Path, record: dict[str, Any]) -> tuple[str, ...]:
    try:
        return compare(read_golden(path, record["isa"]), record)
    except GoldenFileError:
        return ("written anew" if path.exists() else "new",)


def _disagreement(
    meant: golden.GoldenResult, outputs: np.ndarray, state: machine.FinalState
) -> str | None:
    """Say where golden and machine differ first, or None."""
    parts = [("outputs (frame, feature)", meant.outputs, outputs)]
    for core, (a, b) in enumerate(zip(meant.data_memory, state.data_memory, strict=True)):
        parts.append((f"core {core} data memory (word, byte)", a, b))
    for core, (a, b) in enumerate(zip(meant.accumulators, state.accumulators, strict=True)):
        parts.append((f"core {core} accumulators (row)", a, b))
    parts.append(("external memory (word, byte)", meant.external_memory, state.external_memory))
    for what, a, b in parts:
        if a.shape != b.shape:
            return f"golden and machine disagree: {what} of shape {a.shape} and {b.shape}"
        where = np.argwhere(a != b)
        if len(where):
            at = tuple(where[0].tolist())
            return f"golden and machine disagree: {what} {at} is {a[at]} and {b[at]}"
    return None


def _outcome_record(outcome: Outcome) -> dict[str, Any]:
    found, expected = outcome.found or {}, outcome.expected or {}
    return {
        "verdict": outcome.verdict,
        "signature": found.get("signature"),
        "cycles": found.get("cycles"),
        "frame_cycles": found.get("frame_cycles", []),
        "stalls": found.get("stalls", {}),
        "counts": found.get("counts", {}),
        "expected": {key: expected.get(key) for key in ("signature", "cycles")},
        "error": outcome.error,
    }
