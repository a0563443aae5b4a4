"""Asymmetric activations: what is never negative and only products read takes unsigned codes.

A symmetric code of such a tensor never uses its sign. With the lowest code for zero the same range
is told in steps of half the size, and the scanner, which subtracts the zero point, skips the same
elements. Products that read the tensor count in half the unit, so their biases double. Sigmoids
come from tables of 16 bits, a range within 0 to 1 of which unsigned codes tell in 4 or 8 bits.
What else is never negative stays symmetric, and a note says why.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spusim.frontend.weights import BIAS_LARGEST
from spusim.network.graph import inputs_of, outputs_of, tensor
from spusim.network.records import (
    Apply,
    Combine,
    Curve,
    Head,
    Network,
    Node,
    Product,
    Quantum,
    Requant,
    Shift,
    Tensor,
)
from spusim.numerics import MOST_LEFT, MOST_RIGHT

RELU = Curve("relu")
UNIT_CURVES = (Curve("sigmoid"), Curve("hardsigmoid"))  # from 0 to 1
WIDTHS = (8, 16)
TABLE_WIDTHS = (4, 8)  # a table's entries have 16 bits, and a sign
TABLE_ENTRY_BITS = 16


@dataclass(frozen=True)
class _Readers:
    """Who takes a tensor, and whether it also leaves the network or becomes a state."""

    nodes: tuple[Node, ...]
    kept: bool


def asymmetric_activations(network: Network, bits: int = 16) -> Network:
    """Return a network in which outputs of relu and sigmoid have zero points, wherever they can.

    bits: of activations, which sigmoids take where these are 4 or 8. They can if only products read
    them, and biases and shifts leave room; `notes` names them, and what of their kind cannot.
    Their integers change, and so may the network's outputs, by what was rounded away before.
    """
    network = _with_relu_in_heads(network)
    if bits in TABLE_WIDTHS:
        network = _with_unsigned_tables(network, bits)
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
    network = replace(network, nodes=tuple(nodes.values()), notes=tuple(notes))
    return replace(network, notes=(*network.notes, *_left_symmetric(network)))


def _with_unsigned_tables(network: Network, bits: int) -> Network:
    """Let products apply the sigmoids that alone read what they make, in unsigned codes."""
    nodes = {node.name: node for node in network.nodes}
    notes = list(network.notes)
    finer = Quantum(bits, -bits, -(1 << (bits - 1)))
    for table in [node for node in network.nodes if isinstance(node, Apply)]:
        now = replace(network, nodes=tuple(nodes.values()))
        maker, readers = _table_maker(now, table), _readers(now, table.output.name)
        by = finer.exponent - table.output.quantum.exponent
        read = [_in_units(node, by) for node in readers.nodes]
        if maker is None or readers.kept or not read or any(node is None for node in read):
            continue
        output = replace(table.output, quantum=finer)
        heads = tuple(
            replace(head, output=output, function=table.function, entry=head.output.quantum)
            if head.output.name == table.a
            else head
            for head in maker.heads
        )
        del nodes[table.name]
        changed = [replace(maker, heads=heads), *(node for node in read if node is not None)]
        nodes |= {node.name: node for node in changed}
        notes.append(f"{output.name}: unsigned codes of {bits} bits, zero point {finer.zero_point}")
    return replace(network, nodes=tuple(nodes.values()), notes=tuple(notes))


def _table_maker(network: Network, table: Apply) -> Product | None:
    """Return the product whose requantisation can apply a table of values from 0 to 1."""
    readers = _readers(network, table.a)
    if table.function not in UNIT_CURVES or table.sa or readers.kept or len(readers.nodes) > 1:
        return None
    for node in network.nodes:
        for head in node.heads if isinstance(node, Product) else ():
            plain = head.function is None and head.output.quantum.bits == TABLE_ENTRY_BITS
            if head.output.name == table.a and plain and isinstance(node, Product):
                return node
    return None


def _in_units(node: Node, by: int) -> Product | None:
    """Return a product whose operand's unit is 2**by times as large; None if it does not fit."""
    if not isinstance(node, Product) or node.normalised_bits:
        return None
    heads = [_moved(head, -by) for head in node.heads]
    if any(head is None for head in heads):
        return None
    bias = None if node.bias is None else np.rint(node.bias / 2.0**by).astype(np.int64)
    return replace(node, bias=bias, heads=tuple(head for head in heads if head is not None))


def _left_symmetric(network: Network) -> Iterator[str]:
    """Yield what is never negative and read by products, but has no zero point, and why."""
    unsigned: set[str] = set()
    for node in network.nodes:
        for output in _never_negative(node, unsigned):
            unsigned.add(output.name)
            readers = _readers(network, output.name)
            multiplied = any(isinstance(reader, Product) for reader in readers.nodes)
            if multiplied and not output.quantum.zero_point:
                yield f"{output.name}: stays symmetric: {_why(node, output, readers)}"


def _never_negative(node: Node, known: set[str]) -> Iterator[Tensor]:
    """Yield the outputs of relu and sigmoid, and of such that are clipped from above."""
    if isinstance(node, Product):
        yield from (h.output for h in node.heads if h.function in (RELU, *UNIT_CURVES))
        return
    relu = isinstance(node, Shift) and node.relu
    curve = isinstance(node, Apply) and node.function in UNIT_CURVES
    clipped = isinstance(node, Combine) and node.kind == "min" and node.a in known
    if relu or curve or clipped:
        yield from outputs_of(node)


def _why(node: Node, output: Tensor, readers: _Readers) -> str:
    """Say what keeps a tensor from unsigned codes, and what would not."""
    others = [reader.name for reader in readers.nodes if not isinstance(reader, Product)]
    if readers.kept:
        return "it leaves the network or is kept for the next frame; copy it by a linear layer"
    if others:
        return f"{others[0]} reads it element by element, too; let only products read it"
    if any(isinstance(each, Product) and each.normalised_bits for each in readers.nodes):
        return "its readers find its scale at run time; quantise.scales=static has zero points"
    if not isinstance(node, Product):
        return (
            "no product makes it, and only products add zero points (relu and sigmoid right after "
            "one)"
        )
    if output.quantum.bits not in WIDTHS:
        return f"it has {output.quantum.bits} bits; set quantise.activations to 8 or 16"
    return "a bias or shift of what reads it has no room; scale those weights"


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
