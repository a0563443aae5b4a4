"""The error of this room."""

from spusim.errors import SpusimError


class FormatError(SpusimError):
    """A matrix that a format cannot hold, or words that are no matrix."""
