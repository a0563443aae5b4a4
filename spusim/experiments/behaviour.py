"""Two runs of the same conformance programs compared: which differ in values, which in time."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from spusim.errors import SpusimError

SCHEMA_VERSION = 1
# what a program's change is worth as an exit code
SEVERITY = {"values": 4, "refused": 4, "time": 3, "counts": 3, "runs": 0}
FAILURES = {"values": 4, "error": 4, "time": 3}


class BehaviourError(SpusimError):
    """Results of conformance programs that are not what `spusim isa test --json` prints."""


class ProgramRun(BaseModel):
    """What `spusim isa test --json` says of one program; what it did not reach is None or empty."""

    verdict: Literal["pass", "time", "values", "error"]
    signature: Any = None
    cycles: int | None = None
    frame_cycles: list[int] | None = None
    stalls: dict[str, Any] | None = None
    counts: dict[str, Any] | None = None
    error: str | None = None

    @property
    def ran(self) -> bool:
        """Whether it ran to its end, be it that its golden file is wrong or of another version."""
        return self.signature is not None


class ConformanceRun(BaseModel):
    """All of it."""

    schema_version: int
    programs: dict[str, ProgramRun]


@dataclass(frozen=True)
class ProgramChange:
    """A program that behaves otherwise. Counts and stalls: name -> (before, after)."""

    name: str
    change: str  # a key of SEVERITY
    cycles: tuple[int | None, int | None]
    frames: int = 0  # how many have another count of cycles
    counts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    stalls: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Programs:
    """How two revisions' conformance programs themselves differ, files compared."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Behaviour:
    """The old programs on old and new code, and what the new code makes of its own programs.

    failing: name -> verdict of new programs that fail on their own code, and did not before.
    """

    compared: int
    changes: tuple[ProgramChange, ...]
    programs: Programs
    failing: Mapping[str, str]

    @property
    def severity(self) -> int:
        """The exit code that it asks for: 0, 3 or 4."""
        told = [SEVERITY[change.change] for change in self.changes]
        return max([*told, *(FAILURES[verdict] for verdict in self.failing.values())], default=0)


def read_run(text: str) -> ConformanceRun | None:
    """Return what `isa test --json` printed; None if that is no JSON. Raises BehaviourError."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    try:
        run = ConformanceRun.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BehaviourError(
            f"the results of `spusim isa test` are not of a known form: {place}: {first['msg']}; "
            f"compare revisions that are nearer to each other"
        ) from None
    if run.schema_version != SCHEMA_VERSION:
        raise BehaviourError(
            f"the results of `spusim isa test` have schema {run.schema_version}, this spusim reads "
            f"{SCHEMA_VERSION}; run the diff with the newer of the two revisions"
        )
    return run


def compare_behaviour(
    old: ConformanceRun, carried: ConformanceRun, new: ConformanceRun, programs: Programs
) -> Behaviour:
    """Compare `old`, old programs on old code, with `carried`, the same ones on new code.

    new: the new code's own programs.
    """
    missing = ProgramRun(verdict="error", error="the new code does not run it")
    changes = [
        _change(name, before, carried.programs.get(name, missing))
        for name, before in sorted(old.programs.items())
    ]
    same = set(old.programs) - set(programs.edited)
    failing = {
        name: run.verdict
        for name, run in sorted(new.programs.items())
        if run.verdict != "pass"
        and not (name in same and old.programs[name].verdict == run.verdict)
    }
    told = tuple(change for change in changes if change is not None)
    return Behaviour(len(old.programs), told, programs, failing)


def _change(name: str, before: ProgramRun, after: ProgramRun) -> ProgramChange | None:
    cycles = (before.cycles, after.cycles)
    if not (before.ran and after.ran):
        if before.ran == after.ran:
            return None
        change = "refused" if before.ran else "runs"
        return ProgramChange(name, change, cycles, error=after.error or before.error or "")
    frames = _frames(before.frame_cycles or [], after.frame_cycles or [])
    counts = _differences(before.counts, after.counts)
    stalls = _differences(before.stalls, after.stalls)
    kinds = {
        # golden and machine may come to disagree while the machine's values stay
        "values": before.signature != after.signature
        or (after.verdict == "values" != before.verdict),
        "time": before.cycles != after.cycles or frames or stalls,
        "counts": counts,
    }
    differing = [kind for kind, differs in kinds.items() if differs]
    if not differing:
        return None
    said = (after.error or "") if differing[0] == "values" else ""
    return ProgramChange(name, differing[0], cycles, frames, counts, stalls, said)


def _frames(before: list[int], after: list[int]) -> int:
    differ = sum(one != other for one, other in zip(before, after, strict=False))
    return differ + abs(len(before) - len(after))


def _differences(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> dict[str, tuple[float, float]]:
    """Return name -> (before, after) where two trees of numbers differ; what lacks is 0."""
    old, new = dict(_leaves(before or {})), dict(_leaves(after or {}))
    pairs = {name: (old.get(name, 0), new.get(name, 0)) for name in {**old, **new}}
    return {name: pair for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", value
