"""What a point is known by changes with all that decides it."""

from pathlib import Path

import pytest

from spusim.arch import load_arch
from spusim.experiments.sweep.identity import arch_content, stream_content


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
