"""What tests share is made once, by whichever process comes first."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Once = Callable[[str, Callable[[], object]], object]


def test_it_is_made_once(once: Once, tmp_path: Path) -> None:
    def make() -> dict[str, int]:
        (tmp_path / "made").touch(exist_ok=False)
        return {"a": 1}

    first = once(f"single-{tmp_path.name}", make)
    assert first == {"a": 1}
    assert once(f"single-{tmp_path.name}", make) is first


def test_what_fails_is_tried_again(once: Once, tmp_path: Path) -> None:
    name = f"failing-{tmp_path.name}"
    with pytest.raises(ZeroDivisionError):
        once(name, lambda: 1 // 0)
    assert once(name, lambda: 5) == 5


def test_another_process_waits_for_it(once: Once, tmp_path: Path) -> None:
    def make() -> int:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(0.5)
        return 7

    def ask() -> None:
        sys.exit(once(f"shared-{tmp_path.name}", make) != 7)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=ask) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1
