"""Recordings of networks that are computed in tiles stand for other machines, and the reverse."""

import pytest
from result_differences import differences

from spusim import api
from spusim.arch import Arch, load_arch
from spusim.frontend import load_network, load_stream
from spusim.network import Network, Stream

MEMORY = "words: 65536, bytes_per_cycle: {}, latency_cycles: 9, data_port: own"
SMALL = (
    "core.pes=4", "core.lanes=2", "core.scanner.width=8", "core.data_memory.banks=4",
    "core.vector.lanes=4", "core.weight_memory.words=1024", "link.channel_words=16",
)  # fmt: skip
POINTS = {
    "tiles": ("core.data_memory.words=40",),
    "slower memory": ("core.data_memory.words=40", "external_memory.bytes_per_cycle=0.7"),
    "larger tiles": ("core.data_memory.words=60", "core.queue.depth=2"),
    "all of it": ("core.data_memory.words=4096", "core.weight_memory.words=8192",
                  "link.channel_words=4096", "core.pes=2"),
}  # fmt: skip


PLANES = {  # points of dataflow pixel, whose tiles are rows of every plane
    "tiles of planes": ("core.data_memory.words=80",),
    "larger tiles of planes": ("core.data_memory.words=120", "core.queue.depth=2"),
    "whole planes": ("core.data_memory.words=4096", "link.channel_words=4096"),
}


def arch_of(point: str) -> Arch:
    """Return a machine on which the network is computed in tiles, or as a whole."""
    preset, settings = ("row64", POINTS) if point in POINTS else ("smartskip", PLANES)
    memory = f"external_memory={{{MEMORY.format(6.5)}}}"
    return load_arch(preset, [memory, *SMALL, *settings[point]])


def case() -> tuple[Network, Stream]:
    """Return a network that the smaller memories do not hold, and two frames."""
    network = load_network("cnn_small", settings=["input.height=8", "input.width=8"])
    return network, load_stream("noise:frames=2,seed=3", network)


@pytest.mark.parametrize("recorded", ["tiles", "all of it", "tiles of planes", "whole planes"])
def test_a_recording_stands_for_every_tiling(recorded: str) -> None:
    network, stream = case()
    first, recording = api.simulate_recorded(network, arch_of(recorded), stream)
    cycles = {first.cycles}
    for point in (*POINTS, *PLANES):
        arch = arch_of(point)
        full = api.simulate(network, arch, stream)
        found = api.retime(network, arch, recording, stream=stream)
        assert not differences(found, full), point
        cycles.add(full.cycles)
    assert len(cycles) == len(POINTS) + len(PLANES)
