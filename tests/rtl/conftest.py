"""Make the RTL's harness and the stepper importable, and say what becomes of missing tools."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import stepper_path  # noqa: F401
from build import REMEDY, missing_tool


def give_up(reason: str) -> None:
    """Skip the test; in CI, which installs the tools, fail it."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}; CI must have it", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def verilator() -> None:
    """Need Verilator and a compiler."""
    reason = missing_tool()
    if reason:
        give_up(reason)


@pytest.fixture(scope="session")
def yosys() -> None:
    """Need Yosys."""
    if shutil.which("yosys") is None:
        give_up(f"yosys not found: {REMEDY}")
