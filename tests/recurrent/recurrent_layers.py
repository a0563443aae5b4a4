"""Every recurrent layer as PyTorch has it, beside the network file's words for it."""

from typing import Any

import numpy as np
import torch

from spusim.frontend.bind import bind
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.topology import TopologyModel
from spusim.network.records import Stream

INPUTS, HIDDEN, PROJECTION = 6, 17, 5
STARTS = (0, 70)
FRAMES = 200

nn = torch.nn
LAYERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lstm": (nn.LSTM, {"type": "lstm"}),
    "lstm_projected": (nn.LSTM, {"type": "lstm", "projection": PROJECTION}),
    "lstm_cell": (nn.LSTMCell, {"type": "lstm_cell"}),
    "gru": (nn.GRU, {"type": "gru"}),
    "gru_cell": (nn.GRUCell, {"type": "gru_cell"}),
    "rnn_tanh": (nn.RNN, {"type": "rnn"}),
    "rnn_relu": (nn.RNN, {"type": "rnn", "nonlinearity": "relu"}),
    "rnn_cell": (nn.RNNCell, {"type": "rnn_cell", "nonlinearity": "tanh"}),
}


def module(kind: str, bias: bool = True, seed: int = 0, inputs: int = INPUTS) -> nn.Module:
    """Return a layer as PyTorch initialises it, in float64."""
    torch.manual_seed(seed)
    make, words = LAYERS[kind]
    options = {"proj_size": PROJECTION} if "projection" in words else {}
    if "nonlinearity" in words:
        options["nonlinearity"] = words["nonlinearity"]
    return make(inputs, HIDDEN, bias=bias, **options).double()


def tensors(layer: nn.Module, prefix: str = "") -> dict[str, np.ndarray]:
    """Return its state dict as a checkpoint's tensors."""
    return {prefix + key: value.numpy() for key, value in layer.state_dict().items()}


def network(
    kind: str, layer: nn.Module, bias: bool = True, inputs: int = INPUTS, **words: Any
) -> FloatNetwork:
    """Bind a topology of that one layer, called `cell`, to its tensors."""
    entry = {"name": "cell", "prefix": "", "hidden": HIDDEN, "bias": bias}
    entry |= LAYERS[kind][1] | words
    content = {"name": "net", "input": {"size": inputs}, "layers": (entry,)}
    return bind(TopologyModel.model_validate(content), tensors(layer))


def torch_outputs(layer: nn.Module, frames: np.ndarray, starts: tuple[int, ...]) -> np.ndarray:
    """Return what the layer gives for the frames of each file, from a state of zero."""
    found: list[np.ndarray] = []
    with torch.no_grad():
        for part in np.split(torch.tensor(frames), starts[1:]):
            if isinstance(layer, nn.RNNBase):
                found += (layer(part[:, None])[0][:, 0].numpy(),)
                continue
            state = None
            for frame in part:
                state = layer(frame[None], state)
                found.append((state[0] if isinstance(state, tuple) else state).numpy())
    return np.concatenate(found)


def stream(absmax: float = 1.0, frames: int = FRAMES, inputs: int = INPUTS) -> Stream:
    """Return two files of random frames, the largest value of which is absmax."""
    values = np.random.default_rng(7).normal(size=(frames, inputs))
    values *= absmax / np.abs(values).max()
    starts = STARTS if frames > STARTS[1] else (0, frames // 2)
    return Stream(values, starts, ("a", "b"))
