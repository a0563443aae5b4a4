"""The quantised network: records, their consistency, their hash."""

from spusim.network.check import check_network
from spusim.network.graph import inputs_of, outputs_of, tensor, tensors_of
from spusim.network.identity import network_hash
from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Curve,
    Cut,
    Function,
    Head,
    Join,
    Lut,
    Network,
    NetworkError,
    Node,
    Product,
    Quantum,
    Requant,
    Shift,
    State,
    Stream,
    Tensor,
)

__all__ = [
    "Apply",
    "Combine",
    "Constant",
    "Curve",
    "Cut",
    "Function",
    "Head",
    "Join",
    "Lut",
    "Network",
    "NetworkError",
    "Node",
    "Product",
    "Quantum",
    "Requant",
    "Shift",
    "State",
    "Stream",
    "Tensor",
    "check_network",
    "inputs_of",
    "network_hash",
    "outputs_of",
    "tensor",
    "tensors_of",
]
