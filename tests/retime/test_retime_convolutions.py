"""Re-timing convolutions: whatever the architecture, what comes out is what a full run gives."""

from dataclasses import replace

import numpy as np
import pytest
from result_differences import differences

from spusim import api
from spusim.arch import Arch, load_arch
from spusim.experiments.conv_layers import RandomConv, record_conv, retime_conv, run_conv
from spusim.machine import RecordingError, read_recording, recording_bytes
from spusim.network.records import Network, Stream

POINTS: dict[str, tuple[str, ...]] = {
    "as recorded": (),
    "one PE": ("core.pes=1", "core.accumulators=8192"),
    "PEs": ("core.pes=16",),
    "lanes": ("core.lanes=3",),
    "queue": ("core.queue.depth=1", "core.queue.release=done"),
    "scanner": ("core.scanner.width=3",),
    "gate": ("core.sparse.activations=gate",),
    "dense": ("core.sparse.weights=dense", "core.sparse.format=dense",
              "core.sparse.activations=dense"),
    "decompress": ("core.sparse.weights=decompress",),
    "words": ("core.data_memory.word_bits=256",),
}  # fmt: skip
LAYERS = {
    "padded": RandomConv(9, 70, 3, 7, 0.3, 0.4, frames=2, seed=1),
    "strided": RandomConv(3, 8, 5, 11, 0.5, 0.6, stride=2, seed=2),
    "grouped": RandomConv(8, 12, 3, 6, 0.5, 0.5, groups=4, dilation=2, padding=2, seed=3),
    "empty": RandomConv(4, 4, 1, 5, 0.5, 0.0, seed=4),
}


def machine(point: str, preset: str = "row64") -> Arch:
    return load_arch(preset, list(POINTS[point]))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_timed_from_a_recording_is_the_layer_run(name: str) -> None:
    layer = LAYERS[name]
    result, recording = record_conv(layer, machine("as recorded"))
    assert differences(result, run_conv(layer, machine("as recorded"))) == []
    kept = read_recording(recording_bytes(recording))
    for point in POINTS:
        arch = machine(point)
        assert differences(run_conv(layer, arch), retime_conv(layer, arch, kept)) == [], point


def test_a_layer_recorded_in_one_dataflow_is_timed_in_the_other() -> None:
    layer = replace(LAYERS["padded"], weight_bits=8, activation_bits=8)
    row, pixel = load_arch("row64"), load_arch("smartskip")
    for one, other in ((row, pixel), (pixel, row)):
        recording = record_conv(layer, one)[1]
        assert recording.order == ""
        assert differences(run_conv(layer, other), retime_conv(layer, other, recording)) == []


def narrow(preset: str, *settings: str) -> Arch:
    """Return a preset with accumulators of 16 bits, as one of 8-bit activations may have."""
    arch = load_arch(preset, settings)
    numerics = arch.numerics.model_copy(update={"accumulator_bits": 16})
    return arch.model_copy(update={"numerics": numerics})


def test_sums_that_may_overflow_keep_to_their_dataflow() -> None:
    layer = replace(LAYERS["padded"], weight_bits=8, activation_bits=8)
    row, pixel, slow = narrow("row64"), narrow("smartskip"), narrow("row64", "core.queue.depth=1")
    recording = record_conv(layer, row)[1]
    assert recording.order == "row"
    assert not np.array_equal(recording.outputs, run_conv(layer, pixel).outputs)
    assert differences(run_conv(layer, slow), retime_conv(layer, slow, recording)) == []
    with pytest.raises(RecordingError, match=r"its sums may overflow in the order of .* row,"):
        retime_conv(layer, pixel, recording)


def test_recordings_of_other_layers_are_refused() -> None:
    layer, arch = LAYERS["padded"], machine("as recorded")
    recording = record_conv(layer, arch)[1]
    for other, what in (
        (replace(layer, seed=9), "its network has hash"),
        (replace(layer, kernel=1), "its network has hash"),
        (replace(layer, size=8), "576 in frame 0; record the network again"),
    ):
        with pytest.raises(RecordingError, match=what):
            retime_conv(other, arch, recording)
    with pytest.raises(RecordingError, match="its numerics has hash"):
        retime_conv(layer, load_arch("row64", ["numerics.overflow=wrap"]), recording)


@pytest.fixture(scope="module")
def small() -> tuple[Network, Stream]:
    network = api.load_network("cnn_small")
    return network, api.load_stream("noise:frames=3,seed=1", network)


@pytest.mark.parametrize("point", POINTS)
def test_a_network_timed_from_a_recording_is_the_network_run(
    point: str, small: tuple[Network, Stream]
) -> None:
    network, stream = small
    first, recording = api.simulate_recorded(network, machine("as recorded"), stream)
    arch = machine(point)
    full = api.simulate(network, arch, stream, baseline=True)
    again = api.retime(network, arch, recording, stream=stream, baseline=True)
    assert differences(full, again) == []
    assert np.array_equal(first.outputs, full.outputs)


def test_frames_that_overlap_are_timed_from_a_recording(small: tuple[Network, Stream]) -> None:
    network, stream = small
    arch = machine("queue")
    recording = api.record_values(network, machine("as recorded"), stream)
    full = api.simulate(network, arch, stream, input_period=200_000)
    assert differences(full, api.retime(network, arch, recording, input_period=200_000)) == []
    # a bit an activation that a convolution or a product reads
    read = sum(pattern.known.size for pattern in recording.patterns.values())
    assert recording.nbytes - recording.outputs.nbytes <= 3 * (read / 8 + len(recording.patterns))
