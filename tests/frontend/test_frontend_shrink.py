"""Unit pruning: what is left computes as the whole network did with its dropped units silent."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from spusim.frontend import PruneError, load_network, shrink_checkpoint, shrink_network
from spusim.frontend.bind import bind
from spusim.frontend.chain import float_forward
from spusim.frontend.topology import TopologyModel

LAYERS = [
    {"type": "lstm", "name": "one", "hidden": 6},
    {"type": "lstm", "name": "two", "hidden": 5, "bias": False},
    {"type": "linear", "name": "fc", "outputs": 7},
    {"type": "relu", "name": "relu"},
    {"type": "linear", "name": "out", "outputs": 3},
]


def chain(*layers: dict, inputs: int = 4) -> TopologyModel:
    text = json.dumps({"name": "net", "input": {"size": inputs}, "layers": list(layers or LAYERS)})
    return TopologyModel.model_validate_json(text)


def tensors_for(seed: int = 0, inputs: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {
        "one.weight_ih_l0": (24, inputs), "one.weight_hh_l0": (24, 6), "one.bias_ih_l0": (24,),
        "one.bias_hh_l0": (24,), "two.weight_ih_l0": (20, 6), "two.weight_hh_l0": (20, 5),
        "fc.weight": (7, 5), "fc.bias": (7,), "out.weight": (3, 7), "out.bias": (3,),
    }  # fmt: skip
    return {key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}


def member_weights(tensors: dict, layer: str, unit: int) -> list[float]:
    """List the weights that go away with a unit, each once, by walking over all of them."""
    found = []
    gates, size, inputs, recurrent, reader = {
        "one": (4, 6, "one.weight_ih_l0", "one.weight_hh_l0", "two.weight_ih_l0"),
        "two": (4, 5, "two.weight_ih_l0", "two.weight_hh_l0", "fc.weight"),
        "fc": (1, 7, "fc.weight", None, "out.weight"),
    }[layer]
    rows = [gate * size + unit for gate in range(gates)]
    found += [float(w) for row in rows for w in tensors[inputs][row]]
    if recurrent:
        for (row, column), w in np.ndenumerate(tensors[recurrent]):
            found += [float(w)] if row in rows or column == unit else []
    return found + [float(w) for w in tensors[reader][:, unit]]


def strongest_by_hand(tensors: dict, layer: str, size: int, density: float, norm: str) -> list:
    order = 1 if norm == "l1" else 2
    norms = [np.linalg.norm(member_weights(tensors, layer, unit), order) for unit in range(size)]
    count = max(1, round(density * size))
    return sorted(sorted(range(size), key=lambda unit: (-norms[unit], unit))[:count])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 99), st.floats(0, 1), st.sampled_from(["l1", "l2"]))
def test_the_strongest_units_stay_with_all_their_rows_and_columns(seed, density, norm):
    tensors = tensors_for(seed)
    shrunk = shrink_network(chain(), tensors, density, norm=norm)
    kept = {
        layer: strongest_by_hand(tensors, layer, size, density, norm)
        for layer, size in (("one", 6), ("two", 5), ("fc", 7))
    }
    one = [gate * 6 + unit for gate in range(4) for unit in kept["one"]]
    two = [gate * 5 + unit for gate in range(4) for unit in kept["two"]]
    expected = {
        "one.weight_ih_l0": tensors["one.weight_ih_l0"][one],
        "one.weight_hh_l0": tensors["one.weight_hh_l0"][np.ix_(one, kept["one"])],
        "one.bias_ih_l0": tensors["one.bias_ih_l0"][one],
        "one.bias_hh_l0": tensors["one.bias_hh_l0"][one],
        "two.weight_ih_l0": tensors["two.weight_ih_l0"][np.ix_(two, kept["one"])],
        "two.weight_hh_l0": tensors["two.weight_hh_l0"][np.ix_(two, kept["two"])],
        "fc.weight": tensors["fc.weight"][np.ix_(kept["fc"], kept["two"])],
        "fc.bias": tensors["fc.bias"][kept["fc"]],
        "out.weight": tensors["out.weight"][:, kept["fc"]],
        "out.bias": tensors["out.bias"],
    }
    assert shrunk.tensors.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(shrunk.tensors[key], values)
    sizes = [
        getattr(m, "hidden", None) or getattr(m, "outputs", None) for m in shrunk.topology.layers
    ]
    assert sizes == [len(kept["one"]), len(kept["two"]), len(kept["fc"]), None, 3]


def test_units_that_do_nothing_are_dropped_without_a_trace():
    """A unit whose readers have weights of zero may go, and every output stays as it was."""
    tensors = tensors_for()
    for key, column in (
        ("one.weight_hh_l0", 2), ("two.weight_ih_l0", 2), ("two.weight_hh_l0", 0),
        ("fc.weight", 0), ("out.weight", 6),
    ):  # fmt: skip
        tensors[key][:, column] = 0.0
    for key, size, unit in (("one", 6, 2), ("two", 5, 0)):
        for gate in range(4):
            for what in ("ih", "hh"):
                tensors[f"{key}.weight_{what}_l0"][gate * size + unit] = 0.0
    tensors["fc.weight"][6] = 0.0
    shrunk = shrink_network(
        chain(), tensors, 1.0, densities={"one": 5 / 6, "two": 4 / 5, "fc": 6 / 7}
    )
    assert [layer.units for layer in shrunk.layers] == [5, 4, 6, 3]
    assert [layer.units_before for layer in shrunk.layers] == [6, 5, 7, 3]
    assert sum(layer.parameters for layer in shrunk.layers) == sum(
        t.size for t in shrunk.tensors.values()
    )
    frames = np.random.default_rng(1).normal(size=(9, 4))
    whole = float_forward(bind(chain(), tensors).layers, frames, (0, 4))
    small = float_forward(bind(shrunk.topology, shrunk.tensors).layers, frames, (0, 4))
    np.testing.assert_allclose(small, whole, atol=1e-12)


def test_global_scope_compares_the_units_of_all_layers_and_leaves_each_one():
    tensors = tensors_for()
    for key in tensors:
        if key.startswith("one."):
            tensors[key] *= 100.0
    shrunk = shrink_network(chain(), tensors, 7 / 18, scope="global")
    assert [layer.units for layer in shrunk.layers] == [6, 1, 1, 3]


def test_equal_units_keep_the_first_and_chosen_layers_alone_shrink():
    tensors = {key: np.ones_like(values) for key, values in tensors_for().items()}
    tensors["fc.bias"] = np.arange(7, dtype=np.float32)
    shrunk = shrink_network(chain(), tensors, 3 / 7, layers=["fc"])
    assert [layer.units for layer in shrunk.layers] == [6, 5, 3, 3]
    np.testing.assert_array_equal(shrunk.tensors["fc.bias"], [0, 1, 2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": 1.5}, r"density \(=1.5\) must be from 0 to 1"),
        ({"densities": {"two": -1.0}}, r"density \(=-1.0\)"),
        ({"norm": "max"}, r"norm \(=max\) is unknown"),
        ({"scope": "all"}, r"scope \(=all\) is unknown"),
        ({"layers": ["out"]}, "layer out has no units to prune .*; known: one, two, fc"),
        ({"layers": ["tow"]}, "did you mean two"),
    ],
)
def test_what_cannot_be_asked_for(changes, message):
    with pytest.raises(PruneError, match=message):
        shrink_network(chain(), tensors_for(), **{"density": 0.5, **changes})


def test_missing_tensors_and_single_layers_are_refused():
    tensors = tensors_for()
    del tensors["two.weight_hh_l0"]
    with pytest.raises(PruneError, match=r"two\.weight_hh_l0 is missing from the checkpoint"):
        shrink_network(chain(), tensors, 0.5)
    with pytest.raises(PruneError, match="between two layers with weights; there is one"):
        shrink_network(chain(LAYERS[0]), tensors_for(), 0.5)


def test_a_network_file_asks_for_it_and_its_own_copy_has_the_sizes(tmp_path: Path):
    save_file(tensors_for(), tmp_path / "net.safetensors")
    np.savez(tmp_path / "net.npz", frames=np.random.default_rng(3).normal(size=(6, 4)))
    lines = ["name: net", "weights: net.safetensors", "input: {size: 4}", "layers:"]
    lines += [f"  - {json.dumps(layer)}" for layer in LAYERS]
    lines += ["quantise:", "  calibrate: net.npz:frames  # six frames", "prune:"]
    lines += ["  structure: unit", "  density: 0.5", "  layers: {two: 0.4}"]
    (tmp_path / "net.yaml").write_text("\n".join(lines))
    asked = load_network(tmp_path / "net.yaml")
    assert "pruned by unit: one 6 to 3, two 5 to 2, fc 7 to 4, out 3 to 3 units" in asked.notes
    products = {node.name: node.weight.shape for node in asked.nodes if hasattr(node, "weight")}
    assert products == {"one": (12, 7), "two": (8, 5), "fc": (4, 2), "out": (3, 4)}
    (tmp_path / "small").mkdir()
    output = tmp_path / "small" / "s.safetensors"
    shrunk, image, text = shrink_checkpoint(
        tmp_path / "net.safetensors", tmp_path / "net.yaml", 0.5, output=output
    )
    output.write_bytes(image)
    (tmp_path / "small" / "s.yaml").write_bytes(text)
    assert "# six frames" in text.decode() and "prune" not in text.decode()
    assert load_file(output).keys() == shrunk.tensors.keys()
    again = load_network(tmp_path / "small" / "s.yaml")
    shapes = {node.name: node.weight.shape for node in again.nodes if hasattr(node, "weight")}
    assert shapes == {"one": (12, 7), "two": (8, 5), "fc": (4, 2), "out": (3, 4)}
