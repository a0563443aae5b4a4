"""What all tests share: how much was compared, told at the end; what is worth computing once."""

import fcntl
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "agreement"))

import tally

PROPERTY = "compared"


def pytest_configure() -> None:
    """Let processes that tests start and interrupt hear it, too, where this one must not.

    A shell that runs pytest in the background has it ignore Ctrl-C, which its children inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that passes report what it compared, from whichever process it runs in."""
    tally.take()
    result = yield
    item.user_properties.append((PROPERTY, tally.take()))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests that passed compared."""
    passed = terminalreporter.stats.get("passed", [])
    parts = [rows for report in passed for name, rows in report.user_properties if name == PROPERTY]
    rows = tally.total(parts)
    if rows:
        terminalreporter.section("agreement")
        for line in tally.table_lines(rows):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], object]], object]:
    """Return what `make` returns, called in one process of a parallel run; others wait for it.

    Values go from process to process by pickle. Without a name's file none has made it yet; one
    that raises leaves none, and the next tries again.
    """
    base, kept = tmp_path_factory.getbasetemp(), dict[str, object]()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"
    folder.mkdir(exist_ok=True)

    def made(name: str, make: Callable[[], object]) -> object:
        if name not in kept:
            value = folder / f"{name}.pickle"
            with (folder / f"{name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not value.exists():
                    value.write_bytes(pickle.dumps(make()))
            kept[name] = pickle.loads(value.read_bytes())
        return kept[name]

    return made


@pytest.fixture(scope="session")
def study(once: Callable[[str, Callable[[], object]], object]) -> Callable[[str], object]:
    """Return a study of `spusim validate` by name: the whole of them takes most of a minute."""
    from spusim.experiments.validation.catalogue import STUDIES  # most tests need none of it

    real = dict(STUDIES)  # where a test has others put in their place
    return lambda name: once(f"study-{name}", real[name])
