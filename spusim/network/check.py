"""Consistency of a quantised network: what every room after the front end may rely on."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from spusim.formats import ELEMENT_BITS, unfit
from spusim.network.check_products import (
    check_convolution,
    check_function,
    check_pooling,
    check_product,
    check_rounding,
)
from spusim.network.graph import inputs_of, outputs_of, tensors_of
from spusim.network.records import (
    Apply,
    Combine,
    Constant,
    Convolution,
    Curve,
    Cut,
    Join,
    Network,
    NetworkError,
    Node,
    Pooling,
    Product,
    Prune,
    Shift,
    State,
    Tensor,
)
from spusim.network.zero_points import check_zero_points
from spusim.numerics import MOST_LEFT, MOST_RIGHT

TENSOR_BITS = ELEMENT_BITS
LARGEST_THRESHOLD, LARGEST_TOP = 2**24 - 1, 2**16 - 1  # what instructions have room for
KINDS = ("add", "sub", "mul", "max", "min")

Tensors = dict[str, Tensor]


def check_network(network: Network) -> None:
    """Raise NetworkError for the first thing in a network that is not as `records` says."""
    _check_names(network)
    known: Tensors = {network.input.name: network.input}
    known |= {state.tensor.name: state.tensor for state in network.states}
    for made in known.values():
        _check_tensor(made)
    made_later = {out.name for node in network.nodes for out in outputs_of(node)}
    for node in network.nodes:
        for name in inputs_of(node):
            _check_known(f"node {node.name}", name, known, made_later)
        for out in outputs_of(node):
            _check_tensor(out)
        _CHECKS[type(node)](node, known)
        known |= {out.name: out for out in outputs_of(node)}
    for state in network.states:
        _check_state(state, known)
    _check_mixed(network, known)
    _check_known(f"network {network.name}: its output", network.output, known, set())
    check_zero_points(network)
    size = known[network.output].size
    if network.labels and len(network.labels) != size:
        raise NetworkError(
            f"network {network.name} has {len(network.labels)} labels for {size} outputs; "
            "give one label per output"
        )


def _check_names(network: Network) -> None:
    kinds = {
        "tensors": [each.name for each in tensors_of(network)],
        "nodes": [node.name for node in network.nodes],
    }
    for what, names in kinds.items():
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise NetworkError(
                f"network {network.name} has several {what} called {', '.join(twice)}; "
                "names must be unique"
            )


def _check_known(who: str, name: str, known: Tensors, made_later: set[str]) -> None:
    if name in known:
        return
    if name in made_later:
        raise NetworkError(
            f"{who} takes {name} before it is made; nodes must stand in order, and what goes "
            "round needs a state"
        )
    raise NetworkError(f"{who} takes {name}, which no node makes; there is {', '.join(known)}")


def _check_tensor(tensor: Tensor) -> None:
    if tensor.size < 1:
        raise NetworkError(f"tensor {tensor.name} has {tensor.size} elements; it needs one")
    if tensor.quantum.bits not in TENSOR_BITS:
        raise NetworkError(
            f"tensor {tensor.name} has elements of {tensor.quantum.bits} bits; use one of "
            f"{TENSOR_BITS}"
        )


def _check_state(state: State, known: Tensors) -> None:
    name = state.tensor.name
    if state.next not in known:
        raise NetworkError(
            f"state {name} is never set: no node makes its next value {state.next}; name a tensor"
        )
    found = known[state.next]
    if (found.size, found.quantum) != (state.tensor.size, state.tensor.quantum):
        raise NetworkError(
            f"state {name} has {_told(state.tensor)}, its next value {found.name} {_told(found)}; "
            "they must agree"
        )
    start = np.asarray(state.start)
    if start.shape not in ((), (state.tensor.size,)):
        raise NetworkError(
            f"state {name} starts with shape {start.shape}; use () or ({state.tensor.size},)"
        )
    if state.tensor.quantum.bits == 1 and not start.all():
        raise NetworkError(
            f"layer {state.layer} keeps {name} from frame to frame, of one bit, and begins at 0, "
            "while one bit says 1 or -1: a state needs 4 bits or more; set quantise.activations=4 "
            "(or input.bits=4, if it keeps frames); quantise.weights=binary may stay"
        )
    _check_values(f"state {name} starts", start, state.tensor)


def _check_values(what: str, values: np.ndarray, tensor: Tensor) -> None:
    if values.dtype.kind not in "iu" or unfit(values, tensor.quantum.bits).any():
        raise NetworkError(
            f"{what} with values outside integers of {tensor.quantum.bits} bits; quantise them"
        )


def _check_combine(node: Combine, known: Tensors) -> None:
    a, b = known[node.a], known[node.b]
    if node.kind not in KINDS:
        raise NetworkError(f"node {node.name} has kind {node.kind}; use {', '.join(KINDS)}")
    if node.output.size != a.size or b.size not in (1, a.size):
        raise NetworkError(
            f"node {node.name} makes {node.output.size} elements of {a.size} and {b.size}; "
            "all must be as many, or b one"
        )
    if node.kind == "mul" and (node.sa or node.sb):
        raise NetworkError(
            f"node {node.name} multiplies shifted operands ({node.sa}, {node.sb}); shift the "
            "product by sd instead"
        )
    _check_shifts(node, node.sa, node.sb, node.sd)
    check_rounding(node)


def _check_shift(node: Shift, known: Tensors) -> None:
    _check_same_size(node, known[node.a])
    _check_shifts(node, node.sd)
    check_rounding(node)


def _check_apply(node: Apply, known: Tensors) -> None:
    _check_same_size(node, known[node.a])
    _check_shifts(node, node.sa)
    if node.function == Curve("relu"):
        raise NetworkError(f"node {node.name} applies relu, which is no table; use a Shift")
    check_function(f"node {node.name}", node.function)


def _check_prune(node: Prune, known: Tensors) -> None:
    _check_same_size(node, known[node.a])
    _check_quantum(node, known[node.a])
    most = {"threshold": LARGEST_THRESHOLD, "top": LARGEST_TOP}
    if node.kind not in most:
        raise NetworkError(f"node {node.name} has kind {node.kind}; use {', '.join(most)}")
    if not 0 <= node.parameter <= most[node.kind]:
        raise NetworkError(
            f"node {node.name} prunes by {node.kind} {node.parameter}; use 0 to {most[node.kind]}"
        )


def _check_constant(node: Constant, known: Tensors) -> None:
    if node.values.shape != (node.output.size,):
        raise NetworkError(
            f"constant {node.name} has values {node.values.shape} for {node.output.size} elements"
        )
    _check_values(f"constant {node.name} is", node.values, node.output)


def _check_join(node: Join, known: Tensors) -> None:
    if not node.inputs:
        raise NetworkError(f"node {node.name} joins nothing; give it inputs")
    size = sum(known[name].size for name in node.inputs)
    if size != node.output.size:
        raise NetworkError(
            f"node {node.name} joins {size} elements to {node.output.size}; they must be as many"
        )
    for name in node.inputs:
        if known[name].quantum.bits != node.output.quantum.bits:
            _check_quantum(node, known[name])


def _check_mixed(network: Network, known: Tensors) -> None:
    """Refuse readers other than products of what joins exponents: they could not know them."""
    kept = {network.output, *(state.next for state in network.states)}
    mixed = {
        node.output.name: node
        for node in network.nodes
        if isinstance(node, Join)
        and any(known[name].quantum != node.output.quantum for name in node.inputs)
    }
    for reader in network.nodes:
        if not isinstance(reader, Product) or reader.normalised_bits:
            kept |= set(inputs_of(reader))
    for name in mixed.keys() & kept:
        node = mixed[name]
        other = next(x for x in node.inputs if known[x].quantum != node.output.quantum)
        _check_quantum(node, known[other])


def _check_cut(node: Cut, known: Tensors) -> None:
    size = known[node.a].size
    if node.first < 0 or node.first + node.output.size > size:
        raise NetworkError(
            f"node {node.name} cuts {node.first} to {node.first + node.output.size - 1} out of "
            f"{node.a}'s {size} elements; cut within them"
        )
    _check_quantum(node, known[node.a])


def _check_quantum(node: Join | Cut | Prune, source: Tensor) -> None:
    if source.quantum != node.output.quantum:
        raise NetworkError(
            f"node {node.name} makes {node.output.quantum} of {source.name} in {source.quantum}; "
            "the quantum must stay"
        )


def _check_same_size(node: Shift | Apply | Prune, source: Tensor) -> None:
    if node.output.size != source.size:
        raise NetworkError(
            f"node {node.name} makes {node.output.size} elements of {source.size}; they must be "
            "as many"
        )


def _check_shifts(node: Node, *shifts: int) -> None:
    if not all(-MOST_LEFT <= shift <= MOST_RIGHT for shift in shifts):
        raise NetworkError(
            f"node {node.name} shifts by {shifts}; use -{MOST_LEFT} (left) to {MOST_RIGHT}"
        )


def _told(tensor: Tensor) -> str:
    return f"{tensor.size} elements of {tensor.quantum.bits} bits, 2**{tensor.quantum.exponent}"


_CHECKS: dict[type, Callable[[Any, Tensors], None]] = {
    Product: check_product,
    Convolution: check_convolution,
    Pooling: check_pooling,
    Combine: _check_combine,
    Shift: _check_shift,
    Apply: _check_apply,
    Prune: _check_prune,
    Constant: _check_constant,
    Join: _check_join,
    Cut: _check_cut,
}
