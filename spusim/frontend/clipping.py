"""Ranges of what is cut off anyway: convolutions over images whose only reader is a clip."""

from collections import defaultdict

from spusim.frontend.chain import FloatNetwork, Step
from spusim.frontend.layers import FloatActivation, FloatConv2d, FloatNode
from spusim.frontend.layers.clamp import FloatClamp


def clipped_ranges(network: FloatNetwork, ranges: dict[str, float]) -> dict[str, float]:
    """Return absolute maxima in which a convolution has its reader's, where that cuts values off.

    What relu, relu6, hardtanh or clamp alone reads may saturate where their result ends: a finer
    quantum, and the same values after them. That takes requantisation that saturates.
    """
    readers: dict[str, list[Step]] = defaultdict(list)
    for step in network.steps:
        for name in set(step.inputs):
            readers[name].append(step)
    found = dict(ranges)
    for layer in network.layers:
        if not isinstance(layer, FloatConv2d) or layer.name == network.output:
            continue
        after = [step.layer for step in readers[layer.name]]
        if len(after) == 1 and _clips(after[0]):
            found[layer.name] = min(ranges[layer.name], ranges[after[0].name])
    return found


def _clips(layer: FloatNode) -> bool:
    relu = isinstance(layer, FloatActivation) and layer.function == "relu"
    return relu or isinstance(layer, FloatClamp)
