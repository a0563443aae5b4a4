"""What can be wrong with what a user brings to the front end."""

from spusim.errors import SpusimError


class CheckpointError(SpusimError):
    """A checkpoint that cannot be read, or holds something that is no plain tensor."""


class TopologyError(SpusimError):
    """A network file that is wrong, or does not fit its checkpoint."""


class PruneError(SpusimError):
    """A pruning that cannot be done."""


class StreamError(SpusimError):
    """An input stream that cannot be read or does not fit the network."""
