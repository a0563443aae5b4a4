"""Files that `prune` and `quantize` write: what is in them, and that they give the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import spusim
from spusim.frontend import (
    CheckpointError,
    PruneError,
    TopologyError,
    load_network,
    read_checkpoint,
)
from spusim.frontend.integer_file import dequantise
from spusim.network import tensor
from spusim.network.identity import network_hash
from spusim.network.records import Product

NETWORK = """\
name: small
input: {size: 6}
layers:
  - {type: lstm, name: rnn, hidden: 5}
  - {type: lstm, name: top, prefix: rnn, index: 1, hidden: 5}
  - {type: linear, name: fc, outputs: 4}
quantise: {calibrate: frames.npy}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network of two LSTM layers and a linear one, its checkpoint, and calibration frames."""
    torch.manual_seed(5)
    model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(6, 5, 2), "fc": torch.nn.Linear(5, 4)})
    torch.save({"state_dict": model.state_dict()}, tmp_path / "net.pt")
    (tmp_path / "net.yaml").write_text(NETWORK)
    np.save(tmp_path / "frames.npy", np.random.default_rng(6).normal(size=(40, 6)))
    return tmp_path


def quantised(folder: Path, source: str = "net.pt", *settings: str) -> Path:
    """Quantise a checkpoint of the folder to q.safetensors."""
    done = spusim.quantize(folder / "net.yaml", folder / source, settings=settings)
    (folder / "q.safetensors").write_bytes(done.to_bytes())
    return folder / "q.safetensors"


def pruned(folder: Path, *args: object, **options: object) -> Path:
    """Prune the folder's checkpoint to p.safetensors."""
    done = spusim.prune(folder / "net.pt", *args, **options)
    (folder / "p.safetensors").write_bytes(done.to_bytes())
    return folder / "p.safetensors"


@pytest.mark.parametrize("weights", [4, 8, 16])
@pytest.mark.parametrize("activations", [8, 16])
@pytest.mark.parametrize("per_channel", ["true", "false"])
def test_quantised_file_gives_the_same_network(
    folder: Path, weights: int, activations: int, per_channel: str
) -> None:
    pruned(folder, "element", 0.4)
    how = (
        f"quantise.weights={weights}",
        f"quantise.activations={activations}",
        f"quantise.per_channel={per_channel}",
    )
    direct = load_network(folder / "net.yaml", folder / "p.safetensors", settings=how)
    path = quantised(folder, "p.safetensors", *how)
    again = load_network(folder / "net.yaml", path)
    assert network_hash(again) == network_hash(direct)
    stored = load_file(path)
    kind = np.int16 if weights == 16 else np.int8
    for name in ("rnn.weight_ih_l0", "rnn.weight_hh_l1", "fc.weight"):
        assert stored[name].dtype == kind
        rows = len(stored[name]) if per_channel == "true" else 1
        assert stored[name + ".scale"].shape == (rows,)
    # One accumulator: scales are as the units of input and state are, the other way round.
    state, operand = (tensor(direct, name).quantum.exponent for name in ("rnn.h", "rnn.xh"))
    ratio = 2.0 ** (state - operand)
    x, h = (stored[f"rnn.weight_{part}_l0.scale"] for part in ("ih", "hh"))
    np.testing.assert_array_equal(x, ratio * h)


def test_quantised_file_needs_no_calibration_stream(folder: Path) -> None:
    expected = network_hash(load_network(folder / "net.yaml", folder / "net.pt"))
    path = quantised(folder)
    (folder / "frames.npy").unlink()
    assert network_hash(load_network(folder / "net.yaml", path)) == expected


def test_quantised_network_computes_the_same(folder: Path) -> None:
    stream = spusim.load_stream(str(folder / "frames.npy"))
    arch = spusim.load_arch("spu001")
    direct = load_network(folder / "net.yaml", folder / "net.pt")
    again = load_network(folder / "net.yaml", quantised(folder))
    results = [spusim.simulate(network, arch, stream) for network in (direct, again)]
    assert results[0].cycles == results[1].cycles
    np.testing.assert_array_equal(results[0].outputs, results[1].outputs)


@pytest.mark.parametrize("limit", [7, 127, 32767])
def test_scales_survive_to_the_last_bit(limit: int) -> None:
    """Dividing the largest real value by the largest code must give the scale that was stored."""
    bits = limit.bit_length() + 1
    for largest in np.random.default_rng(7).uniform(1e-9, 1e3, 500):
        scale = np.array([largest / limit])
        real = dequantise(np.array([[limit, -limit, 1]]), scale, bits)
        assert real[0, 0] / limit == scale[0]
        assert real[0, 1] == -real[0, 0]


def test_fully_pruned_rows_and_layers(folder: Path) -> None:
    path = pruned(folder, "row", 0.5)
    assert (load_file(path)["fc.weight"].any(axis=1)).sum() == 2
    for density in (0.5, 0.0):
        pruned(folder, "row", density)
        q = quantised(folder, "p.safetensors", "quantise.per_channel=true")
        assert np.isfinite(load_file(q)["fc.weight.scale"]).all()
        same = load_network(
            folder / "net.yaml", folder / "p.safetensors", settings=["quantise.per_channel=true"]
        )
        assert network_hash(load_network(folder / "net.yaml", q)) == network_hash(same)


def test_steps_are_recorded(folder: Path) -> None:
    pruned(folder, "pencil:4", 0.5, scope="global", norm="l1", layers=["rnn*"])
    steps = read_checkpoint(quantised(folder, "p.safetensors")).steps
    assert [step["command"] for step in steps] == ["prune", "quantize"]
    first, second = steps
    assert (first["structure"], first["density"], first["scope"]) == ("pencil:4", 0.5, "global")
    assert set(first["densities"]) == {
        f"rnn.weight_{part}_l{index}" for part in ("ih", "hh") for index in (0, 1)
    }
    assert second == {
        "command": "quantize", "network": "small", "weights": 8, "activations": 16, "input": 16,
        "per_channel": False, "asymmetric": False, "calibrated_on": "frames.npy", "frames": 40,
    }  # fmt: skip


def test_files_are_the_same_every_time(folder: Path) -> None:
    assert (
        pruned(folder, "element", 0.3).read_bytes() == pruned(folder, "element", 0.3).read_bytes()
    )
    assert quantised(folder).read_bytes() == quantised(folder).read_bytes()


def test_pruning_leaves_the_rest_alone(folder: Path) -> None:
    before = read_checkpoint(folder / "net.pt").tensors
    done = spusim.prune(folder / "net.pt", "element", 0.25, layers=["fc"])
    for name, values in before.items():
        same = np.array_equal(done.tensors[name], values)
        assert same == (name != "fc.weight")
    assert [weight.name for weight in done.weights] == ["fc.weight"]
    assert done.weights[0].nonzeros == 5
    assert done.density == 0.25


def test_global_pruning_tells_each_density(folder: Path) -> None:
    done = spusim.prune(folder / "net.pt", "element", 0.5, scope="global")
    densities = {weight.name: weight.density for weight in done.weights}
    assert len(set(densities.values())) > 1
    total = sum(weight.nonzeros for weight in done.weights)
    assert total == round(0.5 * sum(np.prod(weight.shape) for weight in done.weights))


def test_excluded_weights_are_left_alone(folder: Path) -> None:
    every = {weight.name for weight in spusim.prune(folder / "net.pt", "element", 0.25).weights}
    done = spusim.prune(folder / "net.pt", "element", 0.25, exclude=["fc"])
    assert {weight.name for weight in done.weights} == every - {"fc.weight"} != every
    before = read_checkpoint(folder / "net.pt").tensors
    np.testing.assert_array_equal(done.tensors["fc.weight"], before["fc.weight"])
    both = spusim.prune(folder / "net.pt", "element", 0.5, layers=["rnn*"], exclude=["*weight_hh*"])
    assert [weight.name for weight in both.weights] == [
        "rnn.weight_ih_l0",
        "rnn.weight_ih_l1",
    ]


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (("pencil:8",), {}, "needs a density"),
        (("n_of_m:2:4", 0.5), {}, "sets its own density"),
        (("element", 0.5), {"layers": ["lstm*"]}, "matches no weight"),
        (("element", 0.5), {"exclude": ["lstm*"]}, r"exclude \(=lstm\*\) matches no weight"),
        (("element", 0.5), {"exclude": ["fc*", "rnn*"]}, "leaves no weight to prune"),
        (("element", 1.5), {}, "from 0 to 1"),
        (("kernel", 0.5), {}, "only a convolution"),
    ],
)
def test_prunings_that_cannot_be(folder: Path, args: tuple, options: dict, message: str) -> None:
    with pytest.raises(PruneError, match=message):
        spusim.prune(folder / "net.pt", *args, **options)


def test_what_is_quantised_is_not_changed_again(folder: Path) -> None:
    path = quantised(folder)
    with pytest.raises(PruneError, match="quantised already"):
        spusim.prune(path, "element", 0.5)
    with pytest.raises(CheckpointError, match="quantised already"):
        spusim.quantize(folder / "net.yaml", path)
    for setting in ("quantise.weights=4", "prune.density=0.5"):
        with pytest.raises(TopologyError, match=f"{setting} comes too late"):
            load_network(folder / "net.yaml", path, settings=[setting])


def test_quantised_for_another_network(folder: Path) -> None:
    path = quantised(folder)
    for old, new in (("fc,", "head, prefix: fc,"), ("size: 6", "size: 6, bits: 8")):
        (folder / "other.yaml").write_text(NETWORK.replace(old, new))
        with pytest.raises(TopologyError, match="was quantised for network small"):
            load_network(folder / "other.yaml", path)


def test_networks_that_prune_are_refused(folder: Path) -> None:
    with pytest.raises(TopologyError, match="spusim prune"):
        spusim.quantize(folder / "net.yaml", folder / "net.pt", settings=["prune.density=0.5"])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("fc.weight", np.full((4, 5), -128, np.int8), "integers of int8"),
        ("fc.weight", np.ones((4, 5), np.float32), "integers of int8"),
        ("fc.weight.scale", np.zeros(1), "finite and above 0"),
        ("fc.weight.scale", np.full(1, np.nan), "finite and above 0"),
        ("fc.weight.scale", np.ones(3), "one value or one per row"),
        ("spusim.range.fc", np.full(4, np.inf), "finite and not below 0"),
    ],
)
def test_quantised_files_that_were_changed(
    folder: Path, name: str, values: np.ndarray, message: str
) -> None:
    path = quantised(folder)
    steps = json.dumps({"steps": read_checkpoint(path).steps})
    save_file({**load_file(path), name: values}, path, {"spusim": steps})
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_foreign_integers_are_told(folder: Path) -> None:
    state = torch.load(folder / "net.pt")["state_dict"]
    state["fc.weight"] = torch.quantize_per_tensor(state["fc.weight"], 0.01, 0, torch.qint8)
    torch.save(state, folder / "int.pt")
    notes = load_network(folder / "net.yaml", folder / "int.pt").notes
    assert any("quantised anew: fc.weight" in note for note in notes)


ENCODER = """\
name: encoder
input: {size: 40}
layers:
  - {type: lstm, name: lstm0, prefix: lstm, index: 0, hidden: 256}
  - {type: lstm, name: lstm1, prefix: lstm, index: 1, hidden: 256}
  - {type: lstm, name: lstm2, prefix: lstm, index: 2, hidden: 256}
  - {type: linear, name: linear, outputs: 256}
quantise: {calibrate: mel.npy}
"""


def test_a_speaker_encoder_of_a_training_checkpoint_becomes_a_network(tmp_path: Path) -> None:
    torch.manual_seed(8)
    parts = {"lstm": torch.nn.LSTM(40, 256, 3), "linear": torch.nn.Linear(256, 256)}
    state = torch.nn.ModuleDict(parts).state_dict()
    state |= {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    torch.save({"step": 7, "model_state": state, "optimizer_state": {}}, tmp_path / "pretrained.pt")
    (tmp_path / "net.yaml").write_text(ENCODER)
    np.save(tmp_path / "mel.npy", np.random.default_rng(9).normal(size=(6, 40)))
    found = load_network(tmp_path / "net.yaml", tmp_path / "pretrained.pt")
    products = [node.layer for node in found.nodes if isinstance(node, Product)]
    assert products == ["lstm0", "lstm1", "lstm2", "linear"]
    assert any("similarity_bias, similarity_weight" in note for note in found.notes)
    (tmp_path / "net.yaml").write_text(ENCODER.replace("hidden: 256", "hidden: 128"))
    with pytest.raises(TopologyError) as caught:
        load_network(tmp_path / "net.yaml", tmp_path / "pretrained.pt")
    disagreeing = [line for line in str(caught.value).splitlines() if "has shape" in line]
    assert len(disagreeing) == 13  # four of each LSTM layer, and the linear layer's weight


def test_weights_that_a_large_bias_makes_coarser(folder: Path) -> None:
    """Whatever the scale became, the file gives the network that quantising gave."""
    state = torch.load(folder / "net.pt")["state_dict"]
    kept = []
    for bias in np.logspace(2, 8, 25):
        state["fc.bias"][1] = float(bias)
        torch.save(state, folder / "net.pt")
        direct = load_network(folder / "net.yaml", folder / "net.pt")
        done = spusim.quantize(folder / "net.yaml", folder / "net.pt")
        (folder / "q.safetensors").write_bytes(done.to_bytes())
        again = load_network(folder / "net.yaml", folder / "q.safetensors")
        assert network_hash(again) == network_hash(direct)
        assert len(done.integers) + len(done.kept) == 5
        assert not done.kept or any("made coarser" in note for note in direct.notes)
        kept += done.kept
    assert set(kept) == {"fc.weight"}
