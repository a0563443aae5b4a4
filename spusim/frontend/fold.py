"""Batch norms that go into the product before them."""

from collections import Counter
from dataclasses import replace

import numpy as np

from spusim.frontend.chain import FloatLayer, FloatLinear, FloatNetwork
from spusim.frontend.layers.affine import FloatAffine
from spusim.frontend.layers.batch_norm import FloatBatchNorm
from spusim.frontend.layers.conv1d import FloatCausalConv1d, FloatConv1d

_PRODUCTS = (FloatLinear, FloatConv1d, FloatCausalConv1d)  # and no layers that are based on them
_NORMS = (FloatAffine, FloatBatchNorm)
MOST_APART = 2.0**20  # gains of one product: beyond it, the weakest rows would lose their bits


def fold_norms(network: FloatNetwork) -> FloatNetwork:
    """Let linear layers and convolutions do the batch norm, or affine layer, that alone reads them.

    s (W x + b) + t = |s| (sign(s) W) x + (s b + t): exact, and free, since requantisation
    multiplies every row anyway. Norms of a zero scale stay, and those of scales too far apart.
    """
    readers = Counter(name for step in network.steps for name in set(step.inputs))
    layers = {layer.name: layer for layer in network.layers}
    becomes: dict[str, str] = {}
    for norm, reads in ((step.layer, step.inputs[0]) for step in network.steps):
        before = layers.get(becomes.get(reads, reads))
        alone = readers[reads] == 1 and reads != network.output
        if before is None or not isinstance(norm, _NORMS) or not alone:
            continue
        folded = _folded(before, norm)
        if folded is not None:
            layers[before.name] = folded
            becomes[norm.name] = before.name
            del layers[norm.name]
    steps = [step for step in network.steps if step.layer.name in layers]
    told = tuple(f"{norm}: folded into {product}" for norm, product in becomes.items())
    return replace(
        network,
        layers=tuple(layers.values()),
        inputs=tuple(tuple(becomes.get(name, name) for name in step.inputs) for step in steps),
        output_layer=becomes.get(network.output, network.output),
        notes=(*network.notes, *told),
    )


def _folded(before: object, norm: FloatAffine | FloatBatchNorm) -> FloatLayer | None:
    """Return a product with a norm in it, or None where it cannot have it."""
    if type(before) not in _PRODUCTS:
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
    return replace(before, weight=weight, bias=bias, gain=gain * _gain(before))


def _gain(product: FloatLinear | FloatConv1d) -> float | np.ndarray:
    return 1.0 if product.gain is None else product.gain
