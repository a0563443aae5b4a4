"""Lets the tests import the benchmark that they check, and the integer reference."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_TESTS.parent), str(_TESTS / "compiler"), str(_TESTS / "network")]
