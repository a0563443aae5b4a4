"""Fitting what pruning leaves to what the dense network computes, by least squares.

Magnitude pruning alone turns this network into another one at 80 %: most frames fall silent. Layer
after layer, the weights that are left, and the bias, are fitted row by row so that on some speech
the pruned layer, given what the pruned layers before it compute, is nearest to the dense one.
"""

from collections.abc import Mapping

import numpy as np
import torch

from benchmarks.silero.model import CONTEXT, SileroVad
from spusim.network import Stream

RIDGE = 0.1  # of the inputs' mean square, toward the weights as they were: there are few frames
CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4")

Tensors = dict[str, np.ndarray]


def refit(dense: Mapping[str, np.ndarray], pruned: Mapping[str, np.ndarray], on: Stream) -> Tensors:
    """Return the pruned tensors, zeros kept, fitted to the dense layers on some speech."""
    fitted = {name: np.array(values, np.float64) for name, values in pruned.items()}
    model = SileroVad().double()
    model.load_state_dict({name: torch.tensor(values).double() for name, values in dense.items()})
    with torch.no_grad():
        wanted = given = _magnitudes(model, on)
        for name in CONVOLUTIONS:
            layer = getattr(model, name)
            targets = layer(wanted)
            columns = torch.nn.functional.pad(given, (1, 1)).unfold(2, 3, layer.stride[0])
            inputs = columns.permute(0, 2, 1, 3).flatten(0, 1).flatten(1)
            rows = targets.transpose(1, 2).flatten(0, 1)
            weight, bias = _fitted(fitted[f"{name}.weight"], inputs.numpy(), rows.numpy())
            fitted |= {f"{name}.weight": weight, f"{name}.bias": bias}
            wanted = targets.relu()
            found = torch.nn.functional.conv1d(
                given, torch.tensor(weight), torch.tensor(bias), stride=layer.stride, padding=1
            )
            given = found.relu()
        gates, hidden = _gates(model, wanted.squeeze(-1), on.starts)
        both = np.concatenate([given.squeeze(-1).numpy(), hidden], axis=1)
    halves = ("lstm_cell.weight_ih", "lstm_cell.weight_hh")
    joined = np.concatenate([fitted[half] for half in halves], axis=1)
    weight, bias = _fitted(joined, both, gates)
    fitted |= dict(zip(halves, np.split(weight, 2, axis=1), strict=True))
    return fitted | {"lstm_cell.bias_ih": bias, "lstm_cell.bias_hh": np.zeros_like(bias)}


def _magnitudes(model: SileroVad, on: Stream) -> torch.Tensor:
    """Return the spectra of all frames: (frames, 129, 4)."""
    before = np.roll(on.frames[:, -CONTEXT:], 1, axis=0)
    before[list(on.starts)] = 0.0
    samples = torch.tensor(np.concatenate([before, on.frames], axis=1))
    padded = torch.nn.functional.pad(samples, (0, 64), "reflect")
    spectrum = model.stft_conv(padded.unsqueeze(1))
    return torch.hypot(spectrum[:, :129], spectrum[:, 129:])


def _gates(
    model: SileroVad, x: torch.Tensor, starts: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the dense cell's gates before their functions, and the hidden states they see."""
    cell, state = model.lstm_cell, None
    gates, hidden = [], []
    for number, frame in enumerate(x):
        h = torch.zeros(1, 128).double() if state is None or number in starts else state[0]
        gates.append(
            frame @ cell.weight_ih.T + cell.bias_ih + h[0] @ cell.weight_hh.T + cell.bias_hh
        )
        hidden.append(h[0])
        state = cell(frame[None], None if number in starts else state)
    return torch.stack(gates).numpy(), torch.stack(hidden).numpy()


def _fitted(
    weight: np.ndarray, inputs: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit weight (out, ...), zeros kept, and a bias, to targets (samples, out) by ridge."""
    flat = weight.reshape(len(weight), -1).copy()
    mean, centre = inputs.mean(axis=0), targets.mean(axis=0)
    centred, wanted = inputs - mean, targets - centre
    moment, cross = centred.T @ centred, centred.T @ wanted
    ridge = RIDGE * np.trace(moment) / len(moment)
    for row, values in enumerate(flat):
        kept = np.flatnonzero(values)
        square = moment[np.ix_(kept, kept)] + ridge * np.eye(len(kept))
        values[kept] = np.linalg.solve(square, cross[kept, row] + ridge * values[kept])
    return flat.reshape(weight.shape), centre - flat @ mean
