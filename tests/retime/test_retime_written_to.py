"""What points of a sweep have in common is found again only as long as nobody writes to it."""

from dataclasses import fields

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of
from result_differences import differences

from spusim import api
from spusim.arch import Arch, load_arch
from spusim.compiler import compile_conv_layer
from spusim.compiler.reuse import outline_conv_layer
from spusim.machine import Recording, RecordingError
from spusim.machine.conv_bench import record_conv_layer, retime_conv_layer, run_conv_layer
from spusim.machine.image_tape import MET
from spusim.network.identity import network_arrays, network_hash
from spusim.network.records import Convolution, Network, Product, Stream
from spusim.numerics.convolution import Convolution as Geometry

SHAPE = Geometry(6, 9, 7, 10, 3, 3, (2, 1), (1, 0, 1, 2), (1, 1), 2)
POINTS = ("core.queue.depth=1", "core.queue.release=done", "core.feeder.words=2", "core.lanes=4")


def test_weights_that_were_written_to_are_not_the_recordings() -> None:
    rng = np.random.default_rng(1)
    weight, frames = rng.integers(-9, 9, (20, 30)), rng.integers(-3, 3, (2, 30))
    arch = arch_of()
    recording = api.record_layer(weight, frames, arch, 8, 16)
    for _ in range(2):
        api.retime_layer(weight, arch, recording, 8, 16, frames=frames)
    frames[1, 4] += 1
    with pytest.raises(RecordingError, match="its stream has hash"):
        api.retime_layer(weight, arch, recording, 8, 16, frames=frames)
    frames[1, 4] -= 1
    api.retime_layer(weight, arch, recording, 8, 16, frames=frames)
    weight[19, 29] += 1
    with pytest.raises(RecordingError, match="its network has hash"):
        api.retime_layer(weight, arch, recording, 8, 16, frames=frames)


def network() -> tuple[Network, Stream]:
    builder = NetworkBuilder(3, 21).linear(18).lstm(10).linear(7)
    return builder.build(), Stream(builder.frames(2), (0,), ("a",))


def test_every_array_of_a_network_counts() -> None:
    net, stream = network()
    recording = api.record_values(net, arch_of(), stream)
    arrays = network_arrays(net)
    assert arrays is not None and len(arrays) > 8
    full = api.simulate(net, arch_of(), stream)
    for array in arrays:
        assert differences(full, api.retime(net, arch_of(), recording)) == []
        at = (0,) * array.ndim
        kept = array[at]
        array[at] = kept + 1
        with pytest.raises(RecordingError, match="its network has hash"):
            api.retime(net, arch_of(), recording)
        array[at] = kept


def test_network_arrays_are_all_that_a_hash_is_made_of() -> None:
    net = api.load_network("cnn_small")
    arrays = network_arrays(net)
    assert arrays is not None
    assert {id(each) for each in arrays} >= {
        id(node.weight) for node in net.nodes if isinstance(node, Convolution | Product)
    }
    before = network_hash(net)
    for array in arrays:
        array.flat[0] += 1
        assert network_hash(net) != before
        array.flat[0] -= 1
    assert network_hash(net) == before


def test_a_network_that_could_change_otherwise_is_not_known_again() -> None:
    net, _ = network()
    assert network_arrays(net) is not None
    for name, value in (("notes", ["a"]), ("labels", {"a": 1}), ("rate_hz", np.float64(3))):
        changed = Network(**{f.name: getattr(net, f.name) for f in fields(net)} | {name: value})
        assert (network_arrays(changed) is None) == (name != "rate_hz")


def recorded(arch: Arch) -> tuple[np.ndarray, np.ndarray, Recording]:
    rng = np.random.default_rng(2)
    weight = rng.integers(-9, 9, SHAPE.weight_shape) * (rng.random(SHAPE.weight_shape) < 0.5)
    x = rng.integers(0, 9, (1, SHAPE.channels, SHAPE.height, SHAPE.width)) // 4
    program = compile_conv_layer(weight, SHAPE, 8, 8, arch)
    result, patterns, order = record_conv_layer(program, arch, x)
    return weight, x, Recording("conv2d", "", "", "", (0,), result.outputs, patterns, order)


@pytest.mark.parametrize("preset", ["row64", "smartskip"])
def test_a_pattern_that_was_written_to_is_counted_anew(preset: str) -> None:
    weight, x, recording = recorded(load_arch(preset))
    (pattern,) = recording.patterns.values()
    pixels = np.moveaxis(x[0], 0, 2).reshape(-1)
    for step, point in enumerate(POINTS):
        arch = load_arch(preset, [point])
        outlined = outline_conv_layer(weight, SHAPE, 8, 8, arch, hashed="w")
        again = retime_conv_layer(outlined, arch, recording)
        program = compile_conv_layer(weight, SHAPE, 8, 8, arch)
        full = run_conv_layer(program, arch, x)
        assert {n: c for n, c in full.counts.items() if n != "cycle"} == {
            n: c for n, c in again.counts.items() if n != "cycle"
        }, point
        assert (full.cycles, full.macs) == (again.cycles, again.macs)
        at = int(np.flatnonzero(pixels == 0)[step])  # one activation more for the next point
        pixels[at] = 1
        pattern.bits[0, at // 8] |= 1 << at % 8
        y, column, channel = np.unravel_index(at, (SHAPE.height, SHAPE.width, SHAPE.channels))
        x[0, channel, y, column] = 1


def test_patterns_are_known_by_frame_and_window() -> None:
    arch = load_arch("smartskip")
    weight, _, recording = recorded(arch)
    before = len(MET)
    outlined = outline_conv_layer(weight, SHAPE, 8, 8, arch, hashed="w")
    for _ in range(3):
        retime_conv_layer(outlined, arch, recording)
    assert len(MET) == before + 1


def test_recorded_outputs_can_only_be_read() -> None:
    arch = load_arch("smartskip")
    weight, _, recording = recorded(arch)
    kept = recording.outputs.copy()
    outlined = outline_conv_layer(weight, SHAPE, 8, 8, arch, hashed="w")
    result = retime_conv_layer(outlined, arch, recording)
    with pytest.raises(ValueError, match="read-only"):
        result.outputs[0, 0] = 1
    assert np.array_equal(recording.outputs, kept)
