"""Network files: what they may say, and errors with file, line, key, value, rule and remedy."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spusim.frontend import TopologyError, list_networks, load_network, network_schema
from spusim.frontend.bind import bind
from spusim.frontend.topology_file import load_topology
from spusim.resources import shipped

GOOD = """\
name: net
input: {size: 4}
layers:
  - {type: lstm, name: lstm, hidden: 3}
  - type: linear
    name: fc
    outputs: 2
labels: ["yes", "no"]
prune:
  density: 0.5
"""


def written(tmp_path: Path, text: str) -> Path:
    """Write a network file and return its path."""
    path = tmp_path / "net.yaml"
    path.write_text(text)
    return path


def refused(tmp_path: Path, text: str, line: int, *patterns: str, settings: tuple = ()) -> None:
    """Check that a file is refused at a line, with a message that matches the patterns."""
    with pytest.raises(TopologyError) as caught:
        load_topology(written(tmp_path, text), settings)
    message = str(caught.value)
    assert f"net.yaml:{line}: " in message, message
    for pattern in patterns:
        assert re.search(pattern, message), message


def test_defaults(tmp_path: Path) -> None:
    model = load_topology(written(tmp_path, GOOD))
    assert (model.input.bits, model.quantise.weights, model.quantise.per_channel) == (16, 8, False)
    assert model.prune is not None and model.prune.structure == "element"
    assert model.labels == ("yes", "no")


@pytest.mark.parametrize(
    ("old", "new", "line", "patterns"),
    [
        ("outputs: 2", "output: 2", 7, [r"layers\[1\]\.output is not a key", "mean outputs?"]),
        ("input:", "inputs:", 2, ["inputs is not a key here; did you mean input?"]),
        ("{size: 4}", "{size: 4, bit: 8}", 2, [r"input\.bit is not a key", "bits"]),
        ("density: 0.5", "densities: 0.5", 10, [r"prune\.densities", "did you mean density"]),
        ("outputs: 2", "outputs: 0", 7, [r"layers\[1\]\.outputs \(=0\) must be", "1"]),
        ("outputs: 2", "outputs: '2'", 7, [r"outputs \(='2'\) must be a valid integer"]),
        ("{size: 4}", "{size: 4, bits: 12}", 2, [r"input\.bits \(=12\) must be 1, 4, 8 or 16"]),
        ("type: linear", "type: liner", 5, [r"layers\[1\]\.type \(=liner\)", "mean linear"]),
        ("    outputs: 2\n", "", 5, [r"layers\[1\]\.outputs is missing"]),
        ("density: 0.5", "density: 1.5", 10, [r"prune\.density \(=1\.5\)", "1"]),
        ("name: fc", "name: lstm", 6, [r"layers\[1\]|name \(=lstm\) is taken"]),
        ('"no"]', '"no", "maybe"]', 8, [r"labels \(=3 of them\)", "which has 2"]),
        ("density: 0.5", "density: 0.5\n  structure: rows", 11, [r"structure \(='rows'\)"]),
        (
            "density: 0.5",
            "density: 0.5\n  layers: {fd: 0.1}",
            11,
            [r"prune\.layers\.fd", "mean fc"],
        ),
        ("outputs: 2", "outputs: 2\n    outputs: 3", 8, ["duplicate key"]),
        ("input: {size: 4}", "input: {size: 4", 3, ["not YAML"]),
        ("input: {size: 4}", "input: 4", 2, [r"input \(=4\) must be a mapping"]),
        ("name: net", "7: net", 1, ["key 7 must be a name"]),
    ],
)
def test_mistakes_are_named_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, patterns: list[str]
) -> None:
    assert old in GOOD
    refused(tmp_path, GOOD.replace(old, new, 1), line, *patterns)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("outputs: 2", "outputs: 0").replace("0.5", "-1")
    refused(tmp_path, text, 7, r"net\.yaml:10: prune\.density \(=-1\)")


@pytest.mark.parametrize("text", ["- a\n", "", "just text\n"])
def test_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    refused(tmp_path, text, 1, "must be a mapping")


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="cannot be read"):
        load_topology(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(TopologyError, match="UTF-8"):
        load_topology(tmp_path / "latin.yaml")


def test_a_chain_needs_layers_of_known_types(tmp_path: Path) -> None:
    head = "name: net\ninput: {size: 4}\n"
    refused(tmp_path, head + "layers: []", 3, "at least one")
    refused(tmp_path, head + "layers: [3]", 3, r"layers\[0\] \(=3\) must be a mapping")
    refused(tmp_path, head + "layers: [{name: x}]", 3, r"layers\[0\]\.type \(=\(missing\)\)")


def test_settings_change_keys(tmp_path: Path) -> None:
    settings = (
        "quantise.per_channel=true",
        "prune.density=0.25",
        "prune.structure=pencil:4",
        "layers.lstm.hidden=7",
        "layers.1.bias=false",
        "description=",
    )
    model = load_topology(written(tmp_path, GOOD), settings)
    assert model.quantise.per_channel is True
    assert model.prune is not None
    assert (model.prune.density, model.prune.structure) == (0.25, "pencil:4")
    assert model.layers[0].hidden == 7
    assert model.layers[1].bias is False


@pytest.mark.parametrize(
    ("setting", "pattern"),
    [
        ("quantise.weight=4", r"setting quantise\.weight=4: .* did you mean weights"),
        ("quantise.weights=5", r"setting quantise\.weights=5: quantise\.weights \(=5\)"),
        ("quantise", "KEY=VALUE"),
        (".a=1", "KEY=VALUE"),
        ("layers.fd.outputs=1", "there is no fd; did you mean fc"),
        ("layers.fc=1", "name one like"),
        ("name.x=1", "has no keys"),
        ("name.x.y=1", "there is no x"),
    ],
)
def test_bad_settings(tmp_path: Path, setting: str, pattern: str) -> None:
    with pytest.raises(TopologyError, match=pattern):
        load_topology(written(tmp_path, GOOD), (setting,))


def test_committed_schema_is_current() -> None:
    path = shipped("configs") / "networks" / "network.schema.json"
    assert json.loads(path.read_text()) == network_schema(), (
        "write json.dumps(spusim.frontend.network_schema(), indent=2) to that file"
    )


def test_every_shipped_network_is_valid() -> None:
    assert {"kws", "kws_dense"} <= set(list_networks())
    for name, path in list_networks().items():
        assert load_topology(path).name == name


def state() -> dict[str, np.ndarray]:
    """Return tensors that fit GOOD."""
    shapes = {
        "lstm.weight_ih_l0": (12, 4),
        "lstm.weight_hh_l0": (12, 3),
        "lstm.bias_ih_l0": (12,),
        "lstm.bias_hh_l0": (12,),
        "fc.weight": (2, 3),
        "fc.bias": (2,),
    }
    return {name: np.ones(shape, dtype=np.float32) for name, shape in shapes.items()}


def test_unused_keys_become_a_note(tmp_path: Path) -> None:
    topology = load_topology(written(tmp_path, GOOD))
    assert bind(topology, state()).notes == ()
    found = bind(topology, state() | {"head.weight": np.ones(2), "aux": np.ones(1)}, "net.pt")
    assert found.notes == ("warning: net.pt has keys that no layer uses: aux, head.weight",)


def test_all_missing_and_misshapen_keys_are_listed(tmp_path: Path) -> None:
    tensors = state()
    tensors["fc1.weight"] = tensors.pop("fc.weight")
    del tensors["lstm.bias_hh_l0"]
    tensors["lstm.weight_ih_l0"] = np.ones((12, 5))
    with pytest.raises(TopologyError) as caught:
        bind(load_topology(written(tmp_path, GOOD)), tensors, "net.pt")
    message = str(caught.value)
    assert "net.pt does not fit" in message
    assert "fc.weight is missing; did you mean fc1.weight?" in message
    assert "lstm.bias_hh_l0 is missing" in message
    assert re.search(r"lstm\.weight_ih_l0 has shape \(12, 5\) .* \(12, 4\)", message)


@pytest.mark.parametrize(
    ("key", "what"),
    [("lstm.weight_ih_l0_reverse", "bidirectional"), ("lstm.weight_hr_l0", "projected")],
)
def test_lstm_variants_are_refused(tmp_path: Path, key: str, what: str) -> None:
    with pytest.raises(TopologyError, match=what):
        bind(load_topology(written(tmp_path, GOOD)), state() | {key: np.ones(1)})


@pytest.mark.parametrize(
    ("setting", "rule"),
    [
        ("prune.structure=pencil:x", "must be element, row, .* or n_of_m:N:M, e.g. pencil:8"),
        ("layers.lstm.name=9 x", "must begin with a letter or _ and have letters, digits"),
    ],
)
def test_texts_are_refused_by_what_they_must_be(setting: str, rule: str) -> None:
    """And not by the pattern that finds it out."""
    with pytest.raises(TopologyError, match=rule) as caught:
        load_network("kws", settings=[setting])
    assert "^" not in str(caught.value)
