"""What a network file of images may not say, and how it is told."""

import re
from pathlib import Path

import pytest
from convnet_cases import network_path

from spusim.frontend import TopologyError
from spusim.frontend.layers import LAYERS
from spusim.frontend.topology_file import INSTEAD, load_topology

IMAGE = "{channels: 3, height: 8, width: 8}"

CASES = {
    "{type: conv2d, name: c, outputs: 4, kernel: 9}":
        "the output has no positions: the padded input is 8 high",
    "{type: conv2d, name: c, outputs: 4, kernel: 3, groups: 2}":
        r"groups \(=2\) must divide channels \(=3\)",
    "{type: conv2d, name: c, outputs: 4, kernel: [3]}": "c|kernel",
    "{type: conv2d, name: c, outputs: 4, kernel: 0}": "kernel",
    "{type: max_pool2d, name: p, kernel: 2, padding: 2}":
        r"pads \(=2\) more than half of its windows",
    "{type: avg_pool2d, name: p, kernel: 3, ceil: true}": "an average takes no ceil",
    "{type: lstm, name: l, hidden: 4}": "lstm takes no image; put flatten or global_pool before",
    "{type: linear, name: l, outputs: 4}": "linear takes no image",
    "{type: conv1d, name: l, outputs: 4}": "conv1d takes no image",
    "{type: reshape, name: r, channels: 3, width: 5}": "makes rows of 5 of 64 positions",
}  # fmt: skip


@pytest.mark.parametrize("layer", CASES)
def test_layer_is_refused_with_its_line(tmp_path: Path, layer: str) -> None:
    path = network_path(tmp_path, f"name: net\ninput: {IMAGE}\nlayers:\n  - {layer}\n")
    with pytest.raises(TopologyError, match=CASES[layer]) as caught:
        load_topology(path)
    assert f"{path}:4" in str(caught.value)


def test_a_flattened_image_goes_into_a_linear_layer_only(tmp_path: Path) -> None:
    lines = "  - {type: flatten, name: f}\n  - {type: slice, name: s, size: 4}\n"
    path = network_path(tmp_path, f"name: net\ninput: {IMAGE}\nlayers:\n{lines}")
    with pytest.raises(TopologyError, match="slice takes no flattened image"):
        load_topology(path)
    load_topology(network_path(tmp_path, path.read_text().replace("f}", "f, order: positions}")))


def test_signals_are_no_images(tmp_path: Path) -> None:
    line = "  - {type: conv2d, name: c, outputs: 4, kernel: 3}\n"
    path = network_path(tmp_path, f"name: net\ninput: {{size: 64}}\nlayers:\n{line}")
    with pytest.raises(TopologyError, match="takes an image, with rows and columns"):
        load_topology(path)


INPUTS = {
    "{bits: 8}": "input has no size; give it one, or channels, height and width",
    "{channels: 3, width: 8}": "input.height is missing, of an image",
    "{size: 5, channels: 3, height: 8, width: 8}": r"size \(=5\) must be .* \(=192\); leave it out",
    "{size: 5, mean: [1.0]}": "input.mean goes with an image",
    "{channels: 3, height: 8, width: 8, std: [1.0]}": r"std \(=1 values\) must be one for each",
    "{channels: 1, height: 8, width: 8, std: [0.0]}": "std",
    "{channels: 0, height: 8, width: 8}": "channels",
}


@pytest.mark.parametrize("said", INPUTS)
def test_input_is_refused_with_its_line(tmp_path: Path, said: str) -> None:
    line = "  - {type: relu, name: r}\n"
    path = network_path(tmp_path, f"name: net\ninput: {said}\nlayers:\n{line}")
    with pytest.raises(TopologyError, match=INPUTS[said]) as caught:
        load_topology(path)
    assert f"{path}:2" in str(caught.value)


PRUNING = {
    "{structure: row}": "prune.density is missing; add it, or a profile",
    "{profile: x, density: 0.5}": "prune.profile sets every layer's density; drop prune.density",
    "{density: 0.5, seed: 3}": "prune.seed goes with prune.profile",
    "{density: 0.5, structured: false}": "prune.structured goes with prune.profile",
}


@pytest.mark.parametrize("said", PRUNING)
def test_pruning_is_refused_with_its_line(tmp_path: Path, said: str) -> None:
    line = "  - {type: conv2d, name: c, outputs: 4, kernel: 3}\n"
    path = network_path(tmp_path, f"name: net\ninput: {IMAGE}\nlayers:\n{line}prune: {said}\n")
    with pytest.raises(TopologyError, match=PRUNING[said]) as caught:
        load_topology(path)
    assert f"{path}:5" in str(caught.value)


MISSING_LAYERS = {
    "conv_2d": r"did you mean .*conv2d",
    "gelu": "the nearest are relu and leaky_relu",
    "LayerNorm": "the nearest are batch_norm and l2_norm",
    "upsample": "the nearest is conv2d",
    "dropout": "does nothing in a trained network, leave it out",
}


@pytest.mark.parametrize("kind", MISSING_LAYERS)
def test_layers_that_there_are_not_are_named_with_the_nearest(tmp_path: Path, kind: str) -> None:
    line = f"  - {{type: {kind}, name: c}}\n"
    path = network_path(tmp_path, f"name: net\ninput: {IMAGE}\nlayers:\n{line}")
    with pytest.raises(TopologyError, match=MISSING_LAYERS[kind]) as caught:
        load_topology(path)
    assert f"{path}:4: layers[0].type (={kind}) is no layer type" in str(caught.value)


def test_what_is_named_instead_is_there_and_what_is_missing_is_not() -> None:
    assert not set(INSTEAD) & set(LAYERS)
    for kind, hint in INSTEAD.items():
        assert set(re.findall(r"\w+", hint)) & set(LAYERS) or "leave it out" in hint, kind
