"""Imported for what it does: what the other rooms' tests are made of becomes importable."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

ROOMS = ("agreement", "stepper", "machine", "rtl", "compiler", "network", "retime", "mutants")
sys.path += [str(TESTS / room) for room in ROOMS]
