"""Tells after a test run how many programs and cycles the implementations agreed on."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "agreement"))

import tally

PROPERTY = "compared"


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
