"""Recordings made with other arithmetic: what one machine computed holds for every other."""

import numpy as np
import pytest
from compiler_networks import NetworkBuilder, arch_of
from mode_networks import ModeNetwork
from result_differences import differences

from spusim import api
from spusim.network.records import Stream

PRECISIONS = "core.precisions={8x16: 1, 8x8: 1, 16x16: null, 16x8: null, 4x8: null, 4x16: null}"
ROOM = ("core.table_memory.words=65536", "link.channel_words=1000", PRECISIONS)
POINTS = (
    ("cores=3",),
    ("core.scanner.buffer_words=3", "core.accumulators=8"),
    ("core.ports=shared", "core.data_memory.word_bits=128"),
    ("core.hazard=stall", "core.sparse.format=bitmap", "cores=2"),
    ("core.sparse.activations=dense", "core.weight_memory.words=4096"),
)
MODES = {
    "stochastic": ("numerics.rounding=stochastic", "numerics.seed=77"),
    "nullify": ("numerics.overflow=nullify", "numerics.requantize_overflow=nullify"),
    "partial sums": ("numerics.partial_sums={every: 3, shift: 4, bits: 14}",),
}
STARTS = (0, 3)


@pytest.mark.parametrize("point", POINTS, ids=" ".join)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [3, 8])
def test_every_field_is_that_of_a_full_run(seed: int, mode: str, point: tuple[str, ...]) -> None:
    made = ModeNetwork(seed)
    network = made.network
    stream = Stream(made.frames(6), STARTS, ("a", "b"))
    recording = api.record_values(network, arch_of(*ROOM, *MODES[mode]), stream)
    arch = arch_of(*ROOM, *point, *MODES[mode])
    full = api.simulate(network, arch, stream)
    assert differences(full, api.retime(network, arch, recording, stream=stream)) == []


def test_outputs_of_a_recurrent_network_with_stochastic_rounding() -> None:
    builder = NetworkBuilder(2, 9).lstm(12).linear(5, requant="tensor")
    network, frames = builder.build(), builder.frames(5)
    stream = Stream(frames, STARTS, ("a", "b"))
    mode = MODES["stochastic"]
    recording = api.record_values(network, arch_of(*ROOM, *mode), stream)
    for point in POINTS:
        arch = arch_of(*ROOM, *point, *mode)
        full = api.simulate(network, arch, stream)
        np.testing.assert_array_equal(full.outputs, recording.outputs)
        assert differences(full, api.retime(network, arch, recording, stream=stream)) == []
