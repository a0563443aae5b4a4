"""Imported for what it does: the folders that this one's files import from become importable."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

sys.path += [str(TESTS / "stepper"), str(TESTS / "agreement")]
