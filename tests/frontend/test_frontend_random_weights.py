"""Weights drawn at random: their shapes and spreads, and what they do to an LSTM's gates."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from spusim.api import load_arch, load_network, load_stream, simulate
from spusim.experiments.inputs import Origin, network_source_hash
from spusim.experiments.inspection import inspect_target
from spusim.frontend import TopologyError, quantise_file
from spusim.frontend.chain import float_forward
from spusim.frontend.load import find_network, load_float_network, open_topology
from spusim.frontend.random_weights import random_checkpoint
from spusim.frontend.topology_file import load_topology

NETWORK = "tinylstm_se"
LINEAR = """name: n
weights: random:seed=3
input: {size: 400}
layers:
  - {type: linear, name: a, outputs: 300}
  - {type: relu, name: r}
  - {type: gru, name: g, hidden: 64}
  - {type: lstm, name: l, hidden: 64, projection: 16}
"""


def drawn(seed: int = 1) -> dict[str, np.ndarray]:
    """Return the shipped network's tensors."""
    topology = load_topology(find_network(NETWORK))
    return random_checkpoint(topology, f"random:seed={seed}").tensors


def written(folder: Path, text: str) -> Path:
    """Write a network file."""
    path = folder / "n.yaml"
    path.write_text(text)
    return path


def test_the_network_has_the_size_of_the_published_one() -> None:
    tensors = drawn()
    # two LSTM layers: 4 gates x 256 units x (inputs + state) and two vectors of biases
    lstms = sum(4 * 256 * (inputs + 256) + 2 * 4 * 256 for inputs in (128, 256))
    linears = (256 + 1) * 128 + (128 + 1) * 128
    assert sum(tensor.size for tensor in tensors.values()) == lstms + linears == 971_008


def test_a_tensor_depends_on_seed_and_name_alone(tmp_path: Path) -> None:
    one, again, other = drawn(), drawn(), drawn(2)
    assert all(np.array_equal(one[key], again[key]) for key in one)
    assert not any(np.array_equal(one[key], other[key]) for key in one)
    assert not np.array_equal(one["lstm1.weight_hh_l0"], one["lstm2.weight_hh_l0"])
    path = written(tmp_path, LINEAR)
    short = load_topology(path, ["output=a"])
    kept = short.model_copy(update={"layers": short.layers[:1], "output": None})
    whole = random_checkpoint(load_topology(path), "random:seed=3").tensors
    assert np.array_equal(random_checkpoint(kept, "random:seed=3").tensors["a.weight"],
                          whole["a.weight"])  # fmt: skip


@pytest.mark.parametrize(
    ("key", "deviation"),
    [
        ("a.weight", 1.5 / np.sqrt(400)),
        ("g.weight_ih_l0", 1.5 / np.sqrt(300)),
        ("g.weight_hh_l0", 0.75 / 0.4 / np.sqrt(64)),
        ("l.weight_ih_l0", 1.5 / 0.4 / np.sqrt(64)),  # reads a state
        ("l.weight_hh_l0", 0.75 / 0.4 / np.sqrt(16)),
        ("l.weight_hr_l0", 0.4 / 0.4 / np.sqrt(64)),
    ],
)
def test_spreads(tmp_path: Path, key: str, deviation: float) -> None:
    topology = load_topology(written(tmp_path, LINEAR))
    values = random_checkpoint(topology, "random:seed=3").tensors[key]
    error = 4 / np.sqrt(values.size)  # the deviation's own, of four of them
    assert values.std() == pytest.approx(deviation, rel=error)
    assert abs(values.mean()) < 4 * deviation / np.sqrt(values.size)


def test_weights_are_logistic_and_the_forget_gate_is_open() -> None:
    tensors = drawn()
    values = tensors["lstm2.weight_hh_l0"].astype(np.float64)
    kurtosis = np.mean(values**4) / np.mean(values**2) ** 2
    assert kurtosis == pytest.approx(4.2, abs=0.1)
    means = tensors["lstm1.bias_ih_l0"].reshape(4, 256).mean(axis=1)
    assert means == pytest.approx([0, 1, 0, 0], abs=0.03)


def observed() -> dict[str, np.ndarray]:
    """Return every tensor of the float network on its stream."""
    path, topology, _ = open_topology(NETWORK)
    seen: dict[str, list[np.ndarray]] = {}
    stream = load_stream(NETWORK)
    float_forward(
        load_float_network(path, topology), stream.frames, stream.starts,
        lambda name, values: seen.setdefault(name, []).append(np.ravel(values)),
    )  # fmt: skip
    return {name: np.concatenate(values) for name, values in seen.items()}


def test_gates_states_and_mask_are_in_use() -> None:
    """Neither shut nor open for good: most gates are between 0.1 and 0.9, and some are not."""
    seen = observed()
    assert seen["input"].std() == pytest.approx(1, abs=0.01)
    for layer in ("lstm1", "lstm2"):
        between = np.mean(np.abs(seen[f"{layer}.gate"]) < np.log(9))
        assert 0.7 < between < 0.9
        assert np.sqrt(np.mean(seen[layer] ** 2)) == pytest.approx(0.4, abs=0.05)
    low, high = np.quantile(seen["mask"], [0.05, 0.95])
    assert low < 0.1 and high > 0.9


def test_a_disturbance_dies_away() -> None:
    path, topology, _ = open_topology(NETWORK)
    network, stream = load_float_network(path, topology), load_stream(NETWORK)
    frames = stream.frames[:61]
    disturbed = frames.copy()
    disturbed[0] += np.random.default_rng(0).normal(0, 1, frames.shape[1])
    error = float_forward(network, frames, (0,)) - float_forward(network, disturbed, (0,))
    rms = np.sqrt(np.mean(error**2, axis=1))
    assert rms[0] > 0.1
    assert rms[-10:].max() < rms[0] / 3


def test_it_is_told_and_runs() -> None:
    network = load_network(NETWORK, settings=["weights=random:seed=9"])
    assert "weights drawn at random, seed 9" in network.notes
    stream = load_stream(NETWORK, network)
    assert stream.frames.shape == (244, 128)
    assert len(stream.starts) == 4
    result = simulate(network, load_arch("spu001"), stream)
    assert result.outputs.shape == (244, 128)


@pytest.mark.parametrize(
    "weights", ["random:1", "random:seed", "random:seed=-1", "random:density=1"]
)
def test_wrong_options(weights: str) -> None:
    with pytest.raises(TopologyError, match=r"must be a checkpoint or random:seed=N"):
        load_network(NETWORK, settings=[f"weights={weights}"])


def test_layers_without_weights_to_draw(tmp_path: Path) -> None:
    text = LINEAR + "  - {type: batch_norm, name: norm}\n"
    path = written(tmp_path, text)
    with pytest.raises(TopologyError, match=r"norm \(=batch_norm\) takes norm\.running_mean"):
        load_network(path)


def test_there_is_no_file_to_quantise() -> None:
    with pytest.raises(TopologyError, match=r"has no weights to quantise .*random:seed=1"):
        quantise_file(NETWORK)


def test_drawn_weights_are_inspected_as_a_file_is() -> None:
    weights = inspect_target(NETWORK).tensors
    assert sum(prod(each.shape) for each in weights if len(each.shape) == 2) > 900_000


def test_a_regression_baseline_knows_the_seed() -> None:
    origins = [Origin(network=NETWORK, settings=(f"weights=random:seed={n}",)) for n in (1, 1, 2)]
    one, again, other = map(network_source_hash, origins)
    assert one == again != other
