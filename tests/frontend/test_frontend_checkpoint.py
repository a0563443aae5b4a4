"""Checkpoints: what is understood, what is refused, and that nothing in a file is executed."""

import argparse
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
from checkpoint_files import Planted, refused, saved
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from spusim.frontend import load_state_dict, read_checkpoint

WEIGHT = torch.tensor([[1.0, 0.0, -2.5], [0.0, 4.0, 0.5]])


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.tar", "best.pth.tar"])
@pytest.mark.parametrize(
    "wrapper", [None, "state_dict", "model_state_dict", "model_state", "model", "net"]
)
def test_plain_and_nested_state_dicts(tmp_path: Path, name: str, wrapper: str | None) -> None:
    state = {"fc.weight": WEIGHT}
    content = state if wrapper is None else {"epoch": 3, wrapper: state, "optimizer": {"lr": 0.1}}
    found = load_state_dict(saved(tmp_path, content, name))
    assert list(found) == ["fc.weight"]
    np.testing.assert_array_equal(found["fc.weight"], WEIGHT.numpy())


def test_checkpoint_with_plain_data_beside_the_weights(tmp_path: Path) -> None:
    content = {
        "state_dict": {"fc.weight": WEIGHT},
        "best": np.float64(0.97),
        "args": argparse.Namespace(lr=0.1),
    }
    assert set(load_state_dict(saved(tmp_path, content))) == {"fc.weight"}


def test_old_file_format(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"w": WEIGHT}, path, _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(load_state_dict(path)["w"], WEIGHT.numpy())


@pytest.mark.parametrize("prefix", ["module.", "module.module.", "_orig_mod.", "_orig_mod.module."])
def test_wrappers_prefixes_are_stripped(tmp_path: Path, prefix: str) -> None:
    assert set(load_state_dict(saved(tmp_path, {prefix + "a.weight": WEIGHT}))) == {"a.weight"}


def test_duplicate_after_stripping_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a.weight": WEIGHT, "module.a.weight": WEIGHT})
    refused(path, r"a\.weight and module\.a\.weight are both a\.weight", "keep one")


def test_pruned_parameter_is_folded(tmp_path: Path) -> None:
    layer = torch.nn.Linear(6, 4)
    torch.nn.utils.prune.l1_unstructured(layer, "weight", amount=0.5)
    path = saved(tmp_path, layer.state_dict())
    found = load_state_dict(path)
    assert set(found) == {"weight", "bias"}
    np.testing.assert_array_equal(found["weight"], layer.weight.detach().numpy())
    assert np.count_nonzero(found["weight"]) == 12
    assert read_checkpoint(path).dtypes == {"weight": "float32", "bias": "float32"}


def test_orig_without_mask_is_refused(tmp_path: Path) -> None:
    refused(saved(tmp_path, {"a.weight_orig": WEIGHT}), r"a\.weight_orig", r"a\.weight_mask")


def test_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    content = {"weight_orig": WEIGHT, "weight_mask": torch.ones(2, 2)}
    refused(saved(tmp_path, content), r"\(2, 3\)", r"\(2, 2\)")


class Masked(torch.nn.Module):
    """A parametrization that multiplies by a mask, which it may or may not save."""

    def __init__(self, mask: torch.Tensor, persistent: bool) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=persistent)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask


@pytest.mark.parametrize("persistent", [True, False])
def test_parametrization_needs_its_mask(tmp_path: Path, persistent: bool) -> None:
    layer = torch.nn.Linear(3, 2)
    mask = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", Masked(mask, persistent))
    path = saved(tmp_path, {"fc": 1} | {"state_dict": layer.state_dict()})
    if persistent:
        np.testing.assert_array_equal(load_state_dict(path)["weight"], layer.weight.detach())
    else:
        refused(path, r"parametrizations\.weight\.original", "never saved", "remove_parametriz")


def test_weight_norm_is_refused(tmp_path: Path) -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2))
    refused(saved(tmp_path, layer.state_dict()), r"original0", "remove_parametrizations")


def test_planted_pickle_is_not_executed(tmp_path: Path) -> None:
    for protocol, name in enumerate(("bare.pt", "torch.pt", "old.pth")):
        folder = tmp_path / f"ran{protocol}"
        path = tmp_path / name
        if name == "bare.pt":
            path.write_bytes(pickle.dumps(Planted(folder)))
        else:
            torch.save({"w": Planted(folder)}, path, _use_new_zipfile_serialization=protocol == 1)
        refused(path)
        assert not folder.exists()
    refused(tmp_path / "torch.pt", "pickled", "mkdir", r"torch\.save\(model\.state_dict\(\)")


def test_planted_pickle_would_have_run(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Planted(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_whole_module_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, torch.nn.Sequential(torch.nn.Linear(2, 2)))
    refused(path, r"pickled torch\.nn\.modules", "nothing of it was loaded", r"state_dict\(\)")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    refused(path, "TorchScript", r"state_dict\(\)")


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ({"w": WEIGHT, "name": "x"}, "name is a str, not a tensor"),
        ([WEIGHT], "holds a list"),
        ({}, "no tensors"),
        ({"state_dict": {}}, "no tensors"),
        ({1: WEIGHT}, "key 1"),
        ({"w": WEIGHT.to(torch.complex64)}, r"w has type torch\.complex64"),
        ({"w": torch.empty(2, device="meta")}, "meta device"),
    ],
)
def test_content_that_is_no_plain_tensor(tmp_path: Path, content: object, pattern: str) -> None:
    refused(saved(tmp_path, content), pattern)


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_finite_names_tensor_and_first_place(tmp_path: Path, name: str, value: float) -> None:
    bad = torch.zeros(2, 3)
    bad[1, 0] = bad[1, 2] = value
    path = tmp_path / name
    (torch.save if name.endswith(".pt") else save_torch)({"fc.weight": bad}, str(path))
    refused(path, r"fc\.weight is -?(nan|inf) at \[1, 0\]", "2 of 6")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_missing_empty_and_folder(tmp_path: Path, suffix: str) -> None:
    refused(tmp_path / f"none{suffix}", "no such file")
    (tmp_path / f"empty{suffix}").touch()
    refused(tmp_path / f"empty{suffix}", "empty")
    (tmp_path / f"folder{suffix}").mkdir()
    refused(tmp_path / f"folder{suffix}", "folder")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_truncated_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    state = {"w": torch.arange(3000.0)}
    (torch.save if suffix == ".pt" else save_torch)(state, str(whole))
    content = whole.read_bytes()
    cut.write_bytes(content[: int(kept * len(content))])
    refused(cut, "not a complete", "again")


def test_garbage_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(400)
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"noise{suffix}"
        path.write_bytes(noise)
        refused(path, "not a complete")


@pytest.mark.parametrize("name", ["net.onnx", "net", "net.h5"])
def test_wrong_suffix_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    refused(tmp_path / name, "suffix", r"\.safetensors")


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "int8", "int64", "uint8", "bool"]
)
def test_both_formats_give_the_same_values(tmp_path: Path, dtype: str) -> None:
    state = {"w": (WEIGHT * 3).to(getattr(torch, dtype))}
    torch.save(state, tmp_path / "net.pt")
    save_torch(state, str(tmp_path / "net.safetensors"))
    first = read_checkpoint(tmp_path / "net.pt")
    second = read_checkpoint(tmp_path / "net.safetensors")
    assert first.dtypes == second.dtypes == {"w": dtype}
    np.testing.assert_array_equal(first.tensors["w"], second.tensors["w"])
    np.testing.assert_array_equal(first.tensors["w"], state["w"].double().numpy())


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_sparse_tensor_becomes_dense(tmp_path: Path) -> None:
    for layout in (WEIGHT.to_sparse(), WEIGHT.to_sparse_csr()):
        found = load_state_dict(saved(tmp_path, {"w": layout}))
        np.testing.assert_array_equal(found["w"], WEIGHT.numpy())


def test_unknown_safetensors_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f8.safetensors"
    save_torch({"w": WEIGHT.to(torch.float8_e4m3fn)}, str(path))
    refused(path, "w has type F8_E4M3", "convert")


def test_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, {"w": WEIGHT})
    monkeypatch.setitem(sys.modules, "torch", None)
    refused(path, r"pip install spusim\[torch\]", "safetensors")


def test_safetensors_never_imports_torch(tmp_path: Path) -> None:
    save_file({"w": WEIGHT.numpy()}, tmp_path / "net.safetensors")
    code = (
        "import sys; from spusim.frontend import load_state_dict\n"
        f"load_state_dict({str(tmp_path / 'net.safetensors')!r})\n"
        "assert 'torch' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
