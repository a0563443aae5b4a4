"""Make the RTL's harness and the stepper importable: tests import them as plain modules."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import stepper_path  # noqa: E402, F401
