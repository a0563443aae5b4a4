"""Scales found at run time, from network files, the command line, and PyTorch's own files."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from typer.testing import CliRunner

import spusim
from spusim.cli.app import app
from spusim.frontend.checkpoint import read_checkpoint
from spusim.frontend.errors import CheckpointError, TopologyError
from spusim.frontend.load import load_network, quantise_file
from spusim.frontend.streams import load_stream
from spusim.network import NetworkError, Product, Stream
from spusim.network.identity import network_hash

NETWORK = """\
name: net
weights: net.safetensors
input: {size: 12}
layers:
  - {type: gru, name: rec, hidden: 8}
  - {type: conv1d, name: conv, outputs: 3, kernel: 3}
  - {type: linear, name: fc, outputs: 5}
quantise: {calibrate: "frames.npy"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a network, its weights and frames, and be there."""
    rng = np.random.default_rng(5)
    shapes = {
        "rec.weight_ih_l0": (24, 12), "rec.weight_hh_l0": (24, 8), "rec.bias_ih_l0": (24,),
        "rec.bias_hh_l0": (24,), "conv.weight": (3, 1, 3), "conv.bias": (3,),
        "fc.weight": (5, 18), "fc.bias": (5,),
    }  # fmt: skip
    tensors = {key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
    save_file(tensors, tmp_path / "net.safetensors")
    text = NETWORK.replace(
        "  - {type: conv1d", "  - {type: reshape, name: r, channels: 1}\n  - {type: conv1d"
    )
    (tmp_path / "net.yaml").write_text(text)
    np.save(tmp_path / "frames.npy", rng.normal(size=(30, 12)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def normalised(network) -> dict[str, int]:
    """Return the bits to which each product's operand is brought."""
    return {n.name: n.normalised_bits for n in network.nodes if isinstance(n, Product)}


def test_all_layers_or_some(folder: Path) -> None:
    """`scales` is for all, `layers` for single ones, and a note names who is."""
    every = load_network("net.yaml", settings=["quantise.scales=dynamic", "quantise.activations=8"])
    assert set(normalised(every).values()) == {8}
    assert "operands of int8, each frame at its own scale: rec, conv, fc" in every.notes
    some = load_network(
        "net.yaml", settings=["quantise.layers.fc=dynamic", "quantise.activations=8"]
    )
    assert normalised(some)["fc.sums"] == 8
    assert sum(normalised(some).values()) == 8
    rest = ["quantise.scales=dynamic", "quantise.layers.rec=static"]
    bits = normalised(load_network("net.yaml", settings=rest))
    assert {name: found for name, found in bits.items() if found} == {
        "conv.sums": 16,
        "fc.sums": 16,
    }


@pytest.mark.parametrize(
    "settings", [("quantise.layers.fc=dynamic",), ("quantise.scales=dynamic",)]
)
def test_a_file_gives_the_same_network_again(folder: Path, settings: tuple[str, ...]) -> None:
    """Scales, layers and the range are in its metadata."""
    quantised = quantise_file("net.yaml", "net.safetensors", settings=settings)
    (folder / "q.safetensors").write_bytes(quantised.to_bytes())
    again = load_network("net.yaml", "q.safetensors")
    assert network_hash(again) == network_hash(quantised.network)
    assert any(normalised(again).values())


def test_without_a_calibration(folder: Path) -> None:
    """--dynamic --input-range needs no stream; the file says so, and runs."""
    words = ["net.safetensors", "--network", "net.yaml", "--dynamic", "--activations", "int8"]
    runner = CliRunner()
    made = runner.invoke(app, ["quantize", *words, "--input-range", "4", "-o", "q.safetensors"])
    assert made.exit_code == 0, made.output
    assert "not calibrated: frames within +-4" in " ".join(made.output.split())
    with safe_open("q.safetensors", "np") as file:
        (step,) = json.loads(file.metadata()["spusim"])["steps"]
    assert (step["scales"], step["input_range"], step["frames"]) == ("dynamic", 4.0, 0)
    shown = runner.invoke(app, ["inspect", "q.safetensors"])
    assert "scales dynamic" in " ".join(shown.output.split())
    network = load_network("net.yaml", "q.safetensors")
    assert network.input.quantum.exponent == -12  # +4 itself is told
    frames = load_stream("random:density=1,frames=3,seed=1", network)
    result = spusim.simulate(network, spusim.load_arch("spu001"), frames)
    assert result.outputs.shape == (3, 5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("quantise.input_range=1",), r"serves where every scale is found at run time"),
        (
            ("quantise.input_range=1", "quantise.scales=dynamic"),
            r"takes the place of a calibration",
        ),
        (("quantise.layers.nope=dynamic",), r"quantise.layers.nope is no layer with weights"),
        (("quantise.layers.fc=sometimes",), r"sometimes"),
        (("quantise.input_range=-1", "quantise.scales=dynamic"), r"greater than 0|above 0|must be"),
    ],
)
def test_mistakes_in_the_file(folder: Path, settings: tuple[str, ...], said: str) -> None:
    """Each names the key, its value, the rule and what to do."""
    with pytest.raises(TopologyError, match=said):
        load_network("net.yaml", settings=settings)


def test_mistakes_of_the_network(folder: Path) -> None:
    """A sign has no size, an image's convolution no such product, and a stream was one too many."""
    with pytest.raises(NetworkError, match=r"a sign has no size; use 4, 8 or 16"):
        load_network("net.yaml", settings=["quantise.scales=dynamic", "quantise.activations=1"])
    settings = ["quantise.scales=dynamic", "quantise.input_range=1", "quantise.calibrate=null"]
    with pytest.raises(TopologyError, match=r"and one was given; leave one of them out"):
        load_network("net.yaml", calibrate="frames.npy", settings=settings)
    with pytest.raises(NetworkError, match=r"layer conv1 .*quantise.layers.conv1=static"):
        load_network("cnn_small", settings=["quantise.scales=dynamic"])


def test_a_damaged_file_is_refused(folder: Path) -> None:
    """Its metadata is checked as its widths are."""
    quantised = quantise_file("net.yaml", "net.safetensors", settings=["quantise.scales=dynamic"])
    cases = (
        ("scales", "now", "scales"), ("layers", {"fc": 3}, "scales"), ("layers", 3, "scales"),
        ("input_range", -1, "input_range"),
    )  # fmt: skip
    for key, value, said in cases:
        step = {**quantised.steps[-1], key: value}
        spoilt = type(quantised)(
            quantised.network, quantised.tensors, quantised.integers, quantised.kept, (step,)
        )
        (folder / "q.safetensors").write_bytes(spoilt.to_bytes())
        with pytest.raises(CheckpointError, match=rf"{said}.*write it again"):
            read_checkpoint("q.safetensors")


def test_what_pytorch_quantised_dynamically_is_dynamic_here(folder: Path) -> None:
    """A Linear packed without a scale of its activations say so; a file may overrule."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(12, 6), torch.nn.ReLU(), torch.nn.Linear(6, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    torch.save(made.state_dict(), "dynamic.pt")
    (folder / "mlp.yaml").write_text(
        "name: mlp\ninput: {size: 12}\nlayers:\n"
        "  - {type: linear, name: a, prefix: '0', outputs: 6}\n  - {type: relu, name: r}\n"
        "  - {type: linear, name: b, prefix: '2', outputs: 4}\n"
        "quantise: {activations: 8, per_channel: true, calibrate: frames.npy}\n"
    )
    found = read_checkpoint("dynamic.pt")
    assert found.dynamic == ("0", "2")
    assert "quantised dynamically by PyTorch: 0, 2" in found.forms
    network = load_network("mlp.yaml", "dynamic.pt")
    assert normalised(network) == {"a.sums": 8, "b.sums": 8}
    static = load_network("mlp.yaml", "dynamic.pt", settings=["quantise.scales=static"])
    assert not any(normalised(static).values())
    frames = np.load("frames.npy")
    stream = Stream(frames, (0,), ("frames",))
    result = spusim.simulate(network, spusim.load_arch("spu001"), stream)
    ours = result.outputs * 2.0 ** result_exponent(network)
    theirs = made(torch.tensor(frames, dtype=torch.float32)).detach().numpy()
    exact = model.eval()(torch.tensor(frames, dtype=torch.float32)).detach().numpy()
    assert np.sqrt(((ours - exact) ** 2).mean()) < 2 * np.sqrt(((theirs - exact) ** 2).mean())


def result_exponent(network) -> int:
    """Return the exponent of a network's output."""
    return spusim.network.tensor(network, network.output).quantum.exponent
