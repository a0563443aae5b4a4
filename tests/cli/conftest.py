"""A network small enough for the `tiny` architecture, as files; and the command line in process."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner, Result

from spusim.cli.app import app

sys.path.append(str(Path(__file__).parent.parent / "network"))  # for bounds of quantising

NETWORK = """\
name: mini
weights: mini.safetensors
input: {size: 8, bits: 16}
layers:
  - {type: linear, name: fc1, outputs: 12}
  - {type: relu, name: relu}
  - {type: linear, name: fc2, outputs: 3}
labels: ["a", "b", "c"]
quantise: {calibrate: "mini.npz:frames"}
"""
RUN = """\
description: for tests
network: mini.yaml
arch: tiny
stream: mini.npz:frames
"""


def state_dict() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "fc1.weight": rng.normal(size=(12, 8)).astype(np.float32),
        "fc1.bias": rng.normal(size=12).astype(np.float32),
        "fc2.weight": rng.normal(size=(3, 12)).astype(np.float32),
        "fc2.bias": rng.normal(size=3).astype(np.float32),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with mini.yaml, mini.safetensors, mini.npz and the run file run.yaml."""
    (tmp_path / "mini.yaml").write_text(NETWORK)
    (tmp_path / "run.yaml").write_text(RUN)
    save_file(state_dict(), tmp_path / "mini.safetensors")
    frames = np.random.default_rng(4).normal(size=(5, 8))
    np.savez(tmp_path / "mini.npz", frames=frames)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the width to the command line: parallel test runners set COLUMNS for themselves."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def spusim() -> Callable[..., Result]:
    """Run the command line with the words given; a traceback fails the test."""

    def invoke(*words: str) -> Result:
        result = CliRunner().invoke(app, list(words))
        unexpected = result.exception is not None and not isinstance(result.exception, SystemExit)
        assert not unexpected, repr(result.exception)
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def refused(spusim: Callable[..., Result], tmp_path: Path) -> Callable[..., str]:
    """Run a command that must fail: exit code 1, one message, no output, nothing written."""

    def invoke(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        result = spusim(*words)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        first, *others = result.stderr.splitlines()
        assert first.startswith("error: ")
        assert all(line.startswith("       ") for line in others)
        assert sorted(tmp_path.rglob("*")) == before
        return result.stderr

    return invoke
