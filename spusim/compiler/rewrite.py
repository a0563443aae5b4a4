"""Rewriting a network, exactly, into what a machine does with fewer or with any instructions."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, count

import numpy as np

from spusim.arch import Arch
from spusim.compiler.convolution import shorten_kernels
from spusim.compiler.copying import selection
from spusim.compiler.graph import Graph
from spusim.compiler.merge import merge_products
from spusim.network.graph import inputs_of, outputs_of, tensors_of
from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Convolution,
    Curve,
    Cut,
    Function,
    Head,
    Join,
    Network,
    Node,
    Pooling,
    Product,
    Prune,
    Shift,
    Tensor,
)

TABLE_INPUT_BITS = 16
RELU = Curve("relu")


class FreeNames:
    """Names for what a rewriting adds, none of them a tensor's or a node's of the network."""

    def __init__(self, network: Network) -> None:
        self._taken = {each.name for each in (*tensors_of(network), *network.nodes)}

    def free(self, wanted: str) -> str:
        """Return `wanted`, or the first free of wanted.2, wanted.3, ...; then it is taken."""
        numbered = (f"{wanted}.{number}" for number in count(2))
        name = next(name for name in chain([wanted], numbered) if name not in self._taken)
        self._taken.add(name)
        return name


def rewrite(network: Network, arch: Arch) -> Network:
    """Return a network that computes the same, in terms that can be distributed and placed.

    Raises CompileError for what no instruction and no product can do.
    """
    steps: tuple[Callable[[Network, Arch], Network], ...] = (
        _fold_cuts,
        merge_products,
        _spread_scalars,
        _fuse_functions,
        shorten_kernels,
        _separate_states,
        _drop_dead,
    )
    for step in steps:
        network = step(network, arch)
    return network


def _fold_cuts(network: Network, arch: Arch) -> Network:
    """Let products read windows of what was cut, so that the cut need not be placed."""
    makers = Graph(network).makers

    def folded(node: Node) -> Node:
        while (
            isinstance(node, Product)
            and not node.normalised_bits  # its scale is that of all it reads
            and isinstance(cut := makers.get(node.input), Cut)
        ):
            windows = tuple(first + cut.first for first in node.windows)
            node = replace(node, input=cut.a, windows=windows)
        return node

    return replace(network, nodes=tuple(folded(node) for node in network.nodes))


def _spread_scalars(network: Network, arch: Arch) -> Network:
    """Repeat an operand of one element by a column of ones: the vector unit cannot."""
    tensors, names = Graph(network).tensors, FreeNames(network)
    nodes: list[Node] = []
    for node in network.nodes:
        if isinstance(node, Combine) and tensors[node.b].size < node.output.size:
            spread = selection(
                names.free(f"{node.name}.spread"), node.layer, tensors[node.b],
                np.ones((node.output.size, 1), np.int8), arch,
            )  # fmt: skip
            nodes.append(spread)
            node = replace(node, b=spread.heads[0].output.name)
        nodes.append(node)
    return replace(network, nodes=tuple(nodes))


def copied_input(network: Network, arch: Arch) -> Network:
    """Return a network in which all but products read a copy of the input, made by a product."""
    size = network.input.size
    layer, name = network.nodes[0].layer, FreeNames(network).free("input.copy")
    copy = selection(name, layer, network.input, np.eye(size, dtype=np.int8), arch)
    names = {network.input.name: copy.heads[0].output.name}
    return _renamed(replace(network, nodes=(copy, *network.nodes)), names)


def copied_output(network: Network, arch: Arch) -> Network:
    """Return a network whose output is copied, by a product, into consecutive elements."""
    source = Graph(network).tensors[network.output]
    maker = Graph(network).makers.get(source.name)
    eye = np.eye(source.size, dtype=np.int8)
    name = FreeNames(network).free("output.copy")
    copy = selection(name, maker.layer if maker else "output", source, eye, arch)
    return replace(network, nodes=(*network.nodes, copy), output=name)


def isolated_tops(network: Network, tops: tuple[str, ...], arch: Arch) -> Network:
    """Return a network in which products copy what the named prunings to the top take and give."""
    tensors, names = Graph(network).tensors, FreeNames(network)
    nodes: list[Node] = []
    for node in network.nodes:
        if not isinstance(node, Prune) or node.name not in tops:
            nodes.append(node)
            continue
        eye = np.eye(node.output.size, dtype=np.int8)
        kept = replace(node.output, name=names.free(f"{node.output.name}.kept"))
        name = names.free(f"{node.output.name}.whole")
        whole = selection(name, node.layer, tensors[node.a], eye, arch)
        top = replace(node, name=kept.name, a=whole.heads[0].output.name, output=kept)
        copy = selection(node.output.name, node.layer, kept, eye, arch)
        nodes += [whole, top, replace(copy, name=names.free(f"{node.name}.parts"))]
    return replace(network, nodes=tuple(nodes))


def isolated_windows(network: Network, broken: frozenset[str], arch: Arch) -> Network:
    """Return a network in which products copy the named tensors before windows, and after them."""
    tensors, names = Graph(network).tensors, FreeNames(network)
    nodes: list[Node] = []
    for node in network.nodes:
        if not isinstance(node, Convolution | Pooling) or not {node.a, node.output.name} & broken:
            nodes.append(node)
            continue
        after: list[Node] = []
        if node.a in broken:
            nodes.append(_whole(names, node.layer, tensors[node.a], arch))
            node = replace(node, a=nodes[-1].name)
        if node.output.name in broken:
            made = replace(node.output, name=names.free(f"{node.output.name}.whole"))
            eye = np.eye(made.size, dtype=np.int8)
            copy = selection(node.output.name, node.layer, made, eye, arch)
            after = [replace(copy, name=names.free(f"{node.name}.parts"))]
            node = replace(node, output=made)
        nodes += [node, *after]
    return replace(network, nodes=tuple(nodes))


def _whole(names: FreeNames, layer: str, source: Tensor, arch: Arch) -> Product:
    eye = np.eye(source.size, dtype=np.int8)
    return selection(names.free(f"{source.name}.whole"), layer, source, eye, arch)


def _renamed(network: Network, names: dict[str, str]) -> Network:
    """Return a network in which everything but products takes other tensors."""

    def of(name: str) -> str:
        return names.get(name, name)

    def renamed(node: Node) -> Node:
        if isinstance(node, Product | Constant):
            return node
        if isinstance(node, Join):
            return replace(node, inputs=tuple(map(of, node.inputs)))
        if isinstance(node, Combine):
            return replace(node, a=of(node.a), b=of(node.b))
        return replace(node, a=of(node.a))

    return replace(
        network,
        nodes=tuple(map(renamed, network.nodes)),
        states=tuple(replace(state, next=of(state.next)) for state in network.states),
        output=of(network.output),
    )


def _fuse_functions(network: Network, arch: Arch) -> Network:
    """Let requantisation apply the function that alone reads what it makes."""
    graph = Graph(network)
    fused: dict[str, Node] = {}  # head's output -> node that goes into it
    for node in network.nodes:
        if isinstance(node, Shift | Apply) and _fusible(graph, node):
            fused[node.a] = node

    def with_functions(node: Node) -> Node:
        if isinstance(node, Convolution) and node.output.name in fused:
            return replace(node, output=outputs_of(fused[node.output.name])[0], relu=True)
        if not isinstance(node, Product):
            return node
        heads = tuple(
            _fused(head, fused[head.output.name]) if head.output.name in fused else head
            for head in node.heads
        )
        return replace(node, heads=heads)

    gone = {node.name for node in fused.values()}
    return replace(
        network,
        nodes=tuple(with_functions(node) for node in network.nodes if node.name not in gone),
    )


def _fusible(graph: Graph, node: Shift | Apply) -> bool:
    maker = graph.makers.get(node.a)
    if node.a in graph.kept or len(graph.readers[node.a]) > 1:
        return False
    relu = isinstance(node, Shift) and node.relu and node.sd == 0
    if isinstance(maker, Convolution):
        return relu and maker.output.quantum.bits == outputs_of(node)[0].quantum.bits
    if not isinstance(maker, Product):
        return False
    head = next(head for head in maker.heads if head.output.name == node.a)
    bits = head.output.quantum.bits
    if head.function is not None:
        return False
    if isinstance(node, Shift):
        return relu and bits == node.output.quantum.bits
    return node.sa == 0 and bits == TABLE_INPUT_BITS


def _fused(head: Head, node: Node) -> Head:
    function: Function = node.function if isinstance(node, Apply) else RELU
    entry = head.output.quantum if isinstance(node, Apply) else None
    return replace(head, output=outputs_of(node)[0], function=function, entry=entry)


def _separate_states(network: Network, arch: Arch) -> Network:
    """Copy next values that show other states, or their own state's elements moved upwards.

    What a frame leaves to the next can then be written state by state, in any order.
    """
    graph, nodes, states = Graph(network), list(network.nodes), []
    names = FreeNames(network)
    for state in network.states:
        if any(
            segment.root in graph.states
            and (segment.root != state.tensor.name or segment.first < segment.at)
            for segment in graph.segments(state.next)
        ):
            output = replace(state.tensor, name=names.free(f"{state.tensor.name}.next"))
            nodes.append(Shift(output.name, state.layer, state.next, output))
            state = replace(state, next=output.name)
        states.append(state)
    return replace(network, nodes=tuple(nodes), states=tuple(states))


def _drop_dead(network: Network, arch: Arch) -> Network:
    """Drop nodes and states that no output depends on."""
    makers, states = Graph(network).makers, Graph(network).states
    alive: set[str] = set()
    wanted = [network.output]
    while wanted:
        name = wanted.pop()
        if name in alive:
            continue
        alive.add(name)
        if name in states:
            wanted.append(states[name].next)
        elif name in makers:
            wanted += inputs_of(makers[name])
    return replace(
        network,
        nodes=tuple(
            node for node in network.nodes if any(out.name in alive for out in outputs_of(node))
        ),
        states=tuple(state for state in network.states if state.tensor.name in alive),
    )
