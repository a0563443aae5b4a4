"""Builds are made once, in one piece, and a missing tool is said so."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rtl_build
from parameter_sets import SETS

SMALLEST = SETS[25]
HERE = Path(__file__).resolve().parent

PROBE = """
import pytest

def test_probe(verilator):
    assert True
"""


@pytest.fixture
def empty_cache(verilator: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without libraries; Verilator's runtime stays where it is."""
    runtime = {name: rtl_build.runtime_object(name) for name in rtl_build.RUNTIME}
    monkeypatch.setattr(rtl_build, "runtime_object", runtime.__getitem__)
    header = rtl_build.runtime_header()
    monkeypatch.setattr(rtl_build, "runtime_header", lambda: header)
    monkeypatch.setattr(rtl_build, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_simultaneous_builds_leave_one_library(empty_cache: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        libraries = list(pool.map(rtl_build.build, [SMALLEST, SMALLEST]))
    assert libraries[0] == libraries[1]
    assert list(empty_cache.iterdir()) == [libraries[0]]
    built = libraries[0].stat().st_mtime_ns
    assert rtl_build.build(SMALLEST).stat().st_mtime_ns == built  # not a second time


def test_a_changed_source_is_another_library(
    verilator: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rtl_build.library_path(SMALLEST)
    assert rtl_build.library_path(SETS[0]) != before
    changed = tmp_path / "harness.cpp"
    changed.write_text(rtl_build.HARNESS.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr(rtl_build, "HARNESS", changed)
    assert rtl_build.library_path(SMALLEST) != before


def test_what_verilator_refuses_is_shown(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "engine.v"
    broken.write_text("module engine (input wire a; endmodule\n", encoding="utf-8")
    monkeypatch.setattr(rtl_build, "SOURCES", (broken,))
    with pytest.raises(rtl_build.BuildError, match=r"verilating set 25 failed(.|\n)*syntax error"):
        rtl_build.build(SMALLEST)
    assert list(empty_cache.iterdir()) == []


@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "error")])
def test_missing_verilator_skips_here_and_fails_in_ci(
    ci: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("conftest.py", "rtl_build.py", "parameter_sets.py", "parameter_sets.txt"):
        (tmp_path / name).write_text((HERE / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "stepper_path.py").write_text(
        f"import sys\nsys.path.append({str(HERE.parent / 'stepper')!r})\n", encoding="utf-8"
    )
    (tmp_path / "test_probe.py").write_text(PROBE, encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rsE", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert f"1 {outcome}" in done.stdout
    assert "verilator and g++ not found: `make rtl-tools` installs" in done.stdout
