"""The machine: a discrete-event SPU whose units are compiled kernels."""

from spusim.machine.bench import retime_layer, run_layer, unskipped_layer_cycles
from spusim.machine.collect import outputs_hash
from spusim.machine.errors import DeadlockError, MachineError, RecordingError
from spusim.machine.recording import Pattern, Recording, pattern, read_recording, recording_bytes
from spusim.machine.retime import record, retime, unskipped_cycles
from spusim.machine.spu import FinalState, Spu, run, run_to_end

__all__ = [
    "DeadlockError",
    "FinalState",
    "MachineError",
    "Pattern",
    "Recording",
    "RecordingError",
    "Spu",
    "outputs_hash",
    "pattern",
    "read_recording",
    "record",
    "recording_bytes",
    "retime",
    "retime_layer",
    "run",
    "run_layer",
    "run_to_end",
    "unskipped_cycles",
    "unskipped_layer_cycles",
]
