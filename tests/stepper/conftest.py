"""Make the steppers and all generators of programs importable: tests import them as modules."""

import sys
from pathlib import Path

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE.parent / "machine")]
