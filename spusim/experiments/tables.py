"""A run as tables for a terminal, at most 100 columns wide, or for a pipe."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.align import VerticalAlignMethod
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from spusim.energy import power_w
from spusim.experiments.quantities import count, percent, ratio, si, size
from spusim.experiments.record import per_frame
from spusim.experiments.units import SECTIONS, grouped, memory_groups, shown_causes
from spusim.result import BankUse, RunResult

MOST_FILES = 20  # beyond, they are counted by label
MOST_BANKS = 16  # beyond, the least and most used of them are told
PIPE_COLUMNS = 100
REMARKS = ("words used, by bank", "heard instead", "stalls that changed most", "at")
_BLANK = Text("")


def make_console(width: int | None = None) -> Console:
    """Return a console on stdout that leaves text as it is; 100 columns wide in a pipe."""
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    if width is None and not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_COLUMNS
    return console


def print_parts(console: Console, parts: Iterable[RenderableType]) -> None:
    """Print tables and texts without the spaces that pad a table's lines."""
    console.file.write(rendered(parts, console))
    console.file.flush()


def rendered(parts: Iterable[RenderableType], console: Console | None = None) -> str:
    """Return what `print_parts` prints; without a console, for a file."""
    console = console or make_console(PIPE_COLUMNS)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return "\n".join([*(line.rstrip() for line in capture.get().splitlines()), ""])


def print_result(console: Console, result: RunResult, every_unit: bool = False) -> None:
    """Print a run's tables. every_unit: a row for each PE and bank. Energy must be attached."""
    print_parts(console, _parts(result, every_unit))


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1
) -> RenderableType:
    """Return a titled table whose first `texts` columns are words and the others numbers.

    REMARKS are words too.
    """
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    vertical: VerticalAlignMethod = "bottom" if any("\n" in c for c in columns) else "top"
    for number, column in enumerate(columns):
        words = number < texts or column in REMARKS
        made.add_column(
            Text(column), justify="left" if words else "right", no_wrap=not words, vertical=vertical
        )
    for row in rows:
        made.add_row(*map(Text, row))
    return Group(Text(title, style="bold"), made) if title else made


def _parts(result: RunResult, every_unit: bool) -> Iterator[RenderableType]:
    yield _title(result)
    files = result.details.get("files", [])
    if any("heard" in file or "label" in file for file in files):
        yield _spaced(_heard(files))
    yield _spaced(_frames(result))
    yield _spaced(_layers(result))
    yield _spaced(memory_table(result.memory, every_unit))
    yield from _stalls(result, every_unit)
    yield _spaced(_energy(result))
    for note in result.notes:
        yield Text(f"note: {note}")


def _spaced(part: RenderableType) -> RenderableType:
    return Group(part, _BLANK)


def _title(result: RunResult) -> RenderableType:
    seconds = result.cycles / (result.clock_mhz * 1e6)
    title = Text(f"{result.name} on {result.arch_name}", style="bold")
    said = result.details.get("input", "")
    lines = [
        *([said] if said else []),
        f"{count(result.frames, 'frame')}, {result.cycles:,} cycles at {result.clock_mhz:g} MHz: "
        f"{si(seconds, 's')}, {si(result.energy_pj['total'] * 1e-12, 'J')}, "
        f"{si(power_w(result), 'W')}",
        *_speedup(result),
    ]
    return _spaced(Text("\n").join([title, *map(Text, lines)]))


def _speedup(result: RunResult) -> list[str]:
    used = f"utilisation {percent(result.utilization, 1)} %"
    if not result.speedup:
        return [used]
    achieved, ideal = (ratio(result.speedup[key]) for key in ("achieved", "ideal"))
    return [f"{achieved} faster than the same machine skipping nothing (ideal: {ideal}); {used}"]


# what was heard


def _heard(files: Sequence[dict[str, str]]) -> RenderableType:
    known = [file for file in files if "label" in file]
    right = sum(file["label"] == file.get("heard") for file in known)
    title = f"heard: {right} of {len(known)} as labelled" if known else "heard"
    if len(files) > MOST_FILES:
        return _heard_by_label(title, files)
    columns = ["file", "heard", *(["label"] if known else [])]
    rows = [[file["name"], _mark(file), *([file["label"]] if known else [])] for file in files]
    return table(title, columns, rows, texts=3)


def _mark(file: dict[str, str]) -> str:
    wrong = file.get("label", file.get("heard")) != file.get("heard")
    return f"{file.get('heard', '-')}{' (wrong)' if wrong else ''}"


def _heard_by_label(title: str, files: Sequence[dict[str, str]]) -> RenderableType:
    rows = []
    for label in dict.fromkeys(file.get("label", "") for file in files):
        heard = Counter(file["heard"] for file in files if file.get("label", "") == label)
        others = [f"{name} {count}" for name, count in heard.most_common() if name != label]
        total = sum(heard.values())
        rows.append([label or "(no label)", f"{heard[label]} of {total}", ", ".join(others)])
    return table(title, ["label", "right", "heard instead"], rows, texts=3)


# figures of the run


def _frames(result: RunResult) -> RenderableType:
    spread = per_frame(result)
    rows = [
        ["cycles", *(f"{spread['cycles'][key]:,.0f}" for key in ("min", "mean", "max"))],
        ["latency", *(si(spread["latency_s"][key], "s") for key in ("min", "mean", "max"))],
        ["energy", *(si(spread["energy_j"][key], "J") for key in ("min", "mean", "max"))],
    ]
    return table("a frame", ["", "min", "mean", "max"], rows)


def _layers(result: RunResult) -> RenderableType:
    rows = []
    for name, layer in result.layers.items():
        dense = layer["dense"]
        share = [percent(layer[key], dense) for key in ("weight_nonzero", "effective")]
        busy = percent(layer["engine_cycles"], sum(map(_engine_cycles, result.layers.values())))
        rows.append([name, f"{dense:,}", *share, f"{layer['engine_cycles']:,}", busy])
    columns = ["layer", "dense MACs", "weights %", "effective %", "engine cycles", "share %"]
    return table("layers (% of dense MACs; engine cycles summed over cores)", columns, rows)


def _engine_cycles(layer: dict[str, int]) -> int:
    return layer["engine_cycles"]


def memory_table(memory: Mapping[str, BankUse], every_bank: bool = False) -> RenderableType:
    """Return what is used of each core's memories, and of their banks."""
    rows, everything = [], list(memory.values())
    for name, banks in memory_groups(memory):
        uses = [memory[bank] for bank in banks]
        rows.append([name, *_amounts(uses), _by_bank(uses, every_bank)])
    rows.append(["total", *_amounts(everything), ""])
    return table("memory", ["", "used", "of", "%", "words used, by bank"], rows)


def _amounts(uses: Sequence[BankUse]) -> list[str]:
    used = sum(use.used_words * use.word_bits for use in uses) // 8
    capacity = sum(use.capacity_words * use.word_bits for use in uses) // 8
    return [size(used), size(capacity), percent(used, capacity)]


def _by_bank(uses: Sequence[BankUse], every_bank: bool) -> str:
    words, capacity = [use.used_words for use in uses], uses[0].capacity_words
    if len(set(words)) == 1:
        told = f"{words[0]}" + (f" in each of {len(words)}" if len(words) > 1 else "")
    elif len(words) <= MOST_BANKS or every_bank:
        told = " ".join(map(str, words))
    else:
        told = f"{min(words)} to {max(words)} in {len(words)}"
    return f"{told}, of {capacity}"


def _stalls(result: RunResult, every_unit: bool) -> Iterator[RenderableType]:
    yield Text(f"where the cycles of every unit went, in % of {result.cycles:,}", style="bold")
    for section in SECTIONS:
        groups = grouped(result.stalls, section, every_unit)
        if not groups:
            continue
        causes = ["busy", *shown_causes(groups, section), "idle"]
        rows = []
        for group in groups:
            whole = result.cycles * group.members
            name = group.name + (f" (mean of {group.members})" if group.members > 1 else "")
            rows.append([name, *(percent(group.causes.get(c, 0), whole) for c in causes)])
        # headings of two words take two lines, so that the widest table fits
        heads = [c.replace("pe_", "PE_").replace("_", "\n") for c in causes]
        yield _spaced(table("", [section.ljust(24), *heads], rows))


def _energy(result: RunResult) -> RenderableType:
    total, frames = result.energy_pj["total"], max(1, result.frames)
    terms = sorted(
        (term for term, value in result.energy_pj.items() if value and term != "total"),
        key=lambda term: -result.energy_pj[term],
    )
    rows = [
        [
            term.replace("_", " "),
            si(result.energy_pj[term] * 1e-12, "J"),
            si(result.energy_pj[term] * 1e-12 / frames, "J"),
            percent(result.energy_pj[term], total),
        ]
        for term in [*terms, "total"]
    ]
    technology = result.details.get("technology", "")
    return table(f"energy ({technology})", ["", "run", "a frame", "%"], rows)
