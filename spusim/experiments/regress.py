"""Running a baseline's cases, and what they give against what is stored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spusim.errors import SpusimError
from spusim.experiments.baseline import (
    BASELINE_VERSION,
    FIRST_FRAMES,
    FIRST_OUTPUTS,
    LIST_NAME,
    Baseline,
    BaselineCase,
    Stored,
    chosen,
    list_text,
    new_name,
    read_baseline,
    read_stored,
    stored_text,
)
from spusim.experiments.case import case_stream, run_case
from spusim.experiments.differences import (
    Difference,
    Quantity,
    Tolerances,
    differences,
    exit_code,
    kinds,
)
from spusim.experiments.inputs import (
    arch_source_hash,
    network_source_hash,
    stream_hash,
    technology_source_hash,
)
from spusim.experiments.measures import record_quantities
from spusim.experiments.pool import finished, processes
from spusim.experiments.record import result_record
from spusim.experiments.store import check_place, write_file
from spusim.experiments.targets import open_case
from spusim.kernels import compiled
from spusim.result import RunResult

ERROR = 1

# told how many cases there are, it gives what to call after each
Watch = Callable[[int], AbstractContextManager[Callable[[], None]]]


@dataclass(frozen=True)
class Outcome:
    """What came of a case: an error, or its differences from what is stored.

    old, new: the quantities of both sides; old is None where nothing was stored.
    notes: what a reader must know to judge the differences.
    """

    name: str
    error: str | None = None
    old: Mapping[str, Quantity] | None = None
    new: Mapping[str, Quantity] = field(default_factory=dict)
    found: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the case differs in."""
        return kinds(self.found)


def exit_code_of(outcomes: Sequence[Outcome]) -> int:
    """Return 1 if a case failed, 4 if results differ, 3 if other things do, else 0."""
    if any(outcome.error for outcome in outcomes):
        return ERROR
    return exit_code(kind for outcome in outcomes for kind in outcome.kinds)


def compare_cases(
    path: Path, names: Sequence[str], tolerances: Tolerances, jobs: int, watch: Watch
) -> list[Outcome]:
    """Run the cases of a list (all, or those named), and compare them with what is stored.

    A case without a readable stored result is an error, and is not run. tolerances go over the
    list's. Raises BaselineError for a list that cannot be used.
    """
    baseline = read_baseline(path)
    cases = chosen(baseline, names)
    stored = {case.name: _stored(baseline, case) for case in cases}
    ran = _run_cases(
        baseline, [c for c in cases if isinstance(stored[c.name], Stored)], jobs, watch
    )
    return [_judged(case, stored[case.name], ran.get(case.name, ""), tolerances) for case in cases]


def record_cases(
    path: Path,
    named: Sequence[str],
    options: BaselineCase,
    tolerances: Tolerances,
    jobs: int,
    watch: Watch,
) -> tuple[list[Outcome], list[Path]]:
    """Run cases and store what they give; return what that changes, and the files written.

    named: cases of the list, and targets to add to it, for which `options` has the rest; none for
    all cases. A case that fails keeps what was stored; a target that fails is not added.
    """
    check_place(path.parent)
    known = Baseline(path) if named and not path.exists() else read_baseline(path)
    baseline, names = _with_targets(known, named, options)
    cases = chosen(baseline, names)
    ran = _run_cases(baseline, cases, jobs, watch)
    outcomes = [_recorded(baseline, case, ran[case.name], tolerances) for case in cases]
    return outcomes, _write(known, baseline, ran)


def stale_results(path: Path) -> list[Path]:
    """Return the stored results beside a list that belong to no case of it."""
    if path.name != LIST_NAME:
        return []  # other lists may share the folder
    baseline = read_baseline(path)
    known = {baseline.result_path(case) for case in baseline.cases}
    return sorted(file for file in path.parent.glob("*.json") if file not in known)


# running


def run_stored(case: BaselineCase, located: BaselineCase) -> Stored:
    """Run a case (`located` has its paths from the working folder). Raises SpusimError."""
    opened = open_case(located.target, located.arch, located.network, located.settings)
    _, stream = case_stream(opened, located.stream)
    inputs = {
        "arch": arch_source_hash(opened.arch),
        "technology": technology_source_hash(opened.arch),
        "network": network_source_hash(opened.origin),
        "stream": stream_hash(stream),
    }
    result = run_case(opened, located.stream, input_period=located.input_period, baseline=False)
    return Stored(
        baseline_version=BASELINE_VERSION,
        case=_plain(case.words),
        inputs=inputs,
        first_frames=_first_frames(result),
        result=result_record(result),
    )


def _run_cases(
    baseline: Baseline, cases: Sequence[BaselineCase], jobs: int, watch: Watch
) -> dict[str, Stored | str]:
    """Run cases, `jobs` at a time; return what each gave, or its error's message."""
    work = [(case, baseline.located(case)) for case in cases]
    results: dict[str, Stored | str] = {}
    # the first run compiles the kernels, which the processes then find in the cache
    alone = len(work) if min(jobs, len(work)) < 2 else int(not compiled())
    with watch(len(cases)) as done:
        for pair in work[:alone]:
            results[pair[0].name] = _attempt(*pair)
            done()
        if work[alone:]:
            with processes(min(jobs, len(work) - alone)) as pool:
                futures = {pool.submit(_attempt, *pair): pair[0].name for pair in work[alone:]}
                for future in finished(futures):
                    results[futures[future]] = _given(future)
                    done()
    return results


def _attempt(case: BaselineCase, located: BaselineCase) -> Stored | str:
    try:
        return run_stored(case, located)
    except SpusimError as error:
        return str(error)
    except (OSError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"


def _given(future: "Future[Stored | str]") -> Stored | str:
    try:
        return future.result()
    except BrokenProcessPool:
        return "the process that ran it died; try --jobs 1, and look at the memory left"


def _first_frames(result: RunResult) -> tuple[str, ...]:
    frames = np.asarray(result.outputs)[:FIRST_FRAMES, :FIRST_OUTPUTS]
    return tuple(" ".join(map(str, frame.tolist())) for frame in frames)


def _plain(words: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in words.items()}


# judging


def _stored(baseline: Baseline, case: BaselineCase) -> Stored | str:
    path = baseline.result_path(case)
    try:
        stored = read_stored(path)
        stored.record(str(path))
    except SpusimError as error:
        return str(error)
    return stored


def _judged(
    case: BaselineCase, stored: Stored | str, ran: Stored | str, tolerances: Tolerances
) -> Outcome:
    if isinstance(stored, str):
        return Outcome(case.name, error=stored)
    if isinstance(ran, str):
        return Outcome(case.name, error=ran)
    old, new = (record_quantities(side.record(case.name)) for side in (stored, ran))
    found = differences(old, new, tolerances.over(case.tolerances))
    return Outcome(case.name, None, old, new, found, tuple(_notes(stored, ran)))


def _notes(stored: Stored, ran: Stored) -> Iterator[str]:
    old, new = (side.result["versions"] for side in (stored, ran))
    for key, title in (("spusim", "spusim"), ("isa", "ISA")):
        if old.get(key) != new.get(key):
            yield f"stored by {title} {old.get(key)}, run by {new.get(key)}"
    for key in dict.fromkeys([*stored.case, *ran.case]):
        was, now = (side.case.get(key, "(none)") for side in (stored, ran))
        if was != now:
            yield f"the inputs changed since: {key} was {was}, is {now}"
    keys = [key for key in ran.inputs if stored.inputs.get(key) != ran.inputs[key]]
    if keys:
        yield (
            f"the inputs changed since: {', '.join(keys)}; a difference may be theirs, and not the "
            "simulator's"
        )
    for key in ("network", "arch"):
        if key not in keys and old.get(key) != new.get(key):
            yield f"{key}: its files are the same, but spusim makes something else of them"
    if stored.result["outputs_sha256"] != ran.result["outputs_sha256"]:
        yield _first_difference(stored.first_frames, ran.first_frames)


def _first_difference(old: Sequence[str], new: Sequence[str]) -> str:
    for frame, (was, now) in enumerate(zip(old, new, strict=False)):
        if was != now:
            pairs = list(zip(was.split(), now.split(), strict=False))
            place = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
            if place is None:
                return f"outputs differ in number from frame {frame} on"
            values = " -> ".join(pairs[place])
            return f"outputs differ first at frame {frame}, output {place}: {values}"
    return f"outputs are the same in the first {min(len(old), len(new))} frames, and differ later"


# recording


def _with_targets(
    known: Baseline, named: Sequence[str], options: BaselineCase
) -> tuple[Baseline, list[str]]:
    """Return a list with the targets added that it has not yet, and the cases to record."""
    whole, names = known, []
    for name in named:
        entered = whole.entered(replace(options, target=name))
        twin = next((case for case in whole.cases if case.words == entered.words), None)
        if not options.words and name in [case.name for case in known.cases]:
            names.append(name)
        elif twin is not None:
            names.append(twin.name)
        else:
            new = replace(entered, name=new_name(entered, [case.name for case in whole.cases]))
            whole = replace(whole, cases=(*whole.cases, new))
            names.append(new.name)
    return whole, names


def _recorded(
    baseline: Baseline, case: BaselineCase, ran: Stored | str, tolerances: Tolerances
) -> Outcome:
    """Return what recording changes; a stored result that cannot be read is only noted."""
    if isinstance(ran, str):
        return Outcome(case.name, error=ran)
    if baseline.result_path(case).exists():
        stored = _stored(baseline, case)
        if isinstance(stored, Stored):
            return _judged(case, stored, ran, tolerances)
        note = f"replaced: {stored}"
    else:
        note = "stored for the first time"
    return Outcome(case.name, new=record_quantities(ran.record(case.name)), notes=(note,))


def _write(known: Baseline, baseline: Baseline, ran: Mapping[str, Stored | str]) -> list[Path]:
    """Write what changed, each file whole or not at all, the list last; return the paths."""
    texts = {
        baseline.result_path(case): stored_text(result)
        for case in baseline.cases
        if isinstance(result := ran.get(case.name), Stored)
    }
    added = [case for case in baseline.cases[len(known.cases) :]]
    entered = [case for case in added if isinstance(ran[case.name], Stored)]
    if entered:
        texts[baseline.path] = list_text(baseline.path, entered)
    changed = [path for path, text in texts.items() if not _holds(path, text)]
    if changed:
        baseline.folder.mkdir(parents=True, exist_ok=True)
    for path in changed:
        write_file(path, texts[path].encode())
    return changed


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
