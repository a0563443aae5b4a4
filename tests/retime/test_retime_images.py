"""Recordings of images are the network's, not the machine's: cores, planes and tiles aside."""

from functools import cache

import pytest
from result_differences import differences

from spusim import api
from spusim.arch import Arch, load_arch
from spusim.machine import Recording
from spusim.network.records import Network, Stream

MACHINES: dict[str, tuple[str, ...]] = {
    "row": ("row64",),
    "rows over two cores": ("row64", "cores=2"),
    "rows over three cores": ("row64", "cores=3"),
    "planes": ("smartskip", "core.precisions.8x16=1"),
}
SMALL = ("core.pes=4", "core.lanes=4", "core.accumulators=64", "core.sparse.activations=skip")


@cache
def small() -> tuple[Network, Stream]:
    """Return a small network over images that ends with a linear layer over all pixels."""
    sets = ["input.height=8", "input.width=8", "quantise.activations=8", "input.bits=8"]
    network = api.load_network("cnn_small", settings=sets)
    return network, api.load_stream("noise:frames=2,seed=5", network)


def machine(name: str) -> Arch:
    preset, *settings = MACHINES[name]
    return load_arch(preset, [*SMALL, *settings])


@cache
def recorded(name: str) -> Recording:
    return api.record_values(small()[0], machine(name), small()[1])


@pytest.mark.parametrize("name", MACHINES)
def test_a_recording_of_any_machine_stands_for_every_other(name: str) -> None:
    network, stream = small()
    for other in MACHINES:
        full = api.simulate(network, machine(other), stream)
        again = api.retime(network, machine(other), recorded(name), stream=stream)
        assert differences(full, again) == [], other


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_recorded_is_the_same_everywhere(name: str) -> None:
    """Of what a machine does not read, as rows that a stride leaves out, nothing is recorded."""
    found, expected = recorded(name).patterns, recorded("row").patterns
    assert [*found] == [*expected]
    for product, pattern in expected.items():
        assert found[product].known.tolist() == pattern.known.tolist(), product
        assert found[product].bits.tolist() == pattern.bits.tolist(), product
