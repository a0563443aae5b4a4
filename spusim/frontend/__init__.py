"""From checkpoints, network files and streams to integers; the only door to torch."""

from spusim.frontend.chain import FloatNetwork, float_forward
from spusim.frontend.checkpoint import load_state_dict, read_checkpoint
from spusim.frontend.errors import CheckpointError, PruneError, StreamError, TopologyError
from spusim.frontend.inspect import LayerStatistics, inspect_checkpoint
from spusim.frontend.load import (
    find_network,
    list_networks,
    list_streams,
    load_network,
    quantise_file,
)
from spusim.frontend.prune import prune_matrices, prune_matrix
from spusim.frontend.pruned import Pruned, prune_checkpoint, shrink_checkpoint
from spusim.frontend.quantised import Quantised
from spusim.frontend.shrink import Shrunk, shrink_network
from spusim.frontend.streams import check_stream, clipped_inputs, load_stream, quantise_input
from spusim.frontend.topology import network_schema
from spusim.network.identity import network_hash

__all__ = [
    "CheckpointError",
    "FloatNetwork",
    "LayerStatistics",
    "PruneError",
    "Pruned",
    "Quantised",
    "Shrunk",
    "StreamError",
    "TopologyError",
    "check_stream",
    "clipped_inputs",
    "find_network",
    "float_forward",
    "inspect_checkpoint",
    "list_networks",
    "list_streams",
    "load_network",
    "load_state_dict",
    "load_stream",
    "network_hash",
    "network_schema",
    "prune_checkpoint",
    "prune_matrices",
    "prune_matrix",
    "quantise_file",
    "quantise_input",
    "read_checkpoint",
    "shrink_checkpoint",
    "shrink_network",
]
