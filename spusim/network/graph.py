"""A network as a graph: which tensors a node takes and makes, and who makes each."""

from collections.abc import Iterator

from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Convolution,
    Join,
    Network,
    Node,
    Pooling,
    Product,
    Quantum,
    Shift,
    Tensor,
)

Elementwise = Combine | Shift | Apply
Windowed = Convolution | Pooling  # what goes over an image


def inputs_of(node: Node) -> tuple[str, ...]:
    """Return the names of the tensors that a node takes."""
    if isinstance(node, Product):
        return (node.input,)
    if isinstance(node, Combine):
        return (node.a, node.b)
    if isinstance(node, Join):
        return node.inputs
    return () if isinstance(node, Constant) else (node.a,)


def outputs_of(node: Node) -> tuple[Tensor, ...]:
    """Return the tensors that a node makes; only a product makes several."""
    if isinstance(node, Product):
        return tuple(head.output for head in node.heads)
    return (node.output,)


def tensors_of(network: Network) -> Iterator[Tensor]:
    """Yield all tensors: the input, states, then what nodes make, in order."""
    yield network.input
    for state in network.states:
        yield state.tensor
    for node in network.nodes:
        yield from outputs_of(node)


def tensor(network: Network, name: str) -> Tensor:
    """Return a network's tensor by name; raises KeyError."""
    for each in tensors_of(network):
        if each.name == name:
            return each
    raise KeyError(name)


def multiplied_bits(node: Product | Convolution, quantum: Quantum) -> int:
    """Return the bits of the activations that a node multiplies, of an input of a quantum."""
    normalised = node.normalised_bits if isinstance(node, Product) else 0
    return normalised or quantum.bits


def head_rows(node: Product) -> tuple[int, ...]:
    """Return the rows of the weight that each head has."""
    return tuple(head.output.size // len(node.windows) for head in node.heads)
