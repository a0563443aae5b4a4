"""The error of this room."""

from spusim.errors import SpusimError


class NumericsError(SpusimError):
    """A number or a setting of the arithmetic that has no exact meaning."""
