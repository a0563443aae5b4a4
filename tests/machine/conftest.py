"""Make the program builder and generator, and the stepper, importable: tests import them."""

import sys
from pathlib import Path

HERE = Path(__file__).parent

sys.path[:0] = [
    str(HERE),
    *(str(HERE.parent / room) for room in ("stepper", "numerics", "network")),
]
