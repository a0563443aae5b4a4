"""What can be wrong with a plan."""

from spusim.errors import SpusimError


class PlanError(SpusimError):
    """An FQIR plan that cannot be read, is inconsistent, or asks for what no machine does."""
