"""Pruning of activations as a layer: in floats, as a node, and from a network file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from spusim.frontend import TopologyError, load_network
from spusim.frontend.chain import FloatPrune, float_forward
from spusim.frontend.layers import Job
from spusim.network import Prune, Quantum, Tensor


def by_hand(frame: list[float], keep: int) -> list[float]:
    left, kept = list(enumerate(frame)), [0.0] * len(frame)
    for _ in range(min(keep, len(frame))):
        best = max(left, key=lambda pair: (abs(pair[1]), -pair[0]))
        left.remove(best)
        kept[best[0]] = best[1]
    return kept


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0, 0.5]), min_size=1), st.integers(0, 9))
def test_top_keeps_the_first_of_equals(frame: list[float], keep: int) -> None:
    found = float_forward((FloatPrune("p", "top", len(frame), keep),), np.array([frame]), (0,))
    assert found.tolist() == [by_hand(frame, keep)]


def test_threshold_keeps_what_reaches_it() -> None:
    frames = np.array([[0.5, -0.5, 0.49, -0.51, 0.0]])
    found = float_forward((FloatPrune("p", "threshold", 5, 0.5),), frames, (0,))
    assert found.tolist() == [[0.5, -0.5, 0.0, -0.51, 0.0]]


@pytest.mark.parametrize(
    ("threshold", "divisor", "parameter"),
    [(0.5, 1, 8), (0.51, 1, 9), (0.0, 1, 0), (0.5, 10, 80), (1e9, 1, 2**24 - 1)],
)
def test_a_threshold_becomes_the_least_integer_that_reaches_it(threshold, divisor, parameter):
    job = Job({}, {}, 8, False, divisor=divisor)
    quantum = Quantum(16, -4)
    y = FloatPrune("p", "threshold", 3, threshold).expand(job, Tensor("x", 3, quantum), quantum)
    assert job.nodes == [Prune("p", "p", "threshold", "x", parameter, y)]
    assert (y.size, y.quantum) == (3, quantum)


def written(tmp_path, layer: str):
    rng = np.random.default_rng(0)
    save_file(
        {"fc.weight": rng.normal(size=(6, 4)).astype(np.float32),
         "out.weight": rng.normal(size=(2, 6)).astype(np.float32)},
        tmp_path / "net.safetensors",
    )  # fmt: skip
    np.savez(tmp_path / "net.npz", frames=rng.normal(size=(8, 4)))
    (tmp_path / "net.yaml").write_text(
        "name: net\nweights: net.safetensors\ninput: {size: 4}\nlayers:\n"
        "  - {type: linear, name: fc, outputs: 6, bias: false}\n"
        f"  - {layer}\n"
        "  - {type: linear, name: out, outputs: 2, bias: false}\n"
        "quantise: {calibrate: 'net.npz:frames'}\n"
    )
    return tmp_path / "net.yaml"


def test_layers_of_a_network_file(tmp_path):
    network = load_network(written(tmp_path, "{type: prune_top, name: few, keep: 2}"))
    (node,) = [node for node in network.nodes if isinstance(node, Prune)]
    assert (node.name, node.kind, node.parameter, node.a) == ("few", "top", 2, "fc")
    network = load_network(written(tmp_path, "{type: prune_threshold, name: few, threshold: 0.25}"))
    (node,) = [node for node in network.nodes if isinstance(node, Prune)]
    assert node.parameter * 2.0**node.output.quantum.exponent == 0.25


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("{type: prune_top, name: few, keep: 7}", "layer few keeps 7 of 6 features; keep fewer"),
        ("{type: prune_top, name: few, keep: -1}", r"keep \(=-1\) must be"),
        ("{type: prune_threshold, name: few, threshold: -0.5}", r"threshold \(=-0.5\) must be"),
        ("{type: prune_top, name: few}", "keep is missing; add it"),
    ],
)
def test_what_no_layer_can_be(tmp_path, layer, message):
    with pytest.raises(TopologyError, match=message):
        load_network(written(tmp_path, layer))
