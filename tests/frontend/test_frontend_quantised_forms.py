"""Quantised state dicts: qint8, packed parameters, grids of fake quantising, Int8Tensor."""

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import said, saved, sparse_weight
from torch.ao import quantization

from spusim.frontend import CheckpointError, load_state_dict, read_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


def test_qint8_per_tensor_and_per_channel(tmp_path: Path) -> None:
    weight = sparse_weight()
    scales = weight.abs().amax(1) / 127
    tensors = {
        "tensor": torch.quantize_per_tensor(weight, 0.025, 0, torch.qint8),
        "shifted": torch.quantize_per_tensor(weight, 0.03, 5, torch.quint8),
        "channel": torch.quantize_per_channel(weight, scales, torch.zeros(8), 0, torch.qint8),
    }
    path = saved(tmp_path, tensors)
    found = read_checkpoint(path)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], tensor.dequantize().numpy())
    assert found.dtypes == {"tensor": "qint8", "shifted": "quint8", "channel": "qint8"}
    assert "qint8 per channel: channel" in said(path)
    assert np.all((found.tensors["channel"] == 0) >= (weight.numpy() == 0))


class Served(torch.nn.Module):
    """A module for eager quantisation, with a linear layer and a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.fc = torch.nn.Linear(6, 4)
        self.conv = torch.nn.Conv2d(1, 2, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        hidden = self.fc(self.quant(values)).unsqueeze(1)
        return self.dequant(self.conv(hidden))


def test_packed_params_of_statically_quantised_modules(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.backends.quantized.engine = "fbgemm"
    model = Served().eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(model)
    prepared(torch.randn(2, 5, 6))
    converted = quantization.convert(prepared)
    path = saved(tmp_path, converted.state_dict())
    found = load_state_dict(path)
    assert set(found) == {"fc.weight", "fc.bias", "conv.weight", "conv.bias"}
    np.testing.assert_array_equal(found["fc.weight"], converted.fc.weight().dequantize().numpy())
    np.testing.assert_array_equal(
        found["conv.weight"], converted.conv.weight().dequantize().numpy()
    )
    np.testing.assert_array_equal(found["fc.bias"], model.fc.bias.detach().numpy())
    assert "6 ranges and scales of activations left aside" in said(path)


def test_packed_params_of_dynamically_quantised_linear(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(6, 4))
    converted = quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    found = load_state_dict(saved(tmp_path, converted.state_dict()))
    np.testing.assert_array_equal(found["0.weight"], converted[0].weight().dequantize().numpy())


def test_dynamically_quantised_lstm_is_refused(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.LSTM(4, 3))
    converted = quantization.quantize_dynamic(model, {torch.nn.LSTM}, dtype=torch.qint8)
    path = saved(tmp_path, converted.state_dict())
    with pytest.raises(CheckpointError, match=r"ScriptObject.*float model's state dict"):
        load_state_dict(path)


def test_fake_quantised_weights_lie_on_their_grid(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Served().train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    prepared = quantization.prepare_qat(model)
    prepared(torch.randn(2, 5, 6))
    path = saved(tmp_path, prepared.state_dict())
    found = load_state_dict(path)
    assert set(found) == {"fc.weight", "fc.bias", "conv.weight", "conv.bias"}
    for layer in ("fc", "conv"):
        module = copy.deepcopy(getattr(prepared, layer))
        module.weight_fake_quant.disable_observer()
        expected = module.weight_fake_quant(module.weight).detach().numpy()
        np.testing.assert_allclose(found[f"{layer}.weight"], expected, rtol=1e-6, atol=0)
    assert "quantisation-aware training: fc.weight, conv.weight" in said(path)


def test_fake_quant_that_never_saw_data_changes_nothing(tmp_path: Path) -> None:
    model = Served().train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    prepared = quantization.prepare_qat(model)
    found = load_state_dict(saved(tmp_path, prepared.state_dict()))
    np.testing.assert_array_equal(found["fc.weight"], model.fc.weight.detach().numpy())


def test_a_grid_of_a_fused_batch_norm_is_not_the_weights(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 2), torch.nn.BatchNorm1d(4)).train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    fused = quantization.fuse_modules_qat(model, ["0", "1"])
    prepared = quantization.prepare_qat(fused)
    prepared(5.0 * torch.randn(8, 3, 9))
    path = saved(tmp_path, prepared.state_dict())
    np.testing.assert_array_equal(
        load_state_dict(path)["0.weight"], prepared[0].weight.detach().numpy()
    )
    assert "not rounded, since their grids are of products with batch norms: 0.weight" in said(path)


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_weights_that_modules_compute_are_refused(tmp_path: Path, norm: str) -> None:
    new = getattr(torch.nn.utils.parametrizations, norm)(torch.nn.Linear(6, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older of the two goes out of use
        old = getattr(torch.nn.utils, norm)(torch.nn.Linear(6, 5))
    for layer, undo in ((new, "parametrize.remove_parametrizations"), (old, f"remove_{norm}")):
        with pytest.raises(
            CheckpointError, match=rf"{norm} computes weight from; .*utils\.{undo} "
        ):
            load_state_dict(saved(tmp_path, layer.state_dict()))


def test_four_bits_in_a_byte_are_named(tmp_path: Path) -> None:
    scales, zeros = torch.ones(4), torch.zeros(4)
    weight = torch.quantize_per_channel(torch.ones(4, 8), scales, zeros, 0, torch.quint4x2)
    with pytest.raises(CheckpointError, match=r"tensor w has type torch\.quint4x2"):
        load_state_dict(saved(tmp_path, {"w": weight}))


def int8_tensors(**options: object) -> tuple[torch.nn.Module, dict]:
    """Quantise a linear layer with torchao; skip where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchao = pytest.importorskip(
            "torchao.quantization", reason="torchao is not installed: pip install --no-deps torchao"
        )
    model = torch.nn.Sequential(torch.nn.Linear(32, 16))
    torchao.quantize_(model, torchao.Int8WeightOnlyConfig(version=2, **options))
    return model, model.state_dict()


@pytest.mark.parametrize("granularity", ["PerRow", "PerTensor"])
def test_torchaos_int8_tensor(tmp_path: Path, granularity: str) -> None:
    pytest.importorskip("torchao", reason="torchao is not installed")
    from torchao.quantization import granularity as kinds

    model, state = int8_tensors(granularity=getattr(kinds, granularity)())
    path = saved(tmp_path, state)
    found = read_checkpoint(path)
    np.testing.assert_array_equal(found.tensors["0.weight"], model[0].weight.dequantize().numpy())
    assert found.dtypes["0.weight"] == "int8"
    assert "Int8Tensor" in said(path)


def written_int8_tensor(path: Path, scale: torch.Tensor | None, **state: object) -> torch.Tensor:
    """Write a file as torchao 0.18 does, with a class of its name; return its real values."""
    codes = torch.arange(-12, 12, dtype=torch.int8).reshape(4, 6)

    class Int8Tensor(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, function, *args):
            raise NotImplementedError

        def __reduce_ex__(self, protocol):
            new = (
                Int8Tensor,
                torch.float32,
                (4, 6),
                (6, 1),
                0,
                torch.strided,
                torch.device("cpu"),
                False,
            )
            parts = {"qdata": codes, "scale": scale, "zero_point": None, **state}
            return torch._tensor._rebuild_from_type_v2, (
                torch._utils._rebuild_wrapper_subclass, Int8Tensor, new, parts,
            )  # fmt: skip

    import sys
    import types

    module = types.ModuleType("torchao.quantization")
    module.Int8Tensor = Int8Tensor
    Int8Tensor.__module__, Int8Tensor.__qualname__ = "torchao.quantization", "Int8Tensor"
    hidden = {name: sys.modules.get(name) for name in ("torchao", "torchao.quantization")}
    sys.modules |= {"torchao": types.ModuleType("torchao"), "torchao.quantization": module}
    try:
        tensor = torch.Tensor._make_wrapper_subclass(Int8Tensor, (4, 6))
        torch.save({"w": tensor}, path)
    finally:
        for name, before in hidden.items():
            sys.modules.pop(name)
            if before is not None:
                sys.modules[name] = before
    return codes.float()


def test_int8_tensor_is_read_without_torchao(tmp_path: Path) -> None:
    scale = torch.tensor([[0.5], [0.25], [1.0], [2.0]])
    codes = written_int8_tensor(tmp_path / "net.pt", scale)
    found = load_state_dict(tmp_path / "net.pt")
    np.testing.assert_array_equal(found["w"], (codes * scale).numpy())


def test_int8_tensor_in_blocks_with_zero_points(tmp_path: Path) -> None:
    scale = torch.tensor([[0.5, 1.0], [2.0, 4.0]])
    zero = torch.tensor([[1, 2], [3, 4]], dtype=torch.int8)
    codes = written_int8_tensor(tmp_path / "net.pt", scale, zero_point=zero)
    spread = [part.repeat_interleave(2, 0).repeat_interleave(3, 1) for part in (scale, zero)]
    found = load_state_dict(tmp_path / "net.pt")
    np.testing.assert_array_equal(found["w"], ((codes - spread[1]) * spread[0]).numpy())


@pytest.mark.parametrize(
    ("scale", "state", "message"),
    [
        (torch.ones(3, 1), {}, "do not divide"),
        (torch.ones(4, 1), {"act_pre_scale": torch.ones(6)}, "act_pre_scale"),
        (None, {}, "no scale"),
    ],
)
def test_int8_tensor_that_cannot_be(tmp_path: Path, scale, state: dict, message: str) -> None:
    written_int8_tensor(tmp_path / "net.pt", scale, **state)
    with pytest.raises(CheckpointError, match=message):
        load_state_dict(tmp_path / "net.pt")
