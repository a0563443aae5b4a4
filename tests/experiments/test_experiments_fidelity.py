"""The float outputs that quantised ones are held against."""

import numpy as np
import pytest

from spusim.api import load_arch, load_network, simulate
from spusim.experiments.fidelity import float_outputs, signal_to_noise_db
from spusim.frontend.load import open_topology
from spusim.network.records import Stream

BRANCHES = """name: branches
weights: random:seed=1
input: {size: 24}
layers:
  - {type: linear, name: a, outputs: 24}
  - {type: relu, name: r}
  - {type: add, name: sum, inputs: [r, input]}
  - {type: linear, name: b, outputs: 12}
  - {type: linear, name: unread, input: a, outputs: 5}
output: b
quantise: {weights: 16, activations: 16}
"""


def test_a_network_that_branches_is_compared_by_its_graph(tmp_path):
    path = tmp_path / "branches.yaml"
    path.write_text(BRANCHES)
    frames = np.random.default_rng(0).normal(0, 1, (20, 24))
    stream = Stream(frames, (0,), ("a",))
    network = load_network(path, calibrate=stream)
    _, topology, _ = open_topology(path)
    wanted = float_outputs(path, topology, None, network, stream)
    arch = load_arch("bitmix", ["numerics.accumulator_bits=48"])
    found = simulate(network, arch, stream).outputs
    assert wanted.shape == found.shape == (20, 12)
    assert signal_to_noise_db(wanted, found) > 60


def test_noise_in_decibels():
    wanted = np.array([3.0, 4.0])
    assert signal_to_noise_db(wanted, wanted + wanted / 10) == pytest.approx(20)
    assert signal_to_noise_db(wanted, wanted) is None
    assert signal_to_noise_db(0 * wanted, wanted) is None
