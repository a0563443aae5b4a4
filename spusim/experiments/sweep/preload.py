"""What the server that processes are forked from loads: everything that a worker needs.

Its processes inherit that, and look for no garbage among it.
"""

import gc
import os
from importlib import import_module

# else pydantic reads what every installed package says of itself, for plugins to watch specs
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
gc.disable()  # nothing of what is being loaded goes away
import_module("spusim.experiments.sweep.worker")
gc.freeze()
gc.enable()
