"""Make the network builder and the integer reference importable: tests import them by name."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "network")]
