"""What is wrong with a signal layer in a network file, in one clear message with its line."""

from pathlib import Path

import numpy as np
import pytest

from spusim.frontend import TopologyError
from spusim.frontend.bind import bind
from spusim.frontend.load import load_network
from spusim.frontend.topology_file import load_topology

REFUSED = {
    "{type: conv1d, name: c, outputs: 4, kernel: 9}": r"windows of 9 positions over 8; pad",
    "{type: conv1d, name: c, outputs: 4, kernel: 3, dilation: 4}": r"windows of 9 positions",
    "{type: conv1d, name: c, outputs: 3, groups: 2}": r"groups \(=2\) must divide its outputs",
    "{type: conv1d, name: c, outputs: 4, groups: 4}": r"divide its channels of its input \(=6\)",
    "{type: conv1d, name: c, outputs: 4, kernel: 3, padding: 8, padding_mode: reflect}": (
        r"reflects 8 of 8 positions, and can reflect 7 at most"
    ),
    "{type: conv1d, name: c, outputs: 4, kernel: 3, causal: true, padding: 1}": (
        r"causal, so that earlier frames take the place of padding \(=1\)"
    ),
    "{type: conv1d, name: c, outputs: 4, kernel: 3, causal: true, stride: 3}": (
        r"makes \d positions of a frame of 8 with stride 3 and 2 positions kept"
    ),
    "{type: conv1d, name: c, outputs: 4, kernel: 3, causal: true, history: 9}": (
        r"makes 15 positions of a frame of 8 with stride 1 and 9 positions kept"
    ),
    "{type: conv1d, name: c, outputs: 4, kernel: 0}": r"kernel \(=0\) must be greater than",
    "{type: conv1d, name: c, outputs: 4, kernels: 3}": r"kernels is not a key here; did you",
    "{type: conv1d, name: c, outputs: 4, together: 3}": r"together \(=3\) must divide the 8",
    "{type: conv1d, name: c, outputs: 4, kernel: 2, dilation: 4, together: 2}": r"be 1 with dila",
    "{type: conv1d, name: c, outputs: 6, groups: 3, unit: vector}": r"unit: vector is for depthw",
    "{type: conv1d, name: c, outputs: 4, history: 2}": r"history \(=2\) is for causal: true",
    "{type: stft, name: c, n_fft: 64, hop: 8}": r"windows of 64 samples over 48; put a context",
    "{type: stft, name: c, n_fft: 16, hop: 8, padding: 48}": r"reflects 48 of 48 positions",
    "{type: stft, name: c, n_fft: 16, hop: 8, window: kaiser}": r"window \(='kaiser'\)",
    "{type: pad, name: c, left: 8, mode: reflect}": r"reflects 8 of 8 positions",
    "{type: reshape, name: c, channels: 7}": r"positions of 7 channels of 48 elements",
    "{type: mean_positions, name: c, kernel: 9}": r"pools windows of 9 positions, and its",
    "{type: prelu, name: c, parameters: 5}": r"has 5 slopes for 6 channels; set parameters to 1 or",
    "{type: clamp, name: c}": r"neither min nor max; give",
    "{type: clamp, name: c, min: 2.0, max: 1.0}": r"min \(=2.0\) must be below max \(=1.0\)",
    "{type: relu6, name: c, max: 5.0}": r"relu6 sets min and max itself",
    "{type: constant, name: c}": r"joins a vector of unknown size; add size",
    "{type: constant, name: c, how: add, size: 5}": r"meets 6 channels with 5 elements",
    "{type: constant, name: c, how: add, rows: 3, row: 3}": r"has no row 3 of 3; rows count from 0",
    "{type: batch_norm, name: c, eps: 0.0}": r"eps \(=0.0\) must be greater than 0",
    "{type: context, name: c, positions: 0}": r"positions \(=0\) must be greater",
}


def network_file(folder: Path, layer: str, first: str = "channels: 6") -> Path:
    """Write a network of 8 positions of 6 channels with one more layer."""
    path = folder / "net.yaml"
    path.write_text(
        "name: net\ninput: {size: 48, bits: 16}\nlayers:\n"
        f"  - {{type: reshape, name: grid, {first}}}\n  - {layer}\n"
    )
    return path


@pytest.mark.parametrize("layer", REFUSED)
def test_refused_with_line_and_remedy(tmp_path: Path, layer: str) -> None:
    path = network_file(tmp_path, layer)
    with pytest.raises(TopologyError, match=REFUSED[layer]) as caught:
        load_topology(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:5: ") and message.count("\n") == 0


def test_a_magnitude_needs_two_halves(tmp_path: Path) -> None:
    path = network_file(tmp_path, "{type: magnitude, name: c}", "channels: 3")
    with pytest.raises(TopologyError, match="has 3 channels; bring an even number"):
        load_topology(path)


def test_tensors_of_another_shape_are_all_named(tmp_path: Path) -> None:
    topology = load_topology(
        network_file(tmp_path, "{type: conv1d, name: c, outputs: 4, kernel: 3, groups: 2}")
    )
    tensors = {"c.weight": np.zeros((4, 6, 3)), "c.biases": np.zeros(4)}
    with pytest.raises(TopologyError) as caught:
        bind(topology, tensors, "model.pt")
    assert "c.weight has shape (4, 6, 3) in the checkpoint and (4, 3, 3)" in str(caught.value)
    assert "c.bias is missing; did you mean c.biases" in str(caught.value)


def test_a_transposed_weight_is_told(tmp_path: Path) -> None:
    topology = load_topology(
        network_file(tmp_path, "{type: conv1d, name: c, outputs: 4, kernel: 3, bias: false}")
    )
    for shape, told in (((6, 4, 3), True), ((6, 3, 4), False)):
        with pytest.raises(TopologyError, match=r"c\.weight has shape") as caught:
            bind(topology, {"c.weight": np.zeros(shape)})
        assert ("first two axes are exchanged" in str(caught.value)) is told


def test_batch_norms_counter_is_no_unused_key(tmp_path: Path) -> None:
    topology = load_topology(network_file(tmp_path, "{type: batch_norm, name: n}"))
    keys = ("weight", "bias", "running_mean", "running_var")
    tensors = {f"n.{key}": np.ones(6) for key in keys}
    tensors["n.num_batches_tracked"] = np.array(7)
    assert bind(topology, tensors).notes == ()


def test_weights_that_do_not_ship_say_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="ships without its weights; run `make silero`"):
        load_network("silero_vad")
    with pytest.raises(TopologyError, match=r"none\.safetensors: no such file; run `make silero`"):
        load_network("silero_vad", tmp_path / "none.safetensors")
