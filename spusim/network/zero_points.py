"""Which tensors of a network may have a zero point: those that products make and products read."""

from collections.abc import Iterator

from spusim.network.graph import inputs_of, outputs_of, tensor, tensors_of
from spusim.network.records import (
    Apply,
    Combine,
    Network,
    NetworkError,
    Node,
    Product,
    Shift,
    Tensor,
)

# Of the instruction `zset`; and elements of 16 bits have no larger one.
MOST_ZERO_POINT = 2**15


def check_zero_points(network: Network) -> None:
    """Raise NetworkError for a zero point that its elements, or a node at them, cannot have.

    Element-wise nodes take and make symmetric tensors; what leaves the network is symmetric.
    """
    known = {each.name: each for each in tensors_of(network)}
    for each in known.values():
        _check_range(each)
    for node in network.nodes:
        for each in _symmetric(node, known):
            raise NetworkError(
                f"node {node.name} works element by element on {each.name}, which has the zero "
                f"point {each.quantum.zero_point}; only products take and make such tensors: "
                "quantise it symmetrically"
            )
        if isinstance(node, Product):
            _check_entries(node)
    output = tensor(network, network.output)
    if output.quantum.zero_point:
        raise NetworkError(
            f"network {network.name}: its output {output.name} has the zero point "
            f"{output.quantum.zero_point}, and what leaves is symmetric; quantise it symmetrically"
        )


def _check_range(each: Tensor) -> None:
    zero, largest = each.quantum.zero_point, min(each.quantum.largest, MOST_ZERO_POINT - 1)
    if not -largest - 1 <= zero <= largest:
        raise NetworkError(
            f"tensor {each.name} has the zero point {zero}, which its {each.quantum.bits}-bit "
            f"integers do not hold; use {-largest - 1} to {largest}"
        )


def _symmetric(node: Node, known: dict[str, Tensor]) -> Iterator[Tensor]:
    """Yield the tensors with zero points that an element-wise node takes or makes."""
    if not isinstance(node, Combine | Shift | Apply):
        return
    for each in (*(known[name] for name in inputs_of(node)), *outputs_of(node)):
        if each.quantum.zero_point:
            yield each


def _check_entries(node: Product) -> None:
    for head in node.heads:
        if head.entry is not None and head.entry.zero_point:
            raise NetworkError(
                f"head {head.output.name} enters its table with the zero point "
                f"{head.entry.zero_point}; tables take symmetric integers: use 0"
            )
