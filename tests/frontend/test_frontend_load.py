"""Whole paths: a network file with its checkpoint and calibration to a Network, and inspection."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spusim.formats import Layout, footprint
from spusim.frontend import (
    CheckpointError,
    TopologyError,
    inspect_checkpoint,
    list_streams,
    load_network,
    network_hash,
)
from spusim.network import Network, Product, Stream
from spusim.resources import shipped

FILE = """\
name: net
weights: net.safetensors
input: {size: 6}
layers:
  - {type: lstm, name: lstm, hidden: 16}
  - {type: linear, name: fc, outputs: 5}
quantise: {calibrate: calibration.npy}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network file with its checkpoint, in both formats, and its calibration."""
    torch.manual_seed(9)
    lstm, fc = torch.nn.LSTM(6, 16), torch.nn.Linear(16, 5)
    parts = {"lstm": lstm, "fc": fc}
    state = {
        f"{n}.{k}": v.half() for n, part in parts.items() for k, v in part.state_dict().items()
    }
    save_file(state, str(tmp_path / "net.safetensors"))
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "net.pt")
    np.save(tmp_path / "calibration.npy", np.random.default_rng(1).normal(size=(9, 6)))
    (tmp_path / "net.yaml").write_text(FILE)
    return tmp_path


def test_both_formats_give_the_identical_network(folder: Path) -> None:
    first = load_network(folder / "net.yaml")
    second = load_network(folder / "net.yaml", folder / "net.pt")
    assert network_hash(first) == network_hash(second)
    assert first.notes == second.notes


def products(network: Network) -> list[Product]:
    """Return a network's products."""
    return [node for node in network.nodes if isinstance(node, Product)]


def test_settings_prune_and_quantise(folder: Path) -> None:
    plain = load_network(folder / "net.yaml")
    settings = ("prune.density=0.25", "prune.structure=pencil:4", "quantise.per_channel=true")
    found = load_network(folder / "net.yaml", settings=settings)
    assert network_hash(found) != network_hash(plain)
    lstm = products(found)[0]
    assert [len(head.requant.multiplier) for head in lstm.heads] == [16] * 4
    pencils = lstm.weight.reshape(16, 4, 22).any(axis=1)
    assert np.count_nonzero(pencils[:, :6]) == round(0.25 * 16 * 6)
    assert np.count_nonzero(pencils[:, 6:]) == round(0.25 * 16 * 16)
    assert found.notes[0].startswith("pruned by pencil:4, scope layer: ")


def test_pruning_single_layers_and_globally(folder: Path) -> None:
    settings = ("prune.density=0.5", "prune.layers.fc=1.0")
    found = load_network(folder / "net.yaml", settings=settings)
    assert np.count_nonzero(products(found)[1].weight) > 70
    settings = ("prune.density=0.3", "prune.scope=global")
    total = 64 * 22 + 5 * 16
    note = load_network(folder / "net.yaml", settings=settings).notes[0]
    assert f"{round(0.3 * total)} of {total}" in note


def test_calibration_can_be_given(folder: Path) -> None:
    frames = 8 * np.ones((2, 6))
    stream = Stream(frames, (0,), ("a",))
    np.save(folder / "big.npy", frames)
    found = load_network(folder / "net.yaml", calibrate=stream)
    assert found.input.quantum.exponent == -11
    other = load_network(folder / "net.yaml", calibrate=str(folder / "big.npy"))
    assert network_hash(found) == network_hash(other)


def test_missing_pieces_are_named(folder: Path) -> None:
    path = folder / "net.yaml"
    with pytest.raises(CheckpointError, match=r"none\.pt: no such file"):
        load_network(path, folder / "none.pt")
    path.write_text(FILE.replace("weights: net.safetensors\n", ""))
    with pytest.raises(TopologyError, match="names no weights"):
        load_network(path)
    path.write_text(FILE.replace("quantise: {calibrate: calibration.npy}\n", ""))
    with pytest.raises(TopologyError, match=r"names no quantise\.calibrate"):
        load_network(path)
    with pytest.raises(TopologyError, match=r"neither a \.yaml file nor shipped; did you mean kws"):
        load_network("kwz")
    with pytest.raises(TopologyError, match="no such file"):
        load_network(folder / "other.yaml")


def test_shipped_networks_and_streams() -> None:
    found = load_network("kws")
    layers = [node.layer for node in found.nodes]
    assert list(dict.fromkeys(layers)) == ["lstm", "fc1", "relu1", "fc2", "pool"]
    assert found.output == "pool"
    assert found.labels[:2] == ("yes", "no")
    assert np.mean(products(found)[0].weight != 0) < 0.15
    assert np.mean(products(load_network("kws_dense"))[0].weight != 0) > 0.95
    assert {"kws", "kws_heldout"} <= set(list_streams())


def test_inspection_without_a_topology(folder: Path) -> None:
    weight = torch.zeros(16, 4)
    weight[0:2, 1] = weight[9, 3] = 1.0
    content = {"a": weight.bfloat16(), "conv": torch.ones(2, 3, 5), "b": torch.zeros(7)}
    torch.save(content, folder / "other.pt")
    matrix, conv, vector = inspect_checkpoint(folder / "other.pt", pes=2, group=8, weight_bits=4)
    assert (matrix.name, matrix.shape, matrix.dtype) == ("a", (16, 4), "bfloat16")
    assert matrix.is_weight and not vector.is_weight
    assert matrix.element_density == 3 / 64
    assert matrix.pencil_density == 2 / 8
    assert matrix.row_density == pytest.approx(3 / 16)
    assert matrix.column_density == pytest.approx(2 / 4)
    assert matrix.imbalance == pytest.approx(2 / 1.5)
    dense = footprint((weight != 0).numpy().astype(int), Layout("dense", 2, 64, 64, 4))
    assert matrix.format_bytes["dense"] == dense.total // 8 == 32
    pencil = footprint((weight != 0).numpy().astype(int), Layout("pencil", 2, 64, 64, 4, 8))
    assert matrix.format_bytes["pencil"] == pencil.total // 8
    assert (conv.shape, conv.element_density) == ((2, 3, 5), 1.0)
    assert (vector.shape, vector.dtype, vector.format_bytes) == ((7,), "float32", {})


def test_inspection_of_the_shipped_network() -> None:
    path = shipped("configs") / "networks" / "kws_data" / "kws.safetensors"
    found = {layer.name: layer for layer in inspect_checkpoint(path)}
    recurrent = found["lstm.weight_hh_l0"]
    assert recurrent.pencil_density == pytest.approx(0.15, abs=2e-3)
    assert recurrent.element_density == pytest.approx(recurrent.pencil_density)
    assert recurrent.format_bytes["pencil"] < 0.25 * recurrent.format_bytes["dense"]
