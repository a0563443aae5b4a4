"""Imported for what it does: the stepper's folder becomes importable, outside of pytest too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "stepper"))
