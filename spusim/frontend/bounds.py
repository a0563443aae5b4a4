"""Ranges that no frame can leave, from the weights and the frame's range alone.

Layers whose scales are found at run time need no calibration: what lies between them has 32 bits,
and these bounds say where its point is.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np

from spusim.frontend.chain import FRAME, FloatLinear, FloatLstm, FloatNetwork
from spusim.frontend.errors import TopologyError
from spusim.frontend.fold import fold_image_norms
from spusim.frontend.layers import (
    FloatActivation,
    FloatCausalConv1d,
    FloatConcat,
    FloatConv1d,
    FloatElementwise,
    FloatGru,
    FloatLayer,
    FloatPool,
    FloatRnn,
    FloatSlice,
    Peaks,
)
from spusim.frontend.layers.pad import FloatPad
from spusim.frontend.layers.reshape import FloatReshape

LARGEST_CELL = 16.0  # of an LSTM: tanh of more is 1 in 16 bits, and a cell beyond only clips

Bound = Callable[..., Peaks]  # of a layer and its inputs' bounds


def bounds(network: FloatNetwork, input_range: float) -> Peaks:
    """Return what `calibrate` does, for every stream within +-input_range.

    Raises TopologyError for a layer whose output has no such bound, or none that is known.
    """
    network = fold_image_norms(network)
    peaks = {FRAME: np.full(network.input_size, input_range)}
    for step in network.steps:
        layer = step.layer
        if type(layer) not in _BOUNDS:
            raise TopologyError(
                f"layer {layer.name} ({type(layer).__name__.removeprefix('Float').lower()}) has no "
                "range that follows from quantise.input_range; name a stream in quantise.calibrate "
                "in its place"
            )
        peaks |= _BOUNDS[type(layer)](layer, *(peaks[name] for name in step.inputs))
    return peaks


def _sums(weight: np.ndarray, x: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return the largest |bias + W x| for all |x| within bounds, (rows,)."""
    found = np.abs(weight) @ x
    return np.asarray(found if bias is None else found + np.abs(bias))


def _linear(layer: FloatLinear, x: np.ndarray) -> Peaks:
    gain = 1.0 if layer.gain is None else layer.gain
    return {layer.name: _sums((layer.weight.T * gain).T, x, layer.bias)}


def _conv1d(layer: FloatConv1d, x: np.ndarray) -> Peaks:
    gain = 1.0 if layer.gain is None else layer.gain
    sums = np.abs(layer.weight).sum(axis=(1, 2)) * gain * x.max()
    sums = sums if layer.bias is None else sums + np.abs(layer.bias)
    return {layer.name: np.tile(sums, layer.count)}


def _rising(layer: FloatLayer, x: np.ndarray) -> Peaks:
    """Return the value at the bound, of what only moves elements or rises with their size."""
    return {layer.name: layer.evaluate(x[None], (0,), lambda *_: None)[0]}


def _lstm(layer: FloatLstm, x: np.ndarray) -> Peaks:
    h = np.ones(layer.cells)
    if layer.weight_hr is not None:
        h = _sums(layer.weight_hr, h, None)
    gates = _sums(layer.weight_ih, x, layer.bias) + _sums(layer.weight_hh, h, None)
    cells = np.full(layer.cells, LARGEST_CELL / 2)  # of which the cell's quantum has twice
    return {f"{layer.name}.gate": gates, f"{layer.name}.cell": cells, layer.name: h}


def _gru(layer: FloatGru, x: np.ndarray) -> Peaks:
    h, gates = np.ones(layer.sizes[1]), layer.summed_rows
    from_x, from_h = (
        _sums(layer.weight_ih, x, layer.bias_ih),
        _sums(layer.weight_hh, h, layer.bias_hh),
    )
    n_x, n_h = from_x[gates.stop :], from_h[gates.stop :]
    parts = {"gate": (from_x + from_h)[gates], "n_x": n_x, "n_h": n_h, "n_in": n_x + n_h}
    return {f"{layer.name}.{part}": peak for part, peak in parts.items()} | {layer.name: h}


def _rnn(layer: FloatRnn, x: np.ndarray) -> Peaks:
    if not layer.bounded:
        raise TopologyError(
            f"layer {layer.name} (rnn with relu) can grow from frame to frame, so no range follows "
            "from quantise.input_range; name a stream in quantise.calibrate in its place"
        )
    h = np.ones(layer.sizes[1])
    sums = _sums(layer.weight_ih, x, layer.bias) + _sums(layer.weight_hh, h, None)
    return {f"{layer.name}.sum": sums, layer.name: h}


def _elementwise(layer: FloatElementwise, *inputs: np.ndarray) -> Peaks:
    together = {"add": np.add, "sub": np.add, "mul": np.multiply}.get(layer.kind, np.maximum)
    return {layer.name: np.asarray(reduce(together, inputs))}


def _concat(layer: FloatConcat, *inputs: np.ndarray) -> Peaks:
    return {layer.name: np.concatenate(inputs)}


def _pool(layer: FloatPool, x: np.ndarray) -> Peaks:
    return {layer.name: x}


_BOUNDS: dict[type, Bound] = {
    FloatLinear: _linear,
    FloatConv1d: _conv1d,
    FloatCausalConv1d: _conv1d,
    FloatActivation: _rising,
    FloatReshape: _rising,
    FloatSlice: _rising,
    FloatPad: _rising,
    FloatElementwise: _elementwise,
    FloatConcat: _concat,
    FloatPool: _pool,
    FloatLstm: _lstm,
    FloatGru: _gru,
    FloatRnn: _rnn,
}
