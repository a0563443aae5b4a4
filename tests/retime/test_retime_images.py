"""Recordings of images are the network's, not the machine's: cores, planes and tiles aside."""

from functools import cache

import numpy as np
import pytest
from result_differences import differences

from spusim import api
from spusim.arch import Arch, load_arch
from spusim.machine import Recording
from spusim.network.records import (
    Convolution,
    Head,
    Network,
    Product,
    Quantum,
    Requant,
    Stream,
    Tensor,
)
from spusim.numerics.convolution import Convolution as Geometry

MACHINES: dict[str, tuple[str, ...]] = {
    "row": ("row64",),
    "rows over two cores": ("row64", "cores=2"),
    "rows over three cores": ("row64", "cores=3"),
    "planes": ("smartskip", "core.precisions.8x16=1"),
    "planes over two cores": ("smartskip", "core.precisions.8x16=1", "cores=2"),
    "planes over three cores": ("smartskip", "core.precisions.8x16=1", "cores=3"),
    "planes, filter by filter": (
        "smartskip",
        "core.precisions.8x16=1",
        "core.pes=1",
        "core.accumulators=16",
    ),
}
SMALL = ("core.pes=4", "core.lanes=4", "core.accumulators=64", "core.sparse.activations=skip")


@cache
def small() -> tuple[Network, Stream]:
    """Return four convolutions, two of groups, and a linear layer over all pixels of the last."""
    rng, bits = np.random.default_rng(6), Quantum(8, 0)
    shapes = {
        "a": Geometry(2, 7, 5, 8, 3, 3, padding=(1, 1, 1, 1)),
        "b": Geometry(8, 7, 5, 8, 3, 3, (2, 1), (1, 1, 1, 1), groups=2),
        "depthwise": Geometry(8, 4, 5, 8, 3, 3, (1, 1), (1, 1, 1, 1), groups=8),
        "c": Geometry(8, 4, 5, 8, 1, 1, (2, 2)),
    }
    nodes: list[Convolution | Product] = []
    last = image = Tensor("input", 70, bits)
    for name, shape in shapes.items():
        weight = rng.integers(-9, 10, shape.weight_shape) * (rng.random(shape.weight_shape) < 0.6)
        made = Tensor(name, shape.filters * shape.positions, bits)
        requant = Requant(np.ones(1, np.int64), np.array([4]))
        nodes.append(
            Convolution(name, name, last.name, weight, 8, None, shape, made, requant, relu=True)
        )
        last = made
    weight = rng.integers(-9, 10, (5, last.size)) * (rng.random((5, last.size)) < 0.5)
    head = Head(0, Tensor("y", 5, Quantum(16, 0)), Requant(np.ones(1, np.int64), np.array([2])))
    nodes.append(Product("fc", "fc", last.name, weight, 8, None, (head,)))
    frames = rng.integers(-20, 20, (2, image.size)) * (rng.random((2, image.size)) < 0.7)
    network = Network("images", image, (), tuple(nodes), "y")
    return network, Stream(frames.astype(float), (0,), ("a",))


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
