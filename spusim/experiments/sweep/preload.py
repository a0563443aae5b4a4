"""What the server that processes are forked from loads: everything that a worker needs.

Its processes inherit modules and kernels, and look for no garbage among them.
"""

import gc
import os
from contextlib import suppress

# else pydantic reads what every installed package says of itself, for plugins to watch specs
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
gc.disable()  # nothing of what is being loaded goes away

from spusim.experiments.sweep.identity import network_content, versions  # noqa: E402
from spusim.experiments.sweep.warm import warm_network  # noqa: E402
from spusim.experiments.sweep.worker import run_jobs as run_jobs  # noqa: E402
from spusim.frontend import find_network  # noqa: E402
from spusim.frontend.topology_file import load_topology  # noqa: E402
from spusim.kernels.declare import tell_when_compiling  # noqa: E402

LAYERS_OF = ("cnn_small", "tinylstm_se")  # shipped networks: convolutions, and a recurrence


def load_kernels() -> None:
    """Load the kernels that networks take, if they are kept: who compiles says so, elsewhere."""
    end = tell_when_compiling(_refuse)
    with suppress(Exception):  # which would come again where it can be told
        warm_network()
    end()


def read_topologies() -> None:
    """Read network files: checks of a kind of layer are made when the first one is read."""
    for name in LAYERS_OF:
        path = find_network(name)
        network_content(load_topology(path), str(path.parent), None)


def _refuse(kernel: str) -> None:
    raise RuntimeError(f"{kernel} is not kept")


versions()
read_topologies()
load_kernels()
gc.freeze()
gc.enable()
