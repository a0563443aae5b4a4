"""Small networks of signal layers, with PyTorch's floats for each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spusim.frontend.bind import bind
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.topology import TopologyModel
from spusim.network.records import Stream

Grid = torch.Tensor  # (frames, positions, channels)


@dataclass(frozen=True)
class Case:
    """Layers on frames of positions x channels; `expected` computes what PyTorch does.

    bound: largest difference of a quantised run, of the largest output; 16-bit weights.
    """

    layers: list[dict[str, Any]]
    shape: tuple[int, int]
    expected: Callable[[Grid, dict[str, torch.Tensor]], torch.Tensor]
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)
    bound: float = 2e-3


def conv(x: Grid, t: dict[str, torch.Tensor], **how: Any) -> torch.Tensor:
    """PyTorch's conv1d of (frames, positions, channels)."""
    y = F.conv1d(x.transpose(1, 2), t["c.weight"], t.get("c.bias"), **how)
    return y.transpose(1, 2)


def causal(x: Grid, t: dict[str, torch.Tensor], history: int, **how: Any) -> torch.Tensor:
    """Conv1d over all of a file at once, whose frames lie end to end."""
    whole = F.pad(x.reshape(1, -1, x.shape[2]).transpose(1, 2), (history, 0))
    y = F.conv1d(whole, t["c.weight"], t.get("c.bias"), **how).transpose(1, 2)[0]
    return y.reshape(len(x), -1, y.shape[1])


def spectrum(x: Grid, n_fft: int, hop: int, window: torch.Tensor, center: bool) -> torch.Tensor:
    """PyTorch's stft: (frames, positions, bins) complex."""
    found = torch.stft(
        x[:, :, 0], n_fft, hop, window=window, center=center, return_complex=True
    )  # fmt: skip
    return found.transpose(1, 2)


def normed(x: Grid, t: dict[str, torch.Tensor]) -> torch.Tensor:
    """BatchNorm1d in eval mode."""
    stats = (t["n.running_mean"], t["n.running_var"].abs(), t["n.weight"], t["n.bias"])
    return F.batch_norm(x.transpose(1, 2), *stats).transpose(1, 2)


def one(kind: str, **keys: Any) -> list[dict[str, Any]]:
    """A layer on its own, called c."""
    return [{"type": kind, "name": "c", **keys}]


HANN = torch.hann_window(32, dtype=torch.float64)
WEIGHTS = {"c.weight": (6, 5, 3), "c.bias": (6,)}

CASES = {
    "conv": Case(one("conv1d", outputs=6, kernel=3), (7, 5), lambda x, t: conv(x, t), WEIGHTS),
    "conv strided, padded": Case(
        one("conv1d", outputs=6, kernel=3, stride=2, padding=1),
        (8, 5),
        lambda x, t: conv(x, t, stride=2, padding=1),
        WEIGHTS,
    ),
    "conv, positions together": Case(
        one("conv1d", outputs=6, kernel=3, stride=2, padding=1, together=2),
        (8, 5),
        lambda x, t: conv(x, t, stride=2, padding=1),
        WEIGHTS,
    ),
    "conv, all positions together": Case(
        one("conv1d", outputs=5, kernel=3, groups=5, together=6),
        (8, 5),
        lambda x, t: conv(x, t, groups=5),
        {"c.weight": (5, 1, 3), "c.bias": (5,)},
    ),
    "conv padded on one side": Case(
        one("conv1d", outputs=6, kernel=3, padding=[2, 0]),
        (4, 5),
        lambda x, t: conv(F.pad(x, (0, 0, 2, 0)), t),
        WEIGHTS,
    ),
    "conv reflecting": Case(
        one("conv1d", outputs=6, kernel=3, padding=2, padding_mode="reflect"),
        (5, 5),
        lambda x, t: conv(F.pad(x.transpose(1, 2), (2, 2), "reflect").transpose(1, 2), t),
        WEIGHTS,
    ),
    "conv reflecting wide": Case(
        one("conv1d", outputs=6, kernel=3, padding=2, padding_mode="reflect"),
        (5, 8),
        lambda x, t: conv(F.pad(x.transpose(1, 2), (2, 2), "reflect").transpose(1, 2), t),
        {"c.weight": (6, 8, 3), "c.bias": (6,)},
    ),
    "conv dilated, narrow": Case(
        one("conv1d", outputs=6, kernel=3, dilation=2),
        (9, 5),
        lambda x, t: conv(x, t, dilation=2),
        WEIGHTS,
    ),
    "conv dilated, wide": Case(
        one("conv1d", outputs=6, kernel=3, dilation=3, stride=2, padding=3),
        (10, 9),
        lambda x, t: conv(x, t, dilation=3, stride=2, padding=3),
        {"c.weight": (6, 9, 3), "c.bias": (6,)},
    ),
    "conv grouped": Case(
        one("conv1d", outputs=4, kernel=3, groups=2, bias=False),
        (5, 6),
        lambda x, t: conv(x, t, groups=2),
        {"c.weight": (4, 3, 3)},
    ),
    "conv depthwise": Case(
        one("conv1d", outputs=12, kernel=3, groups=6, padding=1),
        (5, 6),
        lambda x, t: conv(x, t, groups=6, padding=1),
        {"c.weight": (12, 1, 3), "c.bias": (12,)},
    ),
    "conv depthwise, wide": Case(
        one("conv1d", outputs=9, kernel=3, groups=9, padding=2, stride=2, dilation=2),
        (7, 9),
        lambda x, t: conv(x, t, groups=9, padding=2, stride=2, dilation=2),
        {"c.weight": (9, 1, 3), "c.bias": (9,)},
    ),
    "conv depthwise, narrow, on the vector unit": Case(
        one("conv1d", outputs=3, kernel=2, groups=3, bias=False, unit="vector"),
        (6, 3),
        lambda x, t: conv(x, t, groups=3),
        {"c.weight": (3, 1, 2)},
    ),
    "conv depthwise, wide, in the engine": Case(
        one("conv1d", outputs=8, kernel=1, groups=8, unit="engine"),
        (3, 8),
        lambda x, t: conv(x, t, groups=8),
        {"c.weight": (8, 1, 1), "c.bias": (8,)},
    ),
    "conv causal": Case(
        one("conv1d", outputs=6, kernel=3, causal=True),
        (1, 5),
        lambda x, t: causal(x, t, 2),
        WEIGHTS,
    ),
    "conv causal, dilated": Case(
        one("conv1d", outputs=6, kernel=3, dilation=4, causal=True),
        (2, 9),
        lambda x, t: causal(x, t, 8, dilation=4),
        {"c.weight": (6, 9, 3), "c.bias": (6,)},
    ),
    "conv causal, strided": Case(
        one("conv1d", outputs=6, kernel=3, stride=2, causal=True, history=1),
        (4, 5),
        lambda x, t: causal(x, t, 1, stride=2),
        WEIGHTS,
    ),
    "conv causal, depthwise": Case(
        one("conv1d", outputs=8, kernel=4, groups=8, causal=True),
        (1, 8),
        lambda x, t: causal(x, t, 3, groups=8),
        {"c.weight": (8, 1, 4), "c.bias": (8,)},
    ),
    "conv without history": Case(
        one("conv1d", outputs=6, kernel=1, causal=True),
        (2, 5),
        lambda x, t: conv(x, t),
        {"c.weight": (6, 5, 1), "c.bias": (6,)},
    ),
    "pad": Case(
        one("pad", left=3, right=1), (4, 3), lambda x, t: F.pad(x, (0, 0, 3, 1)), bound=1e-4
    ),
    "pad reflecting": Case(
        one("pad", left=2, right=3, mode="reflect"),
        (4, 3),
        lambda x, t: F.pad(x.transpose(1, 2), (2, 3), "reflect").transpose(1, 2),
        bound=1e-4,
    ),
    "context": Case(
        one("context", positions=3),
        (2, 3),
        lambda x, t: torch.stack(
            [F.pad(x.reshape(-1, 3), (0, 0, 3, 0))[2 * n : 2 * n + 5] for n in range(len(x))]
        ),
        bound=1e-4,
    ),
    "reshape": Case(
        one("reshape", channels=6), (4, 3), lambda x, t: x.reshape(len(x), 2, 6), bound=1e-4
    ),
    "stft": Case(
        one("stft", n_fft=32, hop=8, magnitude=False),
        (64, 1),
        lambda x, t: torch.cat(
            [part(spectrum(x, 32, 8, HANN, False)) for part in (torch.real, torch.imag)], 2
        ),
    ),
    "stft magnitude, centred": Case(
        one("stft", n_fft=32, hop=16, padding=16),
        (48, 1),
        lambda x, t: spectrum(x, 32, 16, HANN, True).abs(),
    ),
    "stft of a stored basis": Case(
        one("stft", n_fft=32, hop=16, basis="weight", padding=[0, 8]),
        (40, 1),
        lambda x, t: _stored(x, t["c.weight"], 16, 8),
        {"c.weight": (34, 1, 32)},
    ),
    "magnitude": Case(
        one("magnitude"), (3, 10), lambda x, t: torch.hypot(x[:, :, :5], x[:, :, 5:])
    ),
    "hardsigmoid": Case(one("hardsigmoid"), (2, 6), lambda x, t: F.hardsigmoid(x), bound=1e-3),
    "relu6": Case(one("relu6"), (2, 6), lambda x, t: F.relu6(x), bound=1e-3),
    "hardtanh": Case(one("hardtanh"), (2, 6), lambda x, t: F.hardtanh(x), bound=1e-3),
    "clamp": Case(
        one("clamp", min=-0.3, max=0.7),
        (2, 6),
        lambda x, t: torch.clamp(x, -0.3, 0.7),
        bound=1e-3,
    ),
    "clamp above": Case(
        one("clamp", max=0.1), (2, 6), lambda x, t: torch.clamp(x, max=0.1), bound=1e-3
    ),
    "prelu": Case(
        one("prelu", parameters=6),
        (2, 6),
        lambda x, t: F.prelu(x.transpose(1, 2), t["c.weight"]).transpose(1, 2),
        {"c.weight": (6,)},
        bound=1e-3,
    ),
    "prelu, one slope": Case(
        one("prelu"), (2, 6), lambda x, t: F.prelu(x, t["c.weight"]), {"c.weight": (1,)}
    ),
    "leaky relu": Case(
        one("leaky_relu", slope=0.2), (2, 6), lambda x, t: F.leaky_relu(x, 0.2), bound=1e-3
    ),
    "leaky relu, steep": Case(
        one("leaky_relu", slope=1.5), (2, 6), lambda x, t: F.leaky_relu(x, 1.5), bound=1e-3
    ),
    "affine": Case(
        one("affine"),
        (3, 5),
        lambda x, t: x * t["c.weight"] + t["c.bias"],
        {"c.weight": (5,), "c.bias": (5,)},
        bound=1e-3,
    ),
    "batch norm": Case(
        [{"type": "batch_norm", "name": "n"}],
        (3, 5),
        normed,
        {f"n.{key}": (5,) for key in ("running_mean", "running_var", "weight", "bias")},
        bound=1e-3,
    ),
    "l2 norm": Case(one("l2_norm"), (3, 5), lambda x, t: F.normalize(x, dim=2), bound=1e-3),
    "l2 norm, long": Case(one("l2_norm"), (1, 100), lambda x, t: F.normalize(x, dim=2), bound=1e-3),
    "constant joined": Case(
        one("constant", size=4),
        (2, 5),
        lambda x, t: torch.cat([x, t["c.weight"].expand(*x.shape[:2], 4)], 2),
        {"c.weight": (4,)},
        bound=1e-3,
    ),
    "constant of a table": Case(
        one("constant", how="add", rows=3, row=1),
        (2, 5),
        lambda x, t: x + t["c.weight"][1],
        {"c.weight": (3, 5)},
        bound=1e-3,
    ),
    "constant multiplied": Case(
        one("constant", how="multiply"),
        (2, 5),
        lambda x, t: x * t["c.weight"],
        {"c.weight": (5,)},
        bound=1e-3,
    ),
    "mean over positions": Case(
        one("mean_positions"), (6, 5), lambda x, t: x.mean(1, keepdim=True), bound=1e-3
    ),
    "mean over windows": Case(
        one("mean_positions", kernel=4, stride=2),
        (8, 9),
        lambda x, t: F.avg_pool1d(x.transpose(1, 2), 4, 2).transpose(1, 2),
        bound=1e-3,
    ),
    "max over windows": Case(
        one("max_positions", kernel=3),
        (8, 4),
        lambda x, t: F.max_pool1d(x.transpose(1, 2), 3).transpose(1, 2),
        bound=1e-3,
    ),
}


def _stored(x: Grid, basis: torch.Tensor, hop: int, right: int) -> torch.Tensor:
    """A magnitude as Silero's models compute it."""
    padded = F.pad(x[:, :, 0], (0, right), "reflect").unsqueeze(1)
    parts = F.conv1d(padded, basis, stride=hop)
    half = parts.shape[1] // 2
    return torch.hypot(parts[:, :half], parts[:, half:]).transpose(1, 2)


@dataclass(frozen=True)
class Made:
    """A case with random weights and frames: one file of `frames` frames."""

    topology: TopologyModel
    tensors: dict[str, np.ndarray]
    network: FloatNetwork
    stream: Stream


def made(case: Case, seed: int = 1, frames: int = 5) -> Made:
    """Draw a case's weights and frames."""
    rng = np.random.default_rng(seed)
    tensors = {name: rng.normal(size=shape) for name, shape in case.tensors.items()}
    positions, channels = case.shape
    first = [{"type": "reshape", "name": "grid", "channels": channels}]
    topology = TopologyModel.model_validate(
        {
            "name": "net",
            "input": {"size": positions * channels, "bits": 16},
            "layers": tuple(_frozen(layer) for layer in [*first, *case.layers]),
        }
    )
    values = rng.uniform(-2.0, 2.0, (frames, positions * channels))
    stream = Stream(values, (0,), ("a",))
    return Made(topology, tensors, bind(topology, tensors), stream)


def _frozen(layer: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in layer.items()}


def torch_outputs(case: Case, made: Made) -> np.ndarray:
    """Return what PyTorch computes: (frames, out)."""
    grid = torch.tensor(made.stream.frames).reshape(-1, *case.shape)
    tensors = {name: torch.tensor(values) for name, values in made.tensors.items()}
    with torch.no_grad():
        return case.expected(grid, tensors).reshape(len(grid), -1).numpy()
