"""Tables for people: they fit, add up, and leave nothing out."""

import dataclasses
import io
import re

import pytest
from rich.console import Console

from spusim.experiments.quantities import count, percent, ratio, si, size
from spusim.experiments.tables import MOST_FILES, make_console, print_result
from spusim.experiments.units import SECTIONS, grouped, kind_of, memory_groups


def printed(result, width=100, **options):
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    print_result(console, result, **options)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_lines_fit_and_nothing_is_cut(spotted, width):
    text = printed(spotted, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_widest_case_fits_in_100_columns(spotted):
    causes_of = {kind: causes for kinds, causes in SECTIONS.values() for kind in kinds}
    stalls = {
        unit: {**causes, **dict.fromkeys(causes_of[kind_of(unit)[1]], 1)}
        for unit, causes in spotted.stalls.items()
    }
    text = printed(dataclasses.replace(spotted, stalls=stalls))
    head = next(line for line in text.splitlines() if line.startswith("sparse engine"))
    words = "busy load full wait starved column hazard port imbalance drain idle"
    assert head.split()[2:] == words.split()
    assert max(map(len, text.splitlines())) <= 100


def test_shares_of_a_unit_sum_to_all_its_cycles(spotted):
    text = printed(spotted, every_unit=True)
    rows = re.findall(r"^((?:core\d|host)\.[\w.]+) +([\d. -]+)$", text, re.MULTILINE)
    assert {name for name, _ in rows} == set(spotted.stalls)
    for name, numbers in rows:
        shares = [float(share) for share in numbers.replace(" -", " 0").split()]
        assert sum(shares) == pytest.approx(100, abs=0.3), name


def test_groups_lose_no_unit_and_no_cycle(spotted):
    members = cycles = 0
    for section in SECTIONS:
        for group in grouped(spotted.stalls, section):
            members += group.members
            cycles += sum(group.causes.values())
    assert members == len(spotted.stalls)
    assert cycles == members * spotted.cycles
    banks = [bank for _, names in memory_groups(spotted.memory) for bank in names]
    assert sorted(banks) == sorted(spotted.memory)


def test_memory_is_listed_by_bank(spotted):
    words = [spotted.memory[f"core0.data_memory.bank{b}"].used_words for b in range(8)]
    assert f"{' '.join(map(str, words))}, of 8192" in printed(spotted)


def test_user_text_is_not_markup(spotted):
    files = [{"name": "[red]x[0]", "frames": 3, "heard": "[/]"}]
    details = {**spotted.details, "files": files, "input": "stream [bold]"}
    text = printed(dataclasses.replace(spotted, details=details, name="[b]net"))
    for phrase in ("[red]x[0]", "[/]", "stream [bold]", "[b]net"):
        assert phrase in text


def test_many_files_are_counted_by_label(spotted):
    heard = [("a", "a")] * MOST_FILES + [("b", "a")] * 2 + [("b", "b")]
    files = [{"name": "x", "frames": 1, "label": label, "heard": h} for label, h in heard]
    text = printed(dataclasses.replace(spotted, details={**spotted.details, "files": files}))
    assert "heard: 21 of 23 as labelled" in text
    assert re.search(r"^b +1 of 3 +a 2$", text, re.MULTILINE)


def test_wrong_ones_are_marked(spotted):
    files = [{"name": "x", "frames": 1, "label": "yes", "heard": "no"}]
    text = printed(dataclasses.replace(spotted, details={**spotted.details, "files": files}))
    assert "heard: 0 of 1 as labelled" in text
    assert "no (wrong)" in text


def test_speedup_is_left_out_with_its_baseline(alone, spotted):
    assert "faster" not in printed(alone)
    assert f"{spotted.speedup['achieved']:.2f}x faster" in printed(spotted)


def test_pipes_are_100_columns_wide(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert make_console().width == 100
    monkeypatch.setenv("COLUMNS", "77")
    assert make_console().width == 77


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8.2e-6, "8.20 µs"), (999.6e-9, "1.00 µs"), (99.95e-9, "100 ns"), (0, "0 s"), (1, "1.00 s"),
        (150e6, "150 Ms"), (3e-19, "0.000300 fs"), (-2.5e-3, "-2.50 ms"), (float("inf"), "inf s"),
    ],
)  # fmt: skip
def test_si(value, text):
    assert si(value, "s") == text


def test_sizes_and_shares():
    assert [size(n) for n in (0, 1023, 1024, 524288, 1 << 20)] == [
        "0 B", "1023 B", "1.0 KiB", "512.0 KiB", "1.00 MiB",
    ]  # fmt: skip
    assert [percent(1, 3), percent(0, 3), percent(1, 0)] == ["33.3", "-", "-"]
    assert [count(n, "frame") for n in (0, 1, 1000)] == ["0 frames", "1 frame", "1,000 frames"]
    assert [ratio(2.0), ratio(None), ratio(float("inf"))] == ["2.00x", "unbounded", "unbounded"]
