"""Make the plan builder and the reference importable: tests import them by name."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]
