"""Make the cases beside this file and the integer reference importable by name."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "network")]
