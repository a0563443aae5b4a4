"""The exponents of tensors: a plan tells its input's and output's, and views keep them."""

from dataclasses import replace

from spusim.network.graph import outputs_of
from spusim.network.records import Cut, Join, Network, Node, Product, Quantum, Shift, State, Tensor


def with_output_exponent(network: Network, exponent: int) -> Network:
    """Return a network whose input keeps its exponent, and whose output has this one.

    A plan does not say the exponents of what lies between, which are left at 0 where no view
    shows elements of the input or output in them; integers do not depend on them.
    """
    leaders = _leaders(network)
    if leaders[network.output] == leaders[network.input.name] and (
        exponent != network.input.quantum.exponent
    ):
        network = relabelled(network)
        leaders = _leaders(network)
    exponents = {
        leaders[network.input.name]: network.input.quantum.exponent,
        leaders[network.output]: exponent,
    }

    def of(tensor: Tensor) -> Tensor:
        found = exponents.get(leaders[tensor.name], 0)
        return replace(tensor, quantum=Quantum(tensor.quantum.bits, found))

    def renewed(node: Node) -> Node:
        if isinstance(node, Product):
            heads = tuple(replace(head, output=of(head.output)) for head in node.heads)
            return replace(node, heads=heads)
        return replace(node, output=of(node.output))

    return replace(
        network,
        nodes=tuple(renewed(node) for node in network.nodes),
        states=tuple(replace(state, tensor=of(state.tensor)) for state in network.states),
    )


def relabelled(network: Network) -> Network:
    """Return a network whose output is a copy, with elements of its own."""
    made = {out.name: out for node in network.nodes for out in outputs_of(node)}
    made |= {tensor.name: tensor for tensor in (network.input, *_tensors(network.states))}
    source = made[network.output]
    output = replace(source, name=f"{source.name}.out")
    copy = Shift(output.name, "output", source.name, output)
    return replace(network, nodes=(*network.nodes, copy), output=output.name)


def _tensors(states: tuple[State, ...]) -> list[Tensor]:
    return [state.tensor for state in states]


def _leaders(network: Network) -> dict[str, str]:
    """Return for each tensor the one that stands for all that must share an exponent with it."""
    links: list[tuple[str, str]] = [(state.tensor.name, state.next) for state in network.states]
    names = [network.input.name, *(tensor.name for tensor in _tensors(network.states))]
    for node in network.nodes:
        names += [out.name for out in outputs_of(node)]
        if isinstance(node, Cut):
            links.append((node.a, node.output.name))
        elif isinstance(node, Join):
            links += [(name, node.output.name) for name in node.inputs]
    leaders = {name: name for name in names}

    def find(name: str) -> str:
        while leaders[name] != name:
            leaders[name] = leaders[leaders[name]]
            name = leaders[name]
        return name

    for a, b in links:
        leaders[find(b)] = find(a)
    return {name: find(name) for name in names}
