"""Make the compiler's network builder and its integer reference importable by name."""

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(_TESTS / "retime"), str(_TESTS / "compiler"), str(_TESTS / "network")]
