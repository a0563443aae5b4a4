"""The machine: a discrete-event SPU whose units are compiled kernels."""

from spusim.machine.bench import run_layer
from spusim.machine.collect import outputs_hash
from spusim.machine.errors import DeadlockError, MachineError
from spusim.machine.spu import Spu, run

__all__ = ["DeadlockError", "MachineError", "Spu", "outputs_hash", "run", "run_layer"]
