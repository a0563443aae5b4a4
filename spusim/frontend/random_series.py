"""Random weights of networks of frames, sound among them: linear, recurrent, one-dimensional.

What a machine does with a network depends on its shapes, on where its zeros are and on the range of
its activations, hardly on what it was trained for. Values, and so accuracies, mean nothing.
"""

from dataclasses import dataclass, field

import numpy as np

from spusim.frontend.chain import FRAME
from spusim.frontend.checkpoint import Checkpoint
from spusim.frontend.errors import TopologyError
from spusim.frontend.layers import NodeModel
from spusim.frontend.layers.keys import Keys
from spusim.frontend.layers.model import WeightedModel
from spusim.frontend.topology import TopologyModel
from spusim.frontend.wiring import unstacked, wire

_DRAWN = ("linear", "conv1d", "lstm", "lstm_cell", "gru", "gru_cell", "rnn", "rnn_cell")
_RECURRENT = _DRAWN[2:]
# standard deviation that a tensor's products add to a sum of an output: input and state together
# spread an LSTM's gates over most of 0 to 1, and the state's part lets a disturbance die away
_SPREAD = {"weight_ih": 1.5, "weight_hh": 0.75, "weight_hr": 0.4, "weight": 1.5}
_BIAS_SPREAD = 0.1
_FORGET_BIAS = 1.0  # of an LSTM, as is usual where one is trained
# root mean square of what is read; frames are taken to be normalised
_RMS, _STATE_RMS = 1.0, 0.4
_LOGISTIC_DEVIATION = np.pi / np.sqrt(3.0)  # of numpy's logistic distribution of scale 1


def drawn_checkpoint(topology: TopologyModel, seed: int) -> Checkpoint:
    """Draw all tensors that a network's layers take, float32, each from a seed of its name.

    A matrix (out, in, ...) is logistic, whose kurtosis of 4.2 is that of
    the shipped kws_dense's recurrent weights, with a standard deviation of spread / (rms of what
    it reads x sqrt(in x ...)). Raises TopologyError for layers that cannot be drawn.
    """
    topology = unstacked(topology)
    wiring = wire(topology)
    tensors: dict[str, np.ndarray] = {}
    kinds = {layer.name: layer.type for layer in topology.layers}
    for model, reads in zip(topology.layers, wiring.reads, strict=True):
        state = all(kinds.get(name, FRAME) in _RECURRENT for name in reads)
        keys = _DrawnKeys({}, model=model, seed=seed, rms=_STATE_RMS if state else _RMS)
        model.bind_to(tuple(wiring.shapes[name] for name in reads), keys)
        tensors |= keys.drawn
    told = f"weights drawn at random, seed {seed}"
    return Checkpoint(tensors, dict.fromkeys(tensors, "float32"), (told,))


@dataclass
class _DrawnKeys(Keys):
    """A checkpoint that has every tensor it is asked for: one layer's."""

    model: NodeModel = field(kw_only=True)
    seed: int = field(kw_only=True)
    rms: float = field(kw_only=True)
    drawn: dict[str, np.ndarray] = field(default_factory=dict, kw_only=True)

    def take(self, key: str, *shape: int) -> np.ndarray:
        """Draw tensor `key`. Raises TopologyError for a layer whose tensors are no weights."""
        model = self.model
        if model.type not in _DRAWN or not isinstance(model, WeightedModel):
            raise TopologyError(
                f"layer {model.name} (={model.type}) takes {key}, which cannot be drawn at random; "
                f"bring a checkpoint (those of {', '.join(_DRAWN)} can)"
            )
        what = key.removeprefix(model.dot).partition("_l")[0]
        generator = np.random.default_rng([self.seed, *key.encode()])
        drawn = (
            _matrix(generator, shape, _SPREAD[what] / self._rms_of(what))
            if what in _SPREAD
            else _bias(generator, shape[0], forget=what == "bias_ih" and "lstm" in model.type)
        )
        self.drawn[key] = drawn.astype(np.float32)
        return drawn

    def _rms_of(self, what: str) -> float:
        return _STATE_RMS if what in ("weight_hh", "weight_hr") else self.rms


def _matrix(generator: np.random.Generator, shape: tuple[int, ...], gain: float) -> np.ndarray:
    deviation = gain / np.sqrt(np.prod(shape[1:]))
    return generator.logistic(0.0, deviation / _LOGISTIC_DEVIATION, shape)


def _bias(generator: np.random.Generator, size: int, *, forget: bool) -> np.ndarray:
    """Draw a bias (size,); of an LSTM the second of four gates is the forget gate."""
    bias = generator.normal(0.0, _BIAS_SPREAD, size)
    if forget:
        bias[size // 4 : size // 2] += _FORGET_BIAS
    return bias
