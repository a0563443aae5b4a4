"""Batch norms that go into the weights of the convolutions over images before them."""

from collections import Counter
from dataclasses import replace

from spusim.frontend.chain import FloatNetwork
from spusim.frontend.layers import (
    FloatBatchNorm,
    FloatConv2d,
    FloatNode,
)

_TAKES_SCALES = (FloatConv2d,)


def folded(network: FloatNetwork) -> FloatNetwork:
    """Return a network whose convolutions over images have taken in their batch norms.

    A batch norm stays where another layer stands between, or where something else reads what it
    reads, or that is the output. What read the batch norm reads the layer.
    """
    readers = Counter(name for step in network.steps for name in step.inputs)
    made: dict[str, FloatNode] = {}
    reads: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for step in network.steps:
        inputs = tuple(names.get(name, name) for name in step.inputs)
        before, layer = made.get(inputs[0]), step.layer
        alone = readers[step.inputs[0]] == 1 and step.inputs[0] != network.output
        if isinstance(layer, FloatBatchNorm) and alone and type(before) in _TAKES_SCALES:
            assert before is not None
            made[before.name] = _scaled(before, layer)
            names[layer.name] = before.name
            continue
        made[layer.name], reads[layer.name] = layer, inputs
    return replace(
        network,
        layers=tuple(made.values()),
        inputs=tuple(reads.values()),
        output_layer=names.get(network.output, network.output),
    )


def _scaled(layer: FloatNode, norm: FloatBatchNorm) -> FloatNode:
    """Return a layer (weight and bias of its outputs first) with a batch norm after it taken in."""
    assert isinstance(layer, _TAKES_SCALES)
    scale = norm.scale.reshape(-1, *(1,) * (layer.weight.ndim - 1))
    bias = 0.0 if layer.bias is None else layer.bias * norm.scale
    weight = (layer.weight * scale).astype(layer.weight.dtype)
    return replace(layer, weight=weight, bias=bias + norm.offset)
