"""Layers over images with PyTorch's computation of each, and networks made of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from spusim.frontend.bind import bind, wanted_keys
from spusim.frontend.chain import FloatNetwork
from spusim.frontend.topology import TopologyModel
from spusim.network.records import Stream


@dataclass(frozen=True)
class Drawn:
    """A float network with random tensors, and random frames for it."""

    topology: TopologyModel
    network: FloatNetwork
    tensors: dict[str, np.ndarray]
    stream: Stream

    @property
    def images(self) -> torch.Tensor:
        """The frames as PyTorch has them, (frames, channels, height, width)."""
        return images(self.stream.frames, self.topology)


def drawn(
    layers: list[dict[str, Any]], shape: tuple[int, int, int], seed: int = 1, frames: int = 2
) -> Drawn:
    """Return layers over images (channels, height, width), with random tensors."""
    channels, height, width = shape
    topology = TopologyModel.model_validate_json(
        json.dumps(
            {
                "name": "case",
                "input": {"channels": channels, "height": height, "width": width},
                "layers": layers,
            }
        )
    )
    rng = np.random.default_rng(seed)
    tensors = {key: rng.normal(size=size) for key, size in wanted_keys(topology).items()}
    for key in tensors:
        if key.endswith("running_var"):
            tensors[key] = np.abs(tensors[key]) + 0.5
    stream = Stream(
        rng.normal(size=(frames, channels * height * width)), tuple(range(frames)), ("a",) * frames
    )
    return Drawn(topology, bind(topology, tensors), tensors, stream)


def images(frames: np.ndarray, topology: TopologyModel) -> torch.Tensor:
    """Return frames, position after position, as (frames, channels, height, width)."""
    picture = topology.input.picture
    assert picture is not None
    shape = len(frames), picture.height, picture.width, picture.channels
    return torch.tensor(frames.reshape(shape)).permute(0, 3, 1, 2)


def flat(values: torch.Tensor) -> np.ndarray:
    """Return (frames, channels, height, width) position after position."""
    return values.permute(0, 2, 3, 1).reshape(len(values), -1).numpy()


def torch_conv(case: Drawn, x: torch.Tensor, layer: dict[str, Any]) -> torch.Tensor:
    """PyTorch's conv2d with any padding."""
    top, left, bottom, right = sides(layer.get("padding", 0))
    weight = torch.tensor(case.tensors[f"{layer['name']}.weight"])
    bias = case.tensors.get(f"{layer['name']}.bias")
    return F.conv2d(
        F.pad(x, (left, right, top, bottom)), weight,
        None if bias is None else torch.tensor(bias), layer.get("stride", 1),
        dilation=layer.get("dilation", 1), groups=layer.get("groups", 1),
    )  # fmt: skip


def sides(padding: Any) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right."""
    if isinstance(padding, int):
        return (padding,) * 4
    return tuple(padding) if len(padding) == 4 else (*padding, *padding)  # type: ignore[return-value]


def network_path(folder: Path, text: str) -> Path:
    """Write a network file."""
    path = folder / "net.yaml"
    path.write_text(text, encoding="utf-8")
    return path
