"""Asymmetric activations: what relu makes and only products read takes unsigned codes.

A symmetric code of such a tensor never uses its sign. With the lowest code for zero the same range
is told in steps of half the size, and the scanner, which subtracts the zero point, skips the same
elements. Products that read the tensor count in half the unit, so their biases double.
"""

from dataclasses import dataclass, replace

import numpy as np

from spusim.frontend.weights import BIAS_LARGEST
from spusim.network.graph import inputs_of, tensor
from spusim.network.records import (
    Curve,
    Head,
    Network,
    Node,
    Product,
    Quantum,
    Requant,
    Shift,
)

RELU = Curve("relu")
WIDTHS = (8, 16)
MOST_LEFT, MOST_RIGHT = 30, 62


@dataclass(frozen=True)
class _Readers:
    """Who takes a tensor, and whether it also leaves the network or becomes a state."""

    nodes: tuple[Node, ...]
    kept: bool


def asymmetric_activations(network: Network) -> Network:
    """Return a network in which outputs of relu have zero points, wherever they can.

    They can if only products read them, and biases and shifts leave room; `notes` names them.
    Their integers change, and so may the network's outputs, by what was rounded away before.
    """
    network = _with_relu_in_heads(network)
    nodes = {node.name: node for node in network.nodes}
    notes = list(network.notes)
    for name in [node.name for node in network.nodes if isinstance(node, Product)]:
        for number in range(len(nodes[name].heads)):  # type: ignore[union-attr]
            changed = _unsigned(replace(network, nodes=tuple(nodes.values())), name, number)
            if changed:
                nodes |= {node.name: node for node in changed}
                output = changed[0].heads[number].output
                notes.append(
                    f"{output.name}: unsigned codes, zero point {output.quantum.zero_point}"
                )
    return replace(network, nodes=tuple(nodes.values()), notes=tuple(notes))


def _with_relu_in_heads(network: Network) -> Network:
    """Let products apply the relu that alone reads what they make."""
    folded: dict[str, Shift] = {}  # head's output -> relu
    for node in network.nodes:
        if isinstance(node, Shift) and node.relu and node.sd == 0:
            source, readers = tensor(network, node.a), _readers(network, node.a)
            alone = not readers.kept and len(readers.nodes) == 1
            if alone and source.quantum == node.output.quantum:
                folded[node.a] = node
    nodes: list[Node] = []
    gone: set[str] = set()
    for node in network.nodes:
        if isinstance(node, Product):
            heads = tuple(_with_relu(head, folded, gone) for head in node.heads)
            node = replace(node, heads=heads)
        if node.name not in gone or not isinstance(node, Shift):
            nodes.append(node)
    return replace(network, nodes=tuple(nodes))


def _with_relu(head: Head, folded: dict[str, Shift], gone: set[str]) -> Head:
    if head.function is not None or head.output.name not in folded:
        return head
    relu = folded[head.output.name]
    gone.add(relu.name)
    return replace(head, output=relu.output, function=RELU)


def _readers(network: Network, name: str) -> _Readers:
    nodes = tuple(node for node in network.nodes if name in inputs_of(node))
    kept = name == network.output or any(state.next == name for state in network.states)
    return _Readers(nodes, kept)


def _unsigned(network: Network, name: str, number: int) -> list[Product] | None:
    """Return the maker and readers of a head's output with a zero point; None if it cannot be."""
    maker = next(node for node in network.nodes if node.name == name)
    assert isinstance(maker, Product)
    head = maker.heads[number]
    quantum, readers = head.output.quantum, _readers(network, head.output.name)
    made = _moved(head, -1)
    if head.function != RELU or quantum.bits not in WIDTHS or quantum.zero_point or made is None:
        return None
    if readers.kept or not readers.nodes:
        return None
    read = [_at_half_units(node) for node in readers.nodes]
    if any(node is None for node in read):
        return None
    finer = Quantum(quantum.bits, quantum.exponent - 1, -(1 << (quantum.bits - 1)))
    made = replace(made, output=replace(head.output, quantum=finer))
    heads = (*maker.heads[:number], made, *maker.heads[number + 1 :])
    return [replace(maker, heads=heads), *(node for node in read if node is not None)]


def _at_half_units(node: Node) -> Product | None:
    """Return a product whose operand comes in half units; None if it does not fit."""
    if not isinstance(node, Product) or node.normalised_bits:
        return None
    heads = [_moved(head, 1) for head in node.heads]
    bias = None if node.bias is None else node.bias * 2
    if bias is not None and np.abs(bias).max(initial=0) > 2 * BIAS_LARGEST - 1:
        return None
    if any(head is None for head in heads):
        return None
    return replace(node, bias=bias, heads=tuple(head for head in heads if head is not None))


def _moved(head: Head, by: int) -> Head | None:
    """Return a head that shifts right by `by` more; None beyond what instructions shift."""
    multiplier, shift = head.requant.multiplier, head.requant.shift + by
    # What is multiplied shifts right only.
    least = np.where(multiplier > 1, 0, -MOST_LEFT)
    if (shift < least).any() or (shift > MOST_RIGHT).any():
        return None
    return replace(head, requant=Requant(multiplier, shift))
