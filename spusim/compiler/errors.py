"""The error of everything that cannot be compiled."""

from spusim.errors import SpusimError


class CompileError(SpusimError):
    """A network that an architecture cannot hold or compute; the message gives the numbers."""
