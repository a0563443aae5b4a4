"""Batch norms that go into the linear layers and convolutions before them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from spusim.frontend.chain import FloatLinear, FloatNetwork
from spusim.frontend.layers import FloatBatchNorm, FloatConv2d, FloatNode
from spusim.frontend.layers.affine import FloatAffine
from spusim.frontend.layers.conv1d import FloatCausalConv1d, FloatConv1d

_PRODUCTS = (FloatLinear, FloatConv1d, FloatCausalConv1d)  # and no layers that are based on them
_NORMS = (FloatAffine, FloatBatchNorm)
MOST_APART = 2.0**20  # gains of one product: beyond it, the weakest rows would lose their bits

# the layer before and the one after it -> both in one, or None where that cannot be
Absorb = Callable[[FloatNode, FloatNode], FloatNode | None]


def fold_norms(network: FloatNetwork) -> FloatNetwork:
    """Let linear layers and 1-D convolutions do the batch norm, or affine layer, after them.

    s (W x + b) + t = |s| (sign(s) W) x + (s b + t): exact, and free, since requantisation
    multiplies every row anyway. Norms of a zero scale stay, and those of scales too far apart.
    """
    folded, becomes = _folded(network, _with_gain)
    told = tuple(f"{norm}: folded into {product}" for norm, product in becomes.items())
    return replace(folded, notes=(*network.notes, *told))


def fold_image_norms(network: FloatNetwork, given_up: bool = False) -> FloatNetwork:
    """Let convolutions over images take the batch norms after them into their weights.

    Later than `fold_norms`, since random weights measure these norms once they are pruned.
    given_up: nobody needs the network any more, so its weights may be written to.
    """
    own = network.owner() if given_up else lambda _: False
    return _folded(network, partial(_scaled, own=own))[0]


def _folded(network: FloatNetwork, absorb: Absorb) -> tuple[FloatNetwork, dict[str, str]]:
    """Return a network in which layers have absorbed what alone reads them, and what became what.

    A layer whose output is the network's stays as it is. What read the absorbed reads the layer.
    """
    readers = Counter(name for step in network.steps for name in set(step.inputs))
    made: dict[str, FloatNode] = {}
    reads: dict[str, tuple[str, ...]] = {}
    becomes: dict[str, str] = {}
    for step in network.steps:
        inputs = tuple(becomes.get(name, name) for name in step.inputs)
        before = made.get(inputs[0])
        alone = readers[step.inputs[0]] == 1 and step.inputs[0] != network.output
        both = absorb(before, step.layer) if before is not None and alone else None
        if both is None:
            made[step.layer.name], reads[step.layer.name] = step.layer, inputs
        else:
            made[both.name] = both
            becomes[step.layer.name] = both.name
    folded = replace(
        network,
        layers=tuple(made.values()),
        inputs=tuple(reads.values()),
        output_layer=becomes.get(network.output, network.output),
    )
    return folded, becomes


def _with_gain(before: FloatNode, norm: FloatNode) -> FloatNode | None:
    """Return a product with a norm as gain and bias, or None where it cannot have it."""
    if type(before) not in _PRODUCTS or not isinstance(norm, _NORMS):
        return None
    assert isinstance(before, FloatLinear | FloatConv1d)
    rows = len(before.weight)
    scale, offset = norm.scale[:rows], norm.offset[:rows]
    gain = np.abs(scale)
    repeats = len(norm.scale) // rows
    if not gain.min() * MOST_APART > gain.max() or not (
        np.array_equal(np.tile(scale, repeats), norm.scale)
        and np.array_equal(np.tile(offset, repeats), norm.offset)
    ):
        return None
    weight = before.weight * np.sign(scale).reshape(-1, *(1 for _ in before.weight.shape[1:]))
    bias = offset if before.bias is None else scale * before.bias + offset
    gained = gain if before.gain is None else gain * before.gain
    return replace(before, weight=weight, bias=bias, gain=gained)


def _scaled(
    before: FloatNode, norm: FloatNode, own: Callable[[np.ndarray], bool]
) -> FloatNode | None:
    """Return a convolution over images with a norm in weights and bias, or None."""
    if type(before) is not FloatConv2d or not isinstance(norm, FloatBatchNorm):
        return None
    weight = before.weight if own(before.weight) else np.empty_like(before.weight)
    scale = norm.scale[:, None, None, None]
    np.multiply(before.weight, scale, out=weight, casting="same_kind")
    bias = 0.0 if before.bias is None else before.bias * norm.scale
    return replace(before, weight=weight, bias=bias + norm.offset)
