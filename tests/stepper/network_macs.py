"""What a dense machine would multiply in a network, from the network alone."""

from spusim.network import Network
from spusim.network.records import Convolution, Product


def dense_macs(network: Network) -> int:
    """Return a frame's: filters see the channels of their group, and products no gaps."""
    products = (n.weight.size * len(n.windows) for n in network.nodes if isinstance(n, Product))
    return sum(products) + sum(
        n.weight.size * n.geometry.positions for n in network.nodes if isinstance(n, Convolution)
    )
