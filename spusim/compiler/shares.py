"""Sharing convolutions and poolings out over cores: by planes, else by rows of the output."""

import math

from spusim.arch import Arch
from spusim.compiler.graph import Graph
from spusim.compiler.split import elements_per_word, group_rows
from spusim.network.graph import Windowed
from spusim.network.records import Convolution


def share_unit(graph: Graph, node: Windowed, arch: Arch) -> int:
    """Return the elements of a window's output that one core must compute, or 0: one core all.

    Planes of whole groups of rows; or rows of the output that end with a word. What moves planes
    of single pixels, or makes a vector of an image, is one core's.
    """
    output, shape = node.output, node.geometry
    if _moves(graph, node):
        return 0
    if output.name in graph.pixels:
        filters = group_rows(arch) if isinstance(node, Convolution) else 1
        return graph.pixels[output.name] * filters
    return math.lcm(shape.out_width * shape.filters, elements_per_word(arch, output.quantum.bits))


def read_span(graph: Graph, node: Windowed, first: int, size: int) -> tuple[int, int]:
    """Return the first of the elements, and how many, that `size` of the output's are made of."""
    shape = node.geometry
    inputs = shape.channels * shape.height * shape.width
    if _moves(graph, node):
        return 0, inputs
    if node.output.name in graph.pixels:
        plane, pixels = graph.pixels[node.output.name], graph.pixels[node.a]
        inner, per_group = shape.channels // shape.groups, shape.filters // shape.groups
        begin = first // plane // per_group * inner
        end = ((first + size - 1) // plane // per_group + 1) * inner
        return begin * pixels, (end - begin) * pixels
    row, read = shape.out_width * shape.filters, shape.width * shape.channels
    begin = first // row * shape.stride[0] - shape.padding[0]
    end = (first + size - 1) // row * shape.stride[0] - shape.padding[0] + shape.reach[0]
    begin = min(max(begin, 0), shape.height - 1)  # at least a row, though it is outside
    return begin * read, (min(max(end, begin + 1), shape.height) - begin) * read


def _moves(graph: Graph, node: Windowed) -> bool:
    """Tell whether a window has planes on one side only."""
    return (node.output.name in graph.pixels) != (node.a in graph.pixels)
