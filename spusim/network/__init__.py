"""The quantised network: records, their consistency, their hash."""

from spusim.network.check import check_network, layer_sizes
from spusim.network.identity import network_hash
from spusim.network.records import (
    Activation,
    Layer,
    Linear,
    Lstm,
    Network,
    NetworkError,
    PoolTime,
    Quantum,
    Requant,
    Stream,
)

__all__ = [
    "Activation",
    "Layer",
    "Linear",
    "Lstm",
    "Network",
    "NetworkError",
    "PoolTime",
    "Quantum",
    "Requant",
    "Stream",
    "check_network",
    "layer_sizes",
    "network_hash",
]
