"""Network files that are graphs: who reads whom, what is refused with which line, stacks."""

from pathlib import Path

import numpy as np
import pytest

from spusim.frontend import TopologyError
from spusim.frontend.bind import bind
from spusim.frontend.load import prune_network
from spusim.frontend.topology import TopologyModel
from spusim.frontend.topology_file import load_topology
from spusim.frontend.wiring import unstacked

GOOD = """\
name: net
input: {size: 4}
layers:
  - {type: linear, name: up, outputs: 4}
  - {type: relu, name: relu}
  - {type: add, name: sum, inputs: [relu, input]}
  - {type: slice, name: half, first: 2, size: 2}
  - {type: linear, name: gate, input: up, outputs: 1}
  - {type: multiply, name: masked, inputs: [gate, half]}
  - {type: concat, name: all, inputs: [masked, sum]}
output: all
labels: [a, b, c, d, e, f]
"""


def model(text: str, tmp_path: Path) -> TopologyModel:
    """Return the model of a network file."""
    (tmp_path / "net.yaml").write_text(text)
    return load_topology(tmp_path / "net.yaml")


def state(*names: str) -> dict[str, np.ndarray]:
    """Return tensors for GOOD's linear layers."""
    rng = np.random.default_rng(2)
    shapes = {"up.weight": (4, 4), "up.bias": (4,), "gate.weight": (1, 4), "gate.bias": (1,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def test_layers_read_what_they_name_and_else_the_one_before(tmp_path: Path) -> None:
    network = bind(model(GOOD, tmp_path), state())
    assert network.inputs == (
        ("input",), ("up",), ("relu", "input"), ("sum",), ("up",), ("gate", "half"),
        ("masked", "sum"),
    )  # fmt: skip
    assert network.output == "all"
    assert [layer.takes for layer in network.layers] == [
        (4,), (4,), (4, 4), (4,), (4,), (1, 2), (2, 4),
    ]  # fmt: skip
    assert [layer.gives for layer in network.layers] == [4, 4, 4, 2, 1, 2, 6]
    assert network.notes == ()


MISTAKES = [
    ("input: up", "input: upp", 8, ["layer gate: input (=upp) is no layer; did you mean up?"]),
    ("[relu, input]", "[relu, half]", 6, ["inputs (=half) is made later", "above it"]),
    ("[relu, input]", "[relu, sum]", 6, ["inputs (=sum) is made by the layer itself"]),
    ("[relu, input]", "[relu]", 6, ["layers[2].inputs (=['relu']) must have at least 2 items"]),
    ("inputs: [relu, input]", "input: relu", 6, ["layers[2].input is not a key", "mean inputs"]),
    ("{type: relu, name: relu}", "{type: relu, name: relu, inputs: [up]}", 5, ["mean input?"]),
    (
        "size: 2}",
        "size: 3}",
        7,
        ["layer half: slice of channels 2 to 4 goes beyond the 4", "(sum has 4 channels)"],
    ),
    (
        "outputs: 1}",
        "outputs: 3}",
        9,
        [
            "layer masked: multiply takes inputs of one shape, or of a single element",
            "(gate has 3 channels, half has 2 channels)",
        ],
    ),
    (
        "[masked, sum]}",
        "[masked, sum], axis: positions}",
        10,
        ["concat along positions takes inputs of as many channels", "masked has 2 channels, sum"],
    ),
    ("output: all", "output: al", 11, ["output (=al) is no layer; did you mean all?"]),
    ("name: relu}", "name: input}", 5, ["name (=input) is taken: the frame is called so"]),
    ("name: gate", "name: up", 8, ["name (=up) is taken: layer up has it"]),
    ("output: all", "output: sum", 12, ["labels (=6 of them)", "layer sum, which has 4"]),
    ("type: add", "type: subtract, prefix: x", 6, ["layers[2].prefix is not a key"]),
]


@pytest.mark.parametrize(("old", "new", "line", "parts"), MISTAKES)
def test_mistakes_in_the_graph_are_named_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, parts: list[str]
) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(TopologyError) as caught:
        model(GOOD.replace(old, new, 1), tmp_path)
    message = str(caught.value)
    assert f"net.yaml:{line}: " in message, message
    for part in parts:
        assert part in message, message


def test_what_follows_from_a_mistake_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(TopologyError) as caught:
        model(GOOD.replace("input: up", "input: upp"), tmp_path)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("layer", "parts"),
    [
        ("{type: multiply, name: x, inputs: [up, up, up]}", ["two inputs and is given 3"]),
        (
            "{type: subtract, name: x, inputs: [gate, up]}",
            ["a single element as its second input only"],
        ),
    ],
)
def test_merges_say_what_they_cannot_take(tmp_path: Path, layer: str, parts: list[str]) -> None:
    with pytest.raises(TopologyError) as caught:
        model(GOOD.replace("output: all", f"  - {layer}\noutput: all"), tmp_path)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_layers_that_nobody_reads_are_noted(tmp_path: Path) -> None:
    text = GOOD.replace("output: all\nlabels: [a, b, c, d, e, f]", "output: masked")
    (note,) = bind(model(text, tmp_path), state()).notes
    assert note.startswith("warning: no layer reads all, and the output is another")


STACK = """\
name: stack
input: {size: 5}
layers:
  - {type: lstm, name: lstm, hidden: 6, layers: 3, prefix: rnn}
  - {type: add, name: sum, inputs: [lstm, lstm]}
  - {type: lstm, name: single, hidden: 3, input: lstm}
output: lstm
prune:
  density: 0.5
  layers: {lstm: 0.25, lstm_l1: 1.0}
"""


def test_stack_becomes_its_layers(tmp_path: Path) -> None:
    topology = unstacked(model(STACK, tmp_path))
    layers = [(layer.name, getattr(layer, "index", None)) for layer in topology.layers]
    assert layers == [("lstm_l0", 0), ("lstm_l1", 1), ("lstm_l2", 2), ("sum", None), ("single", 0)]
    assert [layer.reads("before") for layer in topology.layers] == [
        ("before",), ("lstm_l0",), ("lstm_l1",), ("lstm_l2", "lstm_l2"), ("lstm_l2",),
    ]  # fmt: skip
    assert {layer.dot for layer in topology.layers[:3]} == {"rnn."}
    assert topology.output == "lstm_l2"
    assert topology.prune is not None
    assert topology.prune.layers == {"lstm_l0": 0.25, "lstm_l1": 1.0, "lstm_l2": 0.25}
    assert unstacked(topology) == topology


def test_stack_takes_its_tensors_and_is_pruned_by_layer(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    tensors = {}
    for prefix, number, inputs, hidden in [("rnn", 0, 5, 6), ("rnn", 1, 6, 6), ("rnn", 2, 6, 6),
                                           ("single", 0, 6, 3)]:  # fmt: skip
        for name, size in (("weight_ih", inputs), ("weight_hh", hidden)):
            tensors[f"{prefix}.{name}_l{number}"] = rng.normal(size=(4 * hidden, size))
        for name in ("bias_ih", "bias_hh"):
            tensors[f"{prefix}.{name}_l{number}"] = rng.normal(size=4 * hidden)
    topology = unstacked(model(STACK, tmp_path))
    network = bind(topology, tensors)
    assert topology.prune is not None
    pruned = prune_network(network, topology.prune)
    kept = [np.count_nonzero(layer.weight_hh) / layer.weight_hh.size for layer in pruned.layers
            if "lstm" in layer.name]  # fmt: skip
    assert kept == [0.25, 1.0, 0.25]
    np.testing.assert_array_equal(pruned.layers[1].weight_ih, tensors["rnn.weight_ih_l1"])
    assert network.notes[0].startswith("warning: no layer reads sum, single")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("name: sum", "name: lstm_l1", "name (=lstm_l1) is taken: layer lstm has it"),
        ("lstm_l1: 1.0", "lstm_l3: 1.0", "prune.layers.lstm_l3 is no layer with weights"),
    ],
)
def test_names_of_a_stack_are_names(tmp_path: Path, old: str, new: str, part: str) -> None:
    with pytest.raises(TopologyError) as caught:
        model(STACK.replace(old, new), tmp_path)
    assert part in str(caught.value)
