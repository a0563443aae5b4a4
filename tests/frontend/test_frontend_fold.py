"""Batch norms in the products before them: exact, one product, and a file of integers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spusim.api import load_arch, simulate
from spusim.frontend import load_network
from spusim.frontend.bind import bind
from spusim.frontend.chain import float_forward
from spusim.frontend.load import quantise_file
from spusim.frontend.topology import TopologyModel
from spusim.network import Product, Stream

GRID = {"type": "reshape", "name": "grid", "channels": 4}
CONV = {"type": "conv1d", "name": "conv", "outputs": 6, "kernel": 3}
NORM = {"type": "batch_norm", "name": "norm"}
LAST = {"type": "relu", "name": "relu"}


class Model(torch.nn.Module):
    """A convolution with a batch norm that was trained, and rows that it turns round."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.norm = torch.nn.Conv1d(4, 6, 3), torch.nn.BatchNorm1d(6)
        for tensor, low, high in (
            (self.norm.weight, -2.0, 2.0), (self.norm.bias, -1.0, 1.0),
            (self.norm.running_mean, -1.0, 1.0), (self.norm.running_var, 0.1, 4.0),
        ):  # fmt: skip
            torch.nn.init.uniform_(tensor, low, high)
        self.double().eval()

    def forward(self, frames: np.ndarray) -> np.ndarray:
        """Evaluate frames (n, 10 positions x 4) -> (n, 8 positions x 6)."""
        x = torch.from_numpy(frames).reshape(-1, 10, 4).transpose(1, 2)
        y = torch.relu(self.norm(self.conv(x))).transpose(1, 2)
        return y.reshape(len(frames), -1).detach().numpy()

    def tensors(self) -> dict[str, np.ndarray]:
        """Return its state dict as arrays."""
        return {name: tensor.numpy() for name, tensor in self.state_dict().items()}


def topology(*layers: dict[str, Any], **more: Any) -> TopologyModel:
    """Return a network of frames of 40."""
    data = {"name": "net", "input": {"size": 40}, "layers": layers, **more}
    return TopologyModel.model_validate(data, strict=False)


FRAMES = np.random.default_rng(5).standard_normal((40, 40))


@pytest.mark.parametrize("unit", ["engine", "vector"])
def test_a_folded_norm_is_exact(unit: str) -> None:
    model = Model()
    conv, tensors = dict(CONV), model.tensors()
    if unit == "vector":  # depthwise
        model.conv = torch.nn.Conv1d(4, 4, 3, groups=4).double()
        conv |= {"outputs": 4, "groups": 4, "unit": "vector"}
        tensors = {k: v[:4] if v.ndim else v for k, v in tensors.items()}
        tensors |= {f"conv.{k}": v.numpy() for k, v in model.conv.state_dict().items()}
        for key in ("weight", "bias", "running_mean", "running_var"):
            with torch.no_grad():
                setattr_part(model.norm, key)
    network = bind(topology(GRID, conv, NORM, LAST), tensors)
    assert [layer.name for layer in network.layers] == ["grid", "conv", "relu"]
    assert network.notes == ("norm: folded into conv",)
    found = float_forward(network, FRAMES, (0,))
    np.testing.assert_allclose(found, model.forward(FRAMES), rtol=0, atol=1e-12)


def setattr_part(norm: torch.nn.BatchNorm1d, key: str) -> None:
    """Leave a norm its first four channels."""
    part = getattr(norm, key)[:4].clone()
    setattr(norm, key, torch.nn.Parameter(part) if key in ("weight", "bias") else part)


def test_a_norm_after_a_linear_layer_and_one_after_that() -> None:
    norms = [{"type": kind, "name": kind} for kind in ("batch_norm", "affine")]
    rng = np.random.default_rng(1)
    keys = ("weight", "bias", "running_mean", "running_var")
    tensors = {f"{n['name']}.{k}": rng.uniform(-2, 2, 7) for n in norms for k in keys}
    tensors["fc.weight"] = rng.standard_normal((7, 40))
    layers = ({"type": "linear", "name": "fc", "outputs": 7, "bias": False}, *norms)
    network = bind(topology(*layers), tensors)
    assert [layer.name for layer in network.layers] == ["fc"] and network.output == "fc"
    spread = np.sqrt(np.abs(tensors["batch_norm.running_var"]) + 1e-5)
    y = (FRAMES @ tensors["fc.weight"].T - tensors["batch_norm.running_mean"]) / spread
    for n in ("batch_norm", "affine"):
        y = y * tensors[f"{n}.weight"] + tensors[f"{n}.bias"]
    np.testing.assert_allclose(float_forward(network, FRAMES, (0,)), y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("why", ["read twice", "output", "zero", "far apart", "spectrum"])
def test_norms_that_stay(why: str) -> None:
    tensors, layers, more = Model().tensors(), [GRID, CONV, NORM, LAST], {}
    if why == "read twice":
        layers = [GRID, CONV, NORM, {"type": "add", "name": "sum", "inputs": ["conv", "norm"]}]
    elif why == "output":
        more = {"output": "conv"}
    elif why == "spectrum":
        layers = [{"type": "stft", "name": "conv", "n_fft": 10, "hop": 10}, NORM, LAST]
    else:
        tensors["norm.weight"] = tensors["norm.weight"].copy()
        tensors["norm.weight"][2] = 0.0 if why == "zero" else 1e-9
    network = bind(topology(*layers, **more), tensors)
    assert "norm" in [layer.name for layer in network.layers]


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_folded_norm_costs_nothing_and_is_quantised(tmp_path: Path, per_channel: bool) -> None:
    model = Model()
    checkpoint, network_file = tmp_path / "net.safetensors", tmp_path / "net.yaml"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, checkpoint)
    lines = [str(layer).replace("'", "") for layer in (GRID, CONV, NORM, LAST)]
    network_file.write_text(
        "name: net\ninput: {size: 40}\nlayers:\n" + "".join(f"  - {line}\n" for line in lines)
    )
    stream = Stream(FRAMES, (0,), ("x",))
    settings = [f"quantise.per_channel={str(per_channel).lower()}"]
    quantised = quantise_file(str(network_file), checkpoint, stream, settings)
    assert quantised.integers == ("conv.weight",)
    integers = tmp_path / "q.safetensors"
    integers.write_bytes(quantised.to_bytes())
    network = load_network(str(network_file), integers)
    assert [type(node) for node in network.nodes if node.layer == "conv"] == [Product]
    assert not [node for node in network.nodes if node.layer == "norm"]
    result = simulate(network, load_arch("tiny"), stream, baseline=False)
    expected = model.forward(FRAMES)
    scale = 2.0 ** network.nodes[-1].output.quantum.exponent  # type: ignore[union-attr]
    # each of 12 products is off by half a step of its weight, of the largest 127ths, at most
    gain = (model.norm.weight.abs() / torch.sqrt(model.norm.running_var + 1e-5)).max().item()
    step = float(model.conv.weight.detach().abs().max()) / 127
    bound = gain * 12 * np.abs(FRAMES).max() * step / 2 + 8 * scale
    assert np.abs(result.outputs * scale - expected).max() < bound
