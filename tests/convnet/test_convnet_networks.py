"""The shipped convolutional networks: sizes, keys, random weights, and how they quantise."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from convnet_cases import network_path
from integer_reference import evaluate

from spusim.frontend import load_network, load_stream, quantise_input
from spusim.frontend.chain import float_forward
from spusim.frontend.errors import TopologyError
from spusim.frontend.load import find_network, load_float_network, open_topology
from spusim.frontend.random_weights import random_checkpoint
from spusim.network import Convolution, network_hash, tensor
from spusim.numerics import Numerics

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.network_files import FILES, FOLDER, network_text

PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
    "pitch_tracker": 486_552,
}
SMALL = ["input.height=64", "input.width=64"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    tensors = random_checkpoint(open_topology(name)[1], "random:seed=3").tensors
    learnt = [v.size for key, v in tensors.items() if ".running_" not in key]
    assert sum(learnt) == PARAMETERS[name]


def test_keys_are_torchvisions() -> None:
    tensors = random_checkpoint(open_topology("resnet50")[1], "random:seed=0").tensors
    assert tensors["layer3.0.downsample.0.weight"].shape == (1024, 512, 1, 1)
    assert tensors["layer4.2.bn3.running_var"].shape == (2048,)
    assert tensors["fc.weight"].shape == (1000, 2048) and "conv1.bias" not in tensors
    tensors = random_checkpoint(open_topology("mobilenet_v2")[1], "random:seed=0").tensors
    assert tensors["features.1.conv.0.0.weight"].shape == (32, 1, 3, 3)
    assert tensors["features.17.conv.2.weight"].shape == (320, 960, 1, 1)
    assert tensors["classifier.1.bias"].shape == (1000,)


@pytest.mark.parametrize("name", FILES)
def test_files_are_those_of_their_generator(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text == network_text(name), "python -m benchmarks.network_files writes them"


def test_random_weights_are_those_of_their_seed() -> None:
    topology = open_topology("cnn_small")[1]
    one, two, other = (
        random_checkpoint(topology, f"random:seed={seed}").tensors for seed in (0, 0, 1)
    )
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert not np.array_equal(one["conv1.weight"], other["conv1.weight"])
    assert one["conv2.weight"].std() == pytest.approx(math.sqrt(2 / (16 * 9)), rel=0.1)
    networks = [load_network("cnn_small"), load_network("cnn_small", "random:seed=0")]
    assert network_hash(networks[0]) == network_hash(networks[1])
    assert network_hash(load_network("cnn_small", "random:seed=1")) != network_hash(networks[0])


@pytest.mark.parametrize("source", ["random:", "random:seed=x", "random:density=0.1"])
def test_random_weights_that_are_none_are_refused(source: str) -> None:
    with pytest.raises(TopologyError, match=r"must be a checkpoint or random:seed=N"):
        load_network("cnn_small", source)


@pytest.mark.parametrize("settings", [[], ["prune.density=0.2"]], ids=["dense", "pruned"])
def test_relus_cut_off_about_half(settings: list[str]) -> None:
    """Batch norms have measured what they see, pruned as the weights are."""
    path, topology, _ = open_topology("resnet18", None, [*SMALL, *settings])
    network = load_float_network(path, topology)
    frames = load_stream("noise:frames=1,seed=7", framing=topology.input.framing).frames
    kept: dict[str, float] = {}

    def observe(name: str, values: np.ndarray) -> None:
        if "relu" in name:
            kept[name] = float(np.count_nonzero(values) / values.size)

    float_forward(network, frames, (0,), observe)
    assert len(kept) == 17
    assert all(0.2 < share < 0.85 for share in kept.values()), kept
    assert 0.4 < np.mean(list(kept.values())) < 0.65


# largest difference from the float network, of the largest output. 16 bits: some 20 layers (50
# convolutions of MobileNet-v2, most without a function after them) each round by 2**-16 of their
# range, and gains carry that on; 8 bits are 256 times coarser, and as random as the roundings are,
# of which the bound allows four standard deviations as they were measured.
DISTANCES = {
    ("cnn_small", 16): 0.002,
    ("cnn_small", 8): 0.15,
    ("resnet18", 16): 0.01,
    ("mobilenet_v2", 16): 0.02,
}


@pytest.mark.parametrize(("name", "bits"), DISTANCES)
def test_quantised_network_is_near_its_floats(name: str, bits: int) -> None:
    settings = [f"{key}={bits}" for key in ("quantise.weights", "quantise.activations")]
    settings += [f"input.bits={bits}"] + ([] if name == "cnn_small" else _tiny())
    network = load_network(name, settings=settings)
    path, topology, _ = open_topology(name, None, settings)
    floats = load_float_network(path, topology)
    stream = load_stream("noise:frames=1,seed=1", network)
    expected = float_forward(floats, stream.frames, stream.starts)
    codes = quantise_input(stream, network)
    outputs = evaluate(network, codes.frames, codes.starts, Numerics(48))
    unit = 2.0 ** tensor(network, network.output).quantum.exponent
    error = np.abs(outputs * unit - expected).max() / np.abs(expected).max()
    assert error < DISTANCES[name, bits]


def _tiny() -> list[str]:
    return ["input.height=32", "input.width=32", "quantise.calibrate='noise:frames=1,seed=1'"]


def test_a_state_dict_takes_the_place_of_random_weights(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    tensors = random_checkpoint(open_topology("cnn_small")[1], "random:seed=5").tensors
    file = tmp_path / "weights.safetensors"
    save_file({f"module.{key}": value for key, value in tensors.items()}, file)
    network = load_network("cnn_small", file)
    (first, *_) = (node for node in network.nodes if isinstance(node, Convolution))
    # the batch norm has mean 0 and variance 1 there, so that its weight is all that scales
    scaled = tensors["conv1.weight"] * (tensors["bn1.weight"] / np.sqrt(1 + 1e-5)).reshape(
        -1, 1, 1, 1
    )
    units = np.abs(scaled).max(axis=(1, 2, 3), keepdims=True) / 127
    assert np.abs(first.weight - scaled / units).max() <= 0.5 + 1e-4
    assert not any("random" in note for note in network.notes)
    assert find_network("cnn_small").name == "cnn_small.yaml"


def test_layers_with_dots_in_their_names_can_be_pruned(tmp_path: Path) -> None:
    text = find_network("cnn_small").read_text().replace("name: conv2", "name: block.0.conv")
    path = network_path(tmp_path, text + "prune: {density: 1.0, layers: {block.0.conv: 0.25}}\n")
    network = load_network(path)
    (node,) = (n for n in network.nodes if n.name == "block.0.conv")
    assert isinstance(node, Convolution)
    assert np.count_nonzero(node.weight) / node.weight.size == pytest.approx(0.25, abs=0.01)


def test_settings_reach_layers_with_dots_in_their_names() -> None:
    settings = ["prune.density=1.0", "prune.layers.layer1.0.conv1=0.5"]
    topology = open_topology("resnet18", None, [*settings, "layers.layer1.1.conv2.bias=true"])[1]
    assert topology.prune is not None and topology.prune.layers == {"layer1.0.conv1": 0.5}
    (layer,) = (each for each in topology.layers if each.name == "layer1.1.conv2")
    assert layer.model_dump()["bias"] is True
    with pytest.raises(TopologyError, match=r"no layer1\.1\.conv9; did you mean layer1\.1"):
        open_topology("resnet18", None, ["layers.layer1.1.conv9.padding=1"])
