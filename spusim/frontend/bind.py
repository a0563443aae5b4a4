"""Binding a topology to a checkpoint: which tensor is which layer's weight."""

import numpy as np

from spusim.frontend.chain import FloatNetwork
from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import FloatLayer, Shape
from spusim.frontend.layers.keys import Keys
from spusim.frontend.topology import TopologyModel
from spusim.frontend.yaml_file import nearest


def bind(
    topology: TopologyModel, tensors: dict[str, np.ndarray], source: str = "checkpoint"
) -> FloatNetwork:
    """Make a float network of a topology and a checkpoint's tensors.

    Keys that no layer uses are listed in its notes. Raises TopologyError naming all missing
    keys, all tensors of another shape, and what the layers cannot express.
    """
    keys = Keys(tensors)
    layers: list[FloatLayer] = []
    shape = Shape(1, topology.input.size)
    for model in topology.layers:
        layers.append(model.bind(shape, keys))
        shape = model.output(shape)
    _refuse(source, keys)
    notes: tuple[str, ...] = ()
    if keys.unused:
        notes = (f"warning: {source} has keys that no layer uses: {', '.join(keys.unused)}",)
    return FloatNetwork(topology.name, tuple(layers), topology.input.size, topology.labels, notes)


def _refuse(source: str, keys: Keys) -> None:
    problems = list(keys.misshapen)
    for key in keys.missing:
        problems.append(f"{key} is missing; {nearest(key, keys.unused or list(keys.tensors))}")
    if problems:
        raise TopologyError(
            f"{source} does not fit the network file; correct a size, a layer's name or its "
            "prefix:\n" + "\n".join(f"  {problem}" for problem in problems)
        )
