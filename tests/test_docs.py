"""README and docs are run: examples work, figures are what the commands say, links lead on.

A `console` block is a session: `$ command`, then what it printed. A line `...` leaves lines out,
and one that ends in `...` is cut short. A block whose first line is a comment with a file's name
is that file. Every section (`##`) has a folder of its own. Commands of spusim run in this process,
through the same `main` and on real files for standard output and error: a process each would load
everything anew, which takes longer than most of the commands (tests/cli/test_cli_process.py starts
processes).
"""

import contextlib
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from spusim.cli.main import main
from spusim.experiments.charts.catalogue import CHARTS
from spusim.experiments.validation.catalogue import STUDIES
from spusim.experiments.validation.records import Study

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGES.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"[#;] ([\w.]+\.(?:py|yaml|spuasm))\n")
TIMEOUT_S = 900  # of a command: `spusim validate` as a whole takes a minute, on a busy machine more
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# files beside a section's commands that it does not show
BESIDE = {"fqir.md: Run one": sorted((ROOT / "tests/frontend/fqir/data").glob("gru.*"))}
RUN_ELSEWHERE = {"isa_example.md"}  # in a worktree of its own, by test_isa_example.py


@dataclass(frozen=True)
class Session:
    """A command of a page, and the lines shown under it."""

    command: str
    shown: tuple[str, ...]


def sections() -> dict[str, str]:
    """Return the sections that show commands, by page and heading."""
    found = {}
    for page in PAGES:
        parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for heading, text in zip(["", *parts[1::2]], parts[0::2], strict=True):
            if "```console" in text and page.name not in RUN_ELSEWHERE:
                found[f"{page.name}: {heading}"] = text
    return found


SECTIONS = sections()


def files(text: str) -> dict[str, str]:
    """Return the files that a section shows."""
    found = {}
    for _, body in BLOCK.findall(text):
        name = FILE_NAME.match(body)
        if name:
            found[name[1]] = body
    return found


def sessions(text: str) -> list[Session]:
    """Return a section's commands in order."""
    found = []
    for kind, body in BLOCK.findall(text):
        if kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                found.append(Session(command, tuple(shown.splitlines())))
    return found


def run(command: str, folder: Path) -> str:
    """Run a command in a folder; return what it printed, after seeing that it exits with 0."""
    program, *arguments = shlex.split(command)
    return {"spusim": run_here, "python": run_apart}[program](arguments, folder)


def run_here(arguments: list[str], folder: Path) -> str:
    """Run spusim as its entry point does, in this process."""
    streams = [(folder.parent / f"{folder.name}.{name}") for name in ("out", "err")]
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.chdir(folder)
        patch.delenv("COLUMNS", raising=False)  # parallel test runners set it for themselves
        patch.setattr(sys, "argv", ["spusim", *arguments])
        for name, path in zip(("stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, stack.enter_context(path.open("w+", encoding="utf-8")))
        try:
            main()
            code: object = 0
        except SystemExit as leave:
            code = leave.code
    printed, complaints = (path.read_text(encoding="utf-8") for path in streams)
    assert not code, f"{arguments}\n{complaints}"
    return printed


def run_apart(arguments: list[str], folder: Path) -> str:
    """Run Python in a process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    environment.pop("COLUMNS", None)  # parallel test runners set it for themselves
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments}\n{done.stderr}"
    return done.stdout


def matches(shown: str, line: str) -> bool:
    """Whether a line of a page is a printed one, as a whole or cut short."""
    if shown.endswith("..."):
        return line.startswith(shown.removesuffix("...").rstrip())
    return line.rstrip() == shown


def compare(session: Session, printed: str) -> None:
    """See that the lines shown were printed, in their order; others only where `...` says so."""
    left = printed.splitlines()
    skipping = False
    for shown in session.shown:
        if shown == "...":
            skipping = True
            continue
        while skipping and left and not matches(shown, left[0]):
            del left[0]
        found = left.pop(0) if left else "(nothing more)"
        assert matches(shown, found), f"$ {session.command}\nshown:  {shown}\nnow:    {found}"
        skipping = False


@pytest.fixture
def shared_studies(study: Callable[[str], Study], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `spusim validate` take studies that another test has run; it runs those that none has."""
    for name in STUDIES:
        monkeypatch.setitem(STUDIES, name, functools.partial(study, name))


@pytest.mark.parametrize("heading", SECTIONS)
@pytest.mark.usefixtures("shared_studies")
def test_examples_print_what_is_shown(heading: str, tmp_path: Path) -> None:
    text = SECTIONS[heading]
    for path in BESIDE.get(heading, ()):
        shutil.copy(path, tmp_path)
    for name, content in files(text).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for session in sessions(text):
        compare(session, run(session.command, tmp_path))


def test_every_kind_of_command_has_an_example() -> None:
    commands = [s.command for text in SECTIONS.values() for s in sessions(text)]
    for start in (
        "run",
        "layer",
        "inspect",
        "compile",
        "isa asm",
        "isa disasm",
        "isa check",
        "isa test",
        "isa diff",
        "list",
        "sweep",
        "plot",
        "report",
        "trace",
        "regress",
        "compare",
        "prune",
        "quantize",
        "validate",
    ):
        assert any(command.startswith(f"spusim {start}") for command in commands), start


def test_sections_that_need_files_are_there() -> None:
    for heading, paths in BESIDE.items():
        assert heading in SECTIONS
        assert paths
        assert all(path.name in SECTIONS[heading] for path in paths)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_and_folders_that_the_readme_names_exist() -> None:
    named = re.findall(r"`((?:spusim|configs|docs|isa|tests|benchmarks)/[\w./{},*<>]*)`", README)
    assert named
    for name in named:
        if not set(name) & set("{}*<>"):
            assert (ROOT / name).exists(), name


def test_figures_of_the_readme_are_images() -> None:
    figures = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", README)
    assert figures
    for figure in figures:
        assert (ROOT / figure).read_bytes().startswith(b"\x89PNG")


RULES = {"T": ("timing.md", "timing_convolution.md", "timing_memory.md"), "N": ("numbers.md",)}


@pytest.mark.parametrize("letter", RULES)
def test_rules_are_numbered_once_and_pages_cite_those_there_are(letter: str) -> None:
    texts = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in RULES[letter]]
    rules = [int(n) for text in texts for n in re.findall(rf"^\* \*\*{letter}(\d+) ", text, re.M)]
    assert sorted(rules) == list(range(1, len(rules) + 1))
    for page in PAGES:
        cited = set(map(int, re.findall(rf"\b{letter}(\d+)\b", page.read_text(encoding="utf-8"))))
        assert cited <= set(rules), f"{page.name}: {sorted(cited - set(rules))}"


def test_every_page_is_linked_from_another() -> None:
    for page in PAGES:
        others = [other for other in PAGES if other != page]
        linked = {
            (other.parent / target).resolve()
            for other in others
            for target in LINK.findall(other.read_text(encoding="utf-8"))
            if "://" not in target
        }
        assert page.name == "README.md" or page.resolve() in linked, page.name


def test_counts_of_programs_and_faults_are_real() -> None:
    programs = len(list((ROOT / "isa/programs").glob("*.spuasm")))
    assert set(re.findall(r"(\d+) conformance programs", README)) == {str(programs)}
    faults = (ROOT / "tests/mutants/mutants.yaml").read_text(encoding="utf-8").count("- name: ")
    assert f"{faults} planted faults" in README


def test_lists_of_what_ships_are_complete() -> None:
    sweeps = (ROOT / "docs/sweeps.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "configs/sweeps").glob("*.yaml")):
        assert f"`{path.stem}`" in README, path.stem
        assert f"| `{path.stem}` |" in sweeps, path.stem
    figures = (ROOT / "docs/plots.md").read_text(encoding="utf-8")
    assert [name for name in CHARTS if f"| `{name}` |" not in figures] == []
