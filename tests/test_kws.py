"""The shipped keyword spotter: integers hear what floats hear, whichever file weights come in."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from spusim.api import load_arch, load_network, load_stream, simulate
from spusim.frontend import float_forward, list_networks, network_hash
from spusim.frontend.load import load_float_network
from spusim.frontend.topology_file import load_topology
from spusim.network.records import Stream

TOLERANCE = 0.01  # absolute, of accuracy


def last_frames(stream: Stream) -> np.ndarray:
    """Return the index of every file's last frame."""
    return np.array([*stream.starts[1:], len(stream.frames)]) - 1


def test_integer_network_hears_held_out_voices_as_well_as_the_float_network() -> None:
    path = list_networks()["kws"]
    network, floats = load_network("kws"), load_float_network(path, load_topology(path))
    stream = load_stream("kws_heldout", network)
    ends = last_frames(stream)
    truth = np.array([network.labels.index(label) for label in stream.labels])
    result = simulate(network, load_arch("spu001"), stream)
    logits = float_forward(floats.layers, stream.frames, stream.starts)
    heard, meant = result.outputs[ends].argmax(axis=1), logits[ends].argmax(axis=1)
    assert len(truth) == 156
    assert np.mean(meant == truth) > 0.95  # chance is 1 in 12
    assert abs(np.mean(heard == truth) - np.mean(meant == truth)) <= TOLERANCE


def test_the_same_weights_in_a_torch_file_are_the_same_network(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch = pytest.importorskip("torch")
    weights = list_networks()["kws"].parent / "kws_data" / "kws.safetensors"
    state = {name: torch.from_numpy(value) for name, value in load_file(weights).items()}
    torch.save(state, tmp_path / "kws.pt")
    shipped = load_network("kws")
    other = load_network("kws", checkpoint=tmp_path / "kws.pt")
    assert network_hash(other) == network_hash(shipped)
    stream = load_stream("kws", shipped)
    clip = Stream(stream.frames[: stream.starts[1]], (0,), stream.names[:1])
    arch = load_arch("spu001")
    ours, theirs = (simulate(network, arch, clip) for network in (shipped, other))
    assert ours.outputs.any()
    assert np.array_equal(ours.outputs, theirs.outputs)
    assert np.array_equal(ours.frame_cycles, theirs.frame_cycles)
