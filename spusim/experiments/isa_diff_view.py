"""A diff of instruction sets for people: tables for a terminal, Markdown for a pull request."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from spusim.experiments.behaviour import Behaviour, ProgramChange
from spusim.experiments.isa_diff import IsaDiff, Side
from spusim.experiments.quantities import count
from spusim.experiments.tables import table
from spusim.isa import Change, TableDiff

MOST_STALLS = 8  # of a program, the largest differences; JSON has all

ENCODING_COLUMNS = ("what", "change", "before", "after", "breaks")
PROGRAM_COLUMNS = ("program", "differs in", "cycles before", "after", "change")
COUNT_COLUMNS = ("program", "count", "before", "after", "change")
DIFFERS_IN = {
    "values": "values",
    "refused": "refused now",
    "runs": "runs now",
    "time": "time only",
    "counts": "counts only",
}
OUTCOMES = {
    0: "no difference that matters",
    1: "not known: not everything could be compared",
    3: "time or counts differ, values do not",
    4: "values differ, or compatibility is broken",
}


@dataclass(frozen=True)
class _Grid:
    """A table to be drawn: the first `texts` columns are words, the others numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int


def diff_parts(diff: IsaDiff) -> Iterator[RenderableType]:
    """Yield a diff as tables and texts for a terminal."""
    yield Text(_title(diff), style="bold")
    yield ""
    for part in _parts(diff):
        if isinstance(part, _Grid):
            yield table(part.title, part.columns, part.rows, texts=part.texts)
        else:
            yield "\n".join(part)
        yield ""
    yield _outcome(diff)


def diff_markdown(diff: IsaDiff) -> str:
    """Return a diff as Markdown, its tables of counts folded away."""
    blocks = [f"### {_title(diff)}", f"**{_outcome(diff)}**"]
    for part in _parts(diff):
        if not isinstance(part, _Grid):
            first, *others = (_escaped(line) for line in part)
            blocks.append("\n".join([first, *(f"- {line.strip()}" for line in others)]))
        elif part.columns == COUNT_COLUMNS:
            summary = f"<details><summary>{part.title}</summary>"
            blocks += [summary, _markdown_table(part), "</details>"]
        else:
            blocks += [f"**{part.title}**", _markdown_table(part)]
    return "\n\n".join(blocks) + "\n"


def _title(diff: IsaDiff) -> str:
    return f"ISA {_side(diff.old)} against {_side(diff.new)}"


def _side(side: Side) -> str:
    table, revision = side.table, side.revision
    commit = f" ({revision.commit[:10]})" if revision and revision.commit else ""
    place = "" if side.name == table.version else f" of {side.name}{commit}"
    return f"{table.version} {table.state}{place}"


def _outcome(diff: IsaDiff) -> str:
    return f"outcome {diff.exit_code}: {OUTCOMES[diff.exit_code]}"


def _parts(diff: IsaDiff) -> Iterator[_Grid | list[str]]:
    yield from _encodings(diff.tables)
    if diff.behaviour:
        yield from _conformance(diff.behaviour, diff.old.name, diff.new.name)
    elif diff.failure:
        yield ["meaning and timing were not compared:", *_indented(diff.failure.splitlines())]
    else:
        yield ["meaning and timing: not compared; two revisions compare them by running"]


# encodings


def _encodings(tables: TableDiff) -> Iterator[_Grid | list[str]]:
    if not tables.changes:
        yield ["encodings: no difference"]
        return
    rows = [[c.subject, c.kind, c.before, c.after, _breaks(c)] for c in tables.changes]
    yield _Grid(f"encodings: {count(len(rows), 'change')}", ENCODING_COLUMNS, rows, texts=5)
    broken = tables.breaks_binaries
    kept = "decode to the same meaning" if not broken else "do not decode to the same meaning:"
    yield [f"old binaries {kept}", *_indented(broken)]
    yield _assembly(tables)
    if tables.retimes:
        yield ["time may differ:", *_indented(tables.retimes)]
    meant = [c.subject for c in tables.changes if c.kind == "meaning"]
    if meant:
        yield ["sentences changed, which no table can judge; read:", *_indented(meant)]


def _assembly(tables: TableDiff) -> list[str]:
    if tables.breaks_assembly:
        reasons = [*tables.breaks_assembly, *tables.rewords_assembly]
        return ["old assembly no longer assembles:", *_indented(dict.fromkeys(reasons))]
    if tables.rewords_assembly:
        return ["old assembly assembles to other words:", *_indented(tables.rewords_assembly)]
    return ["old assembly assembles to the same words"]


def _breaks(change: Change) -> str:
    assembly = change.assembly or change.words
    named = {"binaries": change.binaries, "assembly": assembly, "time": change.time}
    return ", ".join(name for name, reason in named.items() if reason) or "-"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


# conformance programs


def _conformance(behaviour: Behaviour, old: str, new: str) -> Iterator[_Grid | list[str]]:
    told = f"{count(behaviour.compared, 'conformance program')} of {old}, run by {new}: "
    if not behaviour.changes:
        yield [told + "values, cycles, stalls and counts as before"]
    else:
        rows = [_program_row(change) for change in behaviour.changes]
        title = f"{told}{count(len(rows), 'difference')}"
        yield _Grid(title, PROGRAM_COLUMNS, rows, texts=2)
    wrong = [f"{c.name}: {c.error}" for c in behaviour.changes if c.error and c.change != "runs"]
    if wrong:
        yield ["why:", *_indented("\n".join(wrong).splitlines())]
    counts = [row for change in behaviour.changes for row in _count_rows(change)]
    if counts:
        yield _Grid("counts and stalls that differ", COUNT_COLUMNS, counts, texts=2)
    yield from _own_programs(behaviour, new)


def _own_programs(behaviour: Behaviour, new: str) -> Iterator[list[str]]:
    programs = behaviour.programs
    for what, names in (
        ("added", programs.added), ("removed", programs.removed), ("edited", programs.edited)
    ):  # fmt: skip
        if names:
            yield [f"programs {what}: {', '.join(names)}"]
    if behaviour.failing:
        failing = [f"{name}: {verdict}" for name, verdict in behaviour.failing.items()]
        yield [f"{new} fails its own programs:", *_indented(failing)]


def _program_row(change: ProgramChange) -> list[str]:
    before, after = ("-" if c is None else f"{c:,}" for c in change.cycles)
    return [change.name, DIFFERS_IN[change.change], before, after, _delta(*change.cycles)]


def _count_rows(change: ProgramChange) -> list[list[str]]:
    stalls = sorted(change.stalls.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
    rows = [*change.counts.items(), *stalls[:MOST_STALLS]]
    return [
        [change.name, name, f"{before:,}", f"{after:,}", _delta(before, after)]
        for name, (before, after) in rows
    ]


def _delta(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "-"
    if before == after:
        return "same"
    return f"{100 * (after - before) / before:+.1f} %" if before else "new"


# Markdown


def _markdown_table(grid: _Grid) -> str:
    rules = ["---" if n < grid.texts else "---:" for n in range(len(grid.columns))]
    rows = [grid.columns, rules, *([_escaped(cell) for cell in row] for row in grid.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _escaped(text: str) -> str:
    """Keep a bar from ending a cell, and stars and underscores from changing the type."""
    for mark in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(mark, f"\\{mark}")
    return text
