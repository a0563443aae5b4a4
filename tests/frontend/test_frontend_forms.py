"""Every form of checkpoint: a real file by the real library, read back, and what is said of it."""

import argparse
import collections
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import said, saved, sparse_weight

from spusim.frontend import CheckpointError, load_state_dict

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("layout", "convert"),
    [
        ("coo", lambda w: w.to_sparse()),
        ("csr", lambda w: w.to_sparse_csr()),
        ("csc", lambda w: w.to_sparse_csc()),
        ("bsr", lambda w: w.to_sparse_bsr((4, 4))),
        ("bsc", lambda w: w.to_sparse_bsc((4, 4))),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_sparse_layouts(tmp_path: Path, layout: str, convert, zipped: bool) -> None:
    weight = sparse_weight()
    path = tmp_path / "net.pt"
    torch.save({"w": convert(weight)}, path, _use_new_zipfile_serialization=zipped)
    np.testing.assert_array_equal(load_state_dict(path)["w"], weight.numpy())
    assert "w" in said(path)
    assert layout in said(path) or layout == "coo"


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "_module.", "module._orig_mod.", "_orig_mod.module.",
     "_fsdp_wrapped_module."],
)  # fmt: skip
def test_prefixes(tmp_path: Path, prefix: str) -> None:
    path = saved(tmp_path, {prefix + "fc.weight": sparse_weight()})
    assert list(load_state_dict(path)) == ["fc.weight"]
    for wrapper in prefix.removesuffix(".").split("."):
        assert f"{wrapper}." in said(path)


def test_prefixes_of_parts(tmp_path: Path) -> None:
    state = {
        "rnn._orig_mod.weight_ih_l0": sparse_weight(),
        "a._checkpoint_wrapped_module.w": torch.ones(2),
    }
    assert list(load_state_dict(saved(tmp_path, state))) == ["rnn.weight_ih_l0", "a.w"]


def speaker_encoder() -> torch.nn.Module:
    """A three-layer LSTM over 40 features with a linear layer, as speaker encoders are."""

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
            self.linear = torch.nn.Linear(256, 256)

    torch.manual_seed(2)
    return Encoder()


def test_speaker_encoder_in_a_training_checkpoint(tmp_path: Path) -> None:
    model = speaker_encoder()
    optimizer = torch.optim.Adam(model.parameters())
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    content = {
        "step": 1564501,
        "model_state": model.state_dict(),
        "optimizer_state": optimizer.state_dict(),
    }
    path = saved(tmp_path, content)
    found = load_state_dict(path)
    assert set(found) == set(model.state_dict())
    assert found["lstm.weight_hh_l2"].shape == (1024, 256)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(found[name], value.numpy())
    assert "state dict under model_state" in said(path)


def test_training_checkpoint_with_everything_beside(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = {
        "epoch": np.int64(3),
        "loss": torch.tensor(0.25),
        "best": {"accuracy": np.float64(0.97), "history": np.arange(3.0)},
        "args": argparse.Namespace(lr=0.1, out=Path("runs")),
        "counts": collections.Counter(a=1),
        "seen": collections.defaultdict(list, {"a": [1]}),
        "optimizer": optimizer.state_dict(),
        "model": {"state_dict": layer.state_dict()},
    }
    path = saved(tmp_path, content)
    assert set(load_state_dict(path)) == {"weight", "bias"}
    assert "model.state_dict" in said(path)


def test_one_state_dict_under_a_name_of_its_own(tmp_path: Path) -> None:
    path = saved(
        tmp_path, {"epoch": 1, "encoder": {"w": torch.ones(2)}, "optim": {"m": torch.ones(2)}}
    )
    assert list(load_state_dict(path)) == ["w"]


def test_two_models_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"encoder": {"w": torch.ones(2)}, "decoder": {"w": torch.ones(2)}})
    with pytest.raises(CheckpointError, match="several state dicts \\(encoder, decoder\\)"):
        load_state_dict(path)


def distiller(masks: dict) -> dict:
    """A checkpoint as Distiller's save_checkpoint lays it out."""
    return {
        "epoch": 89,
        "arch": "lstm",
        "state_dict": {
            "module.fc.weight": torch.full((2, 3), 2.0),
            "module.fc.bias": torch.ones(2),
        },
        "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
        "optimizer_type": torch.optim.SGD,
        "compression_sched": {"masks_dict": masks},
        "extras": {"best_top1": np.float64(91.2)},
        "is_parallel": True,
    }


def test_distillers_masks(tmp_path: Path) -> None:
    mask = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    path = saved(
        tmp_path, distiller({"module.fc.weight": mask, "module.fc.bias": None}), "b.pth.tar"
    )
    found = load_state_dict(path)
    np.testing.assert_array_equal(found["fc.weight"], 2 * mask.numpy())
    np.testing.assert_array_equal(found["fc.bias"], np.ones(2))
    assert "Distiller's masks: module.fc.weight" in said(path)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"fc.weight": torch.ones(3, 3)}, r"\(2, 3\) and its mask \(3, 3\)"),
        ({"gone.weight": torch.ones(2, 3)}, "mask for gone.weight, but no such parameter"),
        ({"fc.weight": torch.full((2, 3), 0.5)}, "beside 0 and 1"),
    ],
)
def test_distillers_masks_that_do_not_fit(tmp_path: Path, masks: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_state_dict(saved(tmp_path, distiller(masks)))


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".tar", ".PTH"])
def test_suffixes_of_other_tools(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({"w": sparse_weight()}, path)
    np.testing.assert_array_equal(load_state_dict(path)["w"], sparse_weight().numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    weight = sparse_weight().to(dtype)
    found = load_state_dict(saved(tmp_path, {"w": weight}))
    np.testing.assert_array_equal(found["w"].astype(np.float32), weight.float().numpy())
