"""The CI job of docs/examples: its commands parse, and the whole job runs on a small baseline."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import save_file

from spusim.cli.commands import load_command

ROOT = Path(__file__).resolve().parent.parent
JOB = YAML(typ="safe").load((ROOT / "docs/examples/regress.yml").read_text())
STEPS = JOB["jobs"]["regress"]["steps"]
PAGE = (ROOT / "docs/regression_tests.md").read_text()
NETWORK = """\
name: mini
weights: mini.safetensors
input: {size: 8, bits: 16}
layers: [{type: linear, name: fc, outputs: 4}]
quantise: {calibrate: "mini.npz:frames"}
"""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the job is a shell's")


def commands(text: str) -> list[list[str]]:
    """Return the words of every `spusim` command in shell text, without what is after it."""
    found = []
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["spusim"]:
            ends = [words.index(mark) for mark in ("||", "&&", "|") if mark in words]
            found.append(words[1 : min(ends, default=len(words))])
    return found


def indented(page: str) -> str:
    """Return the commands that a page shows, indented by four."""
    return "\n".join(line[4:] for line in page.splitlines() if line.startswith("    spusim "))


ALL = [*(c for step in STEPS for c in commands(step.get("run", ""))), *commands(indented(PAGE))]


def test_commands_are_found():
    assert commands(STEPS[3]["run"]) == [["regress", "baseline", "--jobs", "2", "-o", "regress.md"]]
    assert len(ALL) == 7


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_commands_parse(words):
    name, rest = words[0], words[1:]
    context = load_command(name).make_context(name, list(rest))
    assert context.params["baseline"]


def test_job_asks_for_the_version_that_it_is_documented_for():
    import spusim

    assert STEPS[2]["run"] == f'pip install "spusim=={spusim.__version__}"'
    assert JOB[True if True in JOB else "on"] == ["push", "pull_request"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A user's repository: a network, a machine, and a baseline of them; and the command."""
    folder = tmp_path_factory.mktemp("recorded")
    rng = np.random.default_rng(1)
    weights = {"fc.weight": rng.normal(size=(4, 8)), "fc.bias": rng.normal(size=4)}
    save_file({k: v.astype(np.float32) for k, v in weights.items()}, folder / "mini.safetensors")
    np.savez(folder / "mini.npz", frames=rng.normal(size=(5, 8)))
    (folder / "mini.yaml").write_text(NETWORK)
    (folder / "machine.yaml").write_text("base: tiny\n")
    (folder / "run.yaml").write_text(
        "network: mini.yaml\narch: machine.yaml\nstream: mini.npz:frames\n"
    )
    binary = folder / ".bin" / "spusim"
    binary.parent.mkdir()
    binary.write_text(
        f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "
        "'from spusim.cli.main import main; main()' \"$@\"\n"
    )
    binary.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        assert shell("spusim regress baseline --record run.yaml") == 0
    return folder


@pytest.fixture
def repository(recorded, tmp_path, monkeypatch):
    """A copy of the repository, as the working folder."""
    folder = tmp_path / "repository"
    shutil.copytree(recorded, folder)
    enter(folder, monkeypatch)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary"))
    return folder


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a repository the working folder, and its command the one that is found."""
    patch.chdir(folder)
    patch.setenv("PATH", f"{folder / '.bin'}:{os.environ['PATH']}")
    patch.setenv("PYTHONPATH", str(ROOT))


def shell(text: str) -> int:
    """Run a step as GitHub's runners do."""
    done = subprocess.run(["bash", "-e", "-c", text], capture_output=True, timeout=120)
    return done.returncode


def job() -> list[int]:
    """Run the job's steps but `uses` and `pip install`; those after a failure only if `always`."""
    codes: list[int] = []
    for step in STEPS:
        text = step.get("run", "")
        if not text or text.startswith("pip install"):
            continue
        if not any(codes) or step.get("if") == "always()":
            codes.append(shell(text))
    return codes


def test_job_passes_while_nothing_changes(repository):
    assert job() == [0, 0]
    assert "| run | nothing | same |" in (repository / "summary").read_text()


def test_job_stops_at_a_changed_machine_and_shows_what_changed(repository):
    (repository / "machine.yaml").write_text("base: tiny\ncore: {queue: {depth: 1}}\n")
    assert job() == [3, 0]
    assert "| run | time, " in (repository / "summary").read_text()
    lenient = next(line[4:] for line in PAGE.splitlines() if "|| [ $? -eq 3 ]" in line)
    assert shell(lenient) == 0


def test_job_stops_at_changed_outputs(repository):
    (repository / "mini.yaml").write_text(NETWORK.replace("{cal", "{weights: 4, cal"))
    assert job() == [4, 0]
    lenient = next(line[4:] for line in PAGE.splitlines() if "|| [ $? -eq 3 ]" in line)
    assert shell(lenient) != 0
    assert "results" in (repository / "summary").read_text()


def test_job_stops_at_a_broken_run(repository):
    (repository / "mini.safetensors").unlink()
    assert job() == [1, 0]
    assert "mini.safetensors" in (repository / "summary").read_text()
