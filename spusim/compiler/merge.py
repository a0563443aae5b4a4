"""Products of one layer that read one operand, merged into one that scans it once.

A GRU's gates read [x; h], the parts of its new value only x or only h. As matrices of their own
they cost what their MACs cost, but each scans its columns for itself, and in sparse matrices most
columns take a PE but the cycle of their pop. Rows with zeros where a product does not read (`void`
elements, which no dense machine need multiply) share the others' pops.
"""

from collections import defaultdict
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from spusim.arch import Arch
from spusim.compiler.storage import choose_format
from spusim.network.records import Network, Node, Product


@dataclass(frozen=True)
class Block:
    """Rows and columns of a merged product that one of its products had."""

    rows: range
    columns: range


@dataclass(frozen=True)
class SiblingProduct(Product):
    """One of several products of an operand, or all of them merged: then with their blocks.

    first_sibling: the name under which recordings know the operand, merged or not.
    """

    first_sibling: str = ""
    blocks: tuple[Block, ...] = ()


def merge_products(network: Network, arch: Arch) -> Network:
    """Merge sibling products where weights are skipped, so that zeros between them cost nothing."""
    families: dict[tuple[object, ...], list[Product]] = defaultdict(list)
    for node in network.nodes:
        if isinstance(node, Product) and len(node.windows) == 1 and not _draws(node, arch):
            alike = (node.weight_bits, node.codebook, node.rounding, node.normalised_bits)
            families[(node.layer, node.input, *alike)].append(node)
    changed: dict[str, list[Node]] = {}
    for family in families.values():
        if len(family) > 1:
            changed |= _siblings(family, arch)
    nodes = [new for node in network.nodes for new in changed.get(node.name, [node])]
    return replace(network, nodes=tuple(nodes))


def _draws(node: Product, arch: Arch) -> bool:
    """Whether a product rounds stochastically, by random bits that belong to its own name."""
    return (node.rounding or arch.numerics.rounding) == "stochastic"


def _siblings(family: list[Product], arch: Arch) -> dict[str, list[Node]]:
    """Return what becomes of each product of a family; merged ones stand where the first stood."""
    first = family[0].name
    merged = _merged(family)
    form, _ = choose_format(arch, merged.weight, merged.weight_bits, merged.codebook, merged.name)
    if arch.core.sparse.weights == "skip" and form != "dense":
        return {node.name: [merged] if node.name == first else [] for node in family}
    return {node.name: [SiblingProduct(**_fields(node), first_sibling=first)] for node in family}


def _merged(family: list[Product]) -> SiblingProduct:
    begin = min(node.windows[0] for node in family)
    end = max(node.windows[0] + node.weight.shape[1] for node in family)
    size = sum(len(node.weight) for node in family)
    weight = np.zeros((size, end - begin), np.result_type(*(node.weight for node in family)))
    bias = np.zeros(size, np.int64)
    heads, blocks, row = [], [], 0
    for node in family:
        rows, columns = node.weight.shape
        left = node.windows[0] - begin
        weight[row : row + rows, left : left + columns] = node.weight
        if node.bias is not None:
            bias[row : row + rows] = node.bias
        heads += [replace(head, first=head.first + row) for head in node.heads]
        blocks.append(Block(range(row, row + rows), range(left, left + columns)))
        row += rows
    values = _fields(family[0]) | {
        "weight": weight,
        "bias": None if all(node.bias is None for node in family) else bias,
        "heads": tuple(heads),
        "windows": (begin,),
    }
    return SiblingProduct(**values, first_sibling=family[0].name, blocks=tuple(blocks))


def _fields(node: Product) -> dict[str, Any]:
    return {field.name: getattr(node, field.name) for field in fields(Product)}


def operand_name(node: Product) -> str:
    """Return the name under which recordings know a product's operand."""
    return node.first_sibling if isinstance(node, SiblingProduct) else node.name


def void_elements(node: Product, rows: np.ndarray, columns: np.ndarray) -> int:
    """Return how many of the elements in these rows and columns, (n,) each, are in no block."""
    if not isinstance(node, SiblingProduct) or not node.blocks:
        return 0
    inside: int = sum(
        int(_within(rows, block.rows).sum()) * int(_within(columns, block.columns).sum())
        for block in node.blocks
    )
    return len(rows) * len(columns) - inside


def _within(numbers: np.ndarray, span: range) -> np.ndarray:
    return (numbers >= span.start) & (numbers < span.stop)
