"""The keyword-spotting network, its pencil pruning and its floating-point evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from speech import BANDS, CODE_SCALE, LABELS
from torch import Tensor, nn

PENCIL = 8  # consecutive output rows of one input column that are kept or dropped together
PRUNED_LAYERS = ("lstm.weight_ih_l0", "lstm.weight_hh_l0", "fc1.weight", "fc2.weight")

State = dict[str, Tensor]


class KeywordNet(nn.Module):
    """LSTM, two fully connected layers, and the mean of the logits over all frames."""

    def __init__(self, hidden: int = 192, middle: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, hidden, batch_first=True)
        self.fc1 = nn.Linear(hidden, middle)
        self.fc2 = nn.Linear(middle, len(LABELS))

    def forward(self, features: Tensor) -> Tensor:
        """Map features [N, frames, BANDS] to logits [N, classes]."""
        return self.trace(features)[1].mean(dim=1)

    def trace(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden states [N, frames, H] and frame logits [N, frames, classes]."""
        hidden, _ = self.lstm(features)
        return hidden, self.fc2(torch.relu(self.fc1(hidden)))

    def gates(self, features: Tensor, hidden: Tensor) -> Tensor:
        """Return the gate pre-activations [N, frames, 4 H] that led to `hidden` [N, frames, H]."""
        previous = nn.functional.pad(hidden, (0, 0, 1, 0))[:, :-1]
        lstm = self.lstm
        from_input = nn.functional.linear(features, lstm.weight_ih_l0, lstm.bias_ih_l0)
        return from_input + nn.functional.linear(previous, lstm.weight_hh_l0, lstm.bias_hh_l0)


def cell_states(gates: Tensor) -> Tensor:
    """Replay the cell states [N, frames, H] from gate pre-activations [N, frames, 4 H]."""
    enter, forget, new, _ = gates.chunk(4, dim=2)
    step = torch.sigmoid(enter) * torch.tanh(new)
    keep = torch.sigmoid(forget)
    cells = [step[:, 0]]
    for frame in range(1, step.shape[1]):
        cells.append(keep[:, frame] * cells[-1] + step[:, frame])
    return torch.stack(cells, dim=1)


def decode(codes: NDArray[np.uint8]) -> Tensor:
    """Turn feature codes into the float features they stand for, same shape."""
    return torch.from_numpy(codes).float() * CODE_SCALE


def restored(state: State) -> KeywordNet:
    """Return a network with the given tensors, of any float type, widened to float32."""
    net = KeywordNet()
    net.load_state_dict({key: value.float() for key, value in state.items()})
    net.eval()
    return net


def float_logits(state: State, codes: NDArray[np.uint8]) -> Tensor:
    """Return the logits [N, classes] of the network for feature codes [N, frames, BANDS]."""
    net = restored(state)
    with torch.no_grad():
        return torch.cat([net(decode(part)) for part in _batches(codes)])


def float_accuracy(state: State, codes: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
    """Return the fraction of feature codes [N, frames, BANDS] classified as labels [N]."""
    predicted = float_logits(state, codes).argmax(dim=1).numpy()
    return float(np.mean(predicted == labels))


def activation_statistics(state: State, codes: NDArray[np.uint8]) -> dict[str, float]:
    """Return the largest magnitudes and the fractions of zeros met on feature codes [N, T, B]."""
    net = restored(state)
    largest = {"|gate|": 0.0, "|cell|": 0.0, "fc1 output": 0.0, "|frame logit|": 0.0}
    wide_gates = wide_cells = zeros = 0.0
    with torch.no_grad():
        for part in _batches(codes):
            features = decode(part)
            hidden, logits = net.trace(features)
            gates = net.gates(features, hidden)
            cells = cell_states(gates)
            middle = torch.relu(net.fc1(hidden))
            values = (gates, cells, middle, logits)
            for name, value in zip(largest, values, strict=True):
                largest[name] = max(largest[name], value.abs().max().item())
            wide_gates += (gates.abs() > 8).float().mean().item() * len(part) / len(codes)
            wide_cells += (cells.abs() > 8).float().mean().item() * len(part) / len(codes)
            zeros += (middle == 0).float().mean().item() * len(part) / len(codes)
    return {
        **{f"max {name}": value for name, value in largest.items()},
        "gates beyond +-8, per million": wide_gates * 1e6,
        "cells beyond +-8, per million": wide_cells * 1e6,
        "zero input features": float(np.mean(codes == 0)),
        "zero fc1 outputs": zeros,
    }


def _batches(codes: NDArray[np.uint8], size: int = 256) -> Iterator[NDArray[np.uint8]]:
    return (codes[start : start + size] for start in range(0, len(codes), size))


def pencil_mask(weight: Tensor, zeros: float) -> Tensor:
    """Return a 0/1 mask like weight [out, in] that drops the weakest pencils.

    Pencils are dropped in order of L2 norm until at least a fraction `zeros` of the weights is
    dropped. The last pencil of a column is shorter when `out` is no multiple of PENCIL.
    """
    rows, columns = weight.shape
    padded = nn.functional.pad(weight, (0, 0, 0, -rows % PENCIL))
    norms = padded.view(-1, PENCIL, columns).norm(dim=1)
    sizes = torch.full_like(norms, PENCIL)
    sizes[-1] = (rows - 1) % PENCIL + 1
    order = norms.flatten().argsort(stable=True)
    before = sizes.flatten()[order].cumsum(0) - sizes.flatten()[order]
    keep = torch.ones(norms.numel())
    keep[order[before < zeros * weight.numel()]] = 0.0
    return keep.view_as(norms).repeat_interleave(PENCIL, dim=0)[:rows]


def sparsity(state: State) -> dict[str, float]:
    """Return the fraction of exact zeros in each pruned layer, and in all of them together."""
    zeros = {key: int((state[key] == 0).sum()) for key in PRUNED_LAYERS}
    fractions = {key: zeros[key] / state[key].numel() for key in PRUNED_LAYERS}
    total = sum(zeros.values()) / sum(state[key].numel() for key in PRUNED_LAYERS)
    return {**fractions, "all four": total}
