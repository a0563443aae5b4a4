"""Products that a compiler adds to copy elements, and that change no value whatever the modes."""

from dataclasses import dataclass

import numpy as np

from spusim.arch import Arch
from spusim.compiler.errors import CompileError
from spusim.compiler.graph import Graph
from spusim.network.records import Head, Product, Requant, Tensor
from spusim.program import ACTIVATION_BITS


@dataclass(frozen=True)
class CopyingProduct(Product):
    """A product whose rows have one 1 each, and whose sums no boundary requantises (A7)."""


def copied_from(graph: Graph, name: str) -> str:
    """Return the tensor that one is a copy of, if the compiler had it copied, or itself."""
    while isinstance(maker := graph.makers.get(name), CopyingProduct):
        name = maker.input
    return name


def selection(
    name: str, layer: str, source: Tensor, weight: np.ndarray, arch: Arch
) -> CopyingProduct:
    """Return the product with zeros and ones that copies elements of `source`.

    Raises CompileError where the lanes cannot multiply elements of its bits.
    """
    bits = source.quantum.bits
    known = [w for w in (4, 8, 16, 2) if f"{w}x{bits}" in arch.core.precisions]
    if not known or arch.numerics.accumulator_bits < bits:
        raise CompileError(
            f"{arch.name}: {source.name} of layer {layer} must be copied element by element, "
            f"which takes a product, and the lanes have none for {bits}-bit activations; make it "
            f"one of {', '.join(map(str, ACTIVATION_BITS))} bits"
        )
    one = Requant(np.ones(1, np.int64), np.zeros(1, np.int64))
    heads = (Head(0, Tensor(name, len(weight), source.quantum), one),)
    return CopyingProduct(name, layer, source.name, weight, known[0], None, heads)
