"""What can go wrong while a program runs."""

from spusim.errors import SpusimError


class MachineError(SpusimError):
    """A program that the machine cannot run, or that went wrong while it ran."""


class RecordingError(MachineError):
    """A recording that does not belong to what is to be timed, or cannot be made."""


class DeadlockError(MachineError):
    """Nothing can happen any more, but outputs are missing or threads have not ended."""
