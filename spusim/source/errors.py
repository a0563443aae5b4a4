"""What can be wrong with a program source as a file; mistakes in its text are AssemblyErrors."""

from spusim.errors import SpusimError


class SourceError(SpusimError):
    """A program source that cannot be read, or that lacks what it is asked for."""
