"""Imported for what it does: what the other rooms' tests are made of becomes importable."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

sys.path += [
    str(TESTS / room) for room in ("agreement", "stepper", "machine", "rtl", "compiler", "network")
]
