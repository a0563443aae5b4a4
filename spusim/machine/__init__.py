"""The machine: a discrete-event SPU whose units are compiled kernels."""

from spusim.machine.bench import run_layer
from spusim.machine.collect import outputs_hash
from spusim.machine.errors import DeadlockError, MachineError
from spusim.machine.spu import FinalState, Spu, run, run_to_end

__all__ = [
    "DeadlockError",
    "FinalState",
    "MachineError",
    "Spu",
    "outputs_hash",
    "run",
    "run_layer",
    "run_to_end",
]
