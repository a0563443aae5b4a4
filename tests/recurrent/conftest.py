"""Makes the modules beside the tests, and the plain integer evaluator, importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "network")]
