"""Binding a topology to a checkpoint: which tensor is which layer's weight."""

from collections.abc import Iterator

import numpy as np

from spusim.errors import nearest
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.errors import TopologyError
from spusim.frontend.fold import fold_norms
from spusim.frontend.layers.keys import Keys
from spusim.frontend.topology import TopologyModel
from spusim.frontend.wiring import Wiring, unread, unstacked, wire


def bind(
    topology: TopologyModel, tensors: dict[str, np.ndarray], source: str = "checkpoint"
) -> FloatNetwork:
    """Make a float network of a topology and a checkpoint's tensors.

    Batch norms go into the products before them. Keys that no layer uses are listed in its notes.
    Raises TopologyError naming all missing keys, all tensors of another shape, and what the layers
    cannot express.
    """
    topology = unstacked(topology)
    wiring = _wired(topology)
    keys = Keys(tensors)
    layers = [
        model.bind_to(tuple(wiring.shapes[name] for name in reads), keys)
        for model, reads in zip(topology.layers, wiring.reads, strict=True)
    ]
    _refuse(source, keys)
    network = FloatNetwork(
        topology.name,
        tuple(layers),
        topology.input.features,
        topology.labels,
        tuple(_notes(topology, source, keys)),
        tuple(wiring.reads),
        topology.output or layers[-1].name,
    )
    return fold_norms(network)


def wanted_keys(topology: TopologyModel) -> dict[str, tuple[int, ...]]:
    """Return the keys and shapes that a topology's layers take of a checkpoint, in their order.

    Raises TopologyError.
    """
    topology = unstacked(topology)
    wiring = _wired(topology)
    keys = Keys({})
    for model, reads in zip(topology.layers, wiring.reads, strict=True):
        model.bind_to(tuple(wiring.shapes[name] for name in reads), keys)
    return keys.wanted


def _wired(topology: TopologyModel) -> Wiring:
    wiring = wire(topology)
    if wiring.problems:
        raise TopologyError("\n".join(message for _, message in wiring.problems))
    return wiring


def _notes(topology: TopologyModel, source: str, keys: Keys) -> Iterator[str]:
    if keys.unused:
        yield f"warning: {source} has keys that no layer uses: {', '.join(keys.unused)}"
    idle = unread(topology)
    if idle:
        yield (
            f"warning: no layer reads {', '.join(idle)}, and the output is another; name it in an "
            "`input`, or drop it"
        )


def _refuse(source: str, keys: Keys) -> None:
    problems = list(keys.misshapen)
    for key in keys.missing:
        problems.append(f"{key} is missing; {nearest(key, keys.unused or list(keys.tensors))}")
    if problems:
        raise TopologyError(
            f"{source} does not fit the network file; correct a size, a layer's name or its "
            "prefix:\n" + "\n".join(f"  {problem}" for problem in problems)
        )
