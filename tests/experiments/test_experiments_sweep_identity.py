"""What a point is known by changes with all that decides it."""

import subprocess
import sys
from pathlib import Path

import pytest

import spusim
from spusim.arch import load_arch
from spusim.experiments.sweep.identity import arch_content, computing_sources, stream_content

SOURCES = Path(spusim.__file__).resolve().parent
LOADED = """
import sys
import spusim.experiments.sweep.worker
for name, module in list(sys.modules.items()):
    if name.startswith("spusim."):
        print(module.__file__)
"""


@pytest.mark.parametrize("name", ["layers", "conv_layers", "record", "fidelity", "sweep/worker"])
def test_a_point_is_known_by_the_experiments_that_compute_it(name: str) -> None:
    assert SOURCES / "experiments" / f"{name}.py" in computing_sources()


def test_a_point_is_not_known_by_what_only_shows_it() -> None:
    shown = {SOURCES / "cli" / "main.py", SOURCES / "experiments" / "plot.py"}
    assert not shown & set(computing_sources()) and all(path.exists() for path in shown)


def test_all_that_a_worker_loads_is_in_the_hash_of_the_code() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    loaded = {Path(line) for line in done.stdout.splitlines()}
    empty = {SOURCES / "experiments" / name for name in ("__init__.py", "sweep/__init__.py")}
    assert SOURCES / "experiments" / "sweep" / "worker.py" in loaded, done.stderr
    assert not loaded - empty - set(computing_sources())


@pytest.mark.parametrize("setting", ["clock_mhz=50", "core.queue.depth=3", "link.hop_cycles=3"])
def test_a_machine_is_known_by_every_figure(setting: str) -> None:
    assert arch_content(load_arch("tiny", [setting])) != arch_content(load_arch("tiny"))


def test_a_machine_is_not_known_by_what_it_is_called() -> None:
    assert arch_content(load_arch("tiny", ["name=other"])) == arch_content(load_arch("tiny"))


def test_a_folder_is_known_by_what_its_files_hold(tmp_path: Path) -> None:
    file = tmp_path / "one.wav"
    file.write_bytes(b"first")
    first = stream_content(str(tmp_path))
    file.write_bytes(b"other, and longer")
    assert stream_content(str(tmp_path)) != first
    file.write_bytes(b"first")
    assert stream_content(str(tmp_path)) == first
