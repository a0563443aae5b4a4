"""Let the tests of this folder import the references and layers of others."""

import sys
from pathlib import Path

for room in ("compiler", "network", "recurrent"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))
