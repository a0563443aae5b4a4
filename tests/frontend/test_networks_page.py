"""docs/networks.md: every layer type with its keys, its tensors and an example that loads."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from spusim.frontend.layers import LAYERS, FloatNode
from spusim.frontend.layers.keys import Keys
from spusim.frontend.topology import InputModel, TopologyModel
from spusim.frontend.topology_file import parse_topology
from spusim.frontend.wiring import told, unstacked, wire

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| `(\w+)` \|(.*)\|(.*)\|(.*)\| `(\{type.*\})` \| (\d+) x (\d+) \|$", re.MULTILINE
)
CODE = re.compile(r"`([^`]+)`")
COMMON = {"type", "name", "input", "inputs", "prefix"}
CONTEXT = """\
name: page
input: {size: 12}
layers:
  - {type: linear, name: a, outputs: 12}
  - {type: linear, name: b, outputs: 12}
  - {type: reshape, name: p, input: a, channels: 3}
  - {type: reshape, name: q, input: b, channels: 3}
  - {type: reshape, name: i, input: a, channels: 3, width: 2}
"""
BEFORE = 5  # layers of the context


@dataclass(frozen=True)
class Row:
    """A layer type's row."""

    type: str
    keys: str
    tensors: str
    example: str
    shape: tuple[int, int]

    def model(self) -> TopologyModel:
        """Return the network of the example."""
        return parse_topology(f"{CONTEXT}  - {self.example}\n", Path("example.yaml"))


ROWS = [
    Row(kind, keys, tensors, example, (int(positions), int(channels)))
    for kind, _, keys, tensors, example, positions, channels in ROW.findall(PAGE)
]


def test_page_has_every_layer_type_once() -> None:
    assert sorted(row.type for row in ROWS) == sorted(LAYERS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.type)
def test_row_tells_all_keys_and_their_defaults(row: Row) -> None:
    told_keys = dict(code.partition(": ")[::2] for code in CODE.findall(row.keys))
    fields = {k: f for k, f in LAYERS[row.type].model_fields.items() if k not in COMMON}
    if row.type == "relu6":  # its limits are its name
        fields = {}
    named = {k for k in told_keys if k in fields}
    assert named == set(fields), f"{set(fields) ^ named} of {row.type}"
    for key, field in fields.items():
        default = told_keys[key]
        if field.default is None or field.is_required():
            # what hardtanh's limits are by default, the layer knows
            assert default == "" or row.type == "hardtanh", f"{row.type}.{key} has no default"
        elif isinstance(field.default, float):
            assert float(default) == field.default
        else:
            assert default == str(field.default).lower(), f"{row.type}.{key}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.type)
def test_example_loads_with_the_shape_and_tensors_of_its_row(row: Row) -> None:
    model = row.model()
    assert model.layers[-1].type == row.type
    wiring = wire(model)
    shape = wiring.shapes[model.layers[-1].name]
    assert (shape.positions, shape.channels) == row.shape, told(shape)
    whole = unstacked(model)
    wiring = wire(whole)
    layer = whole.layers[BEFORE]
    keys = Keys({})
    bound = layer.bind_to(tuple(wiring.shapes[name] for name in wiring.reads[BEFORE]), keys)
    assert isinstance(bound, FloatNode)
    as_lstm = next(each.tensors for each in ROWS if each.type == "lstm")
    tensors = as_lstm if "as `lstm`" in row.tensors else row.tensors
    wanted = {key.removeprefix(f"{model.layers[-1].name}.") for key in keys.missing}
    assert wanted <= set(CODE.findall(tensors)), f"{row.type} takes {wanted}"
    if not row.tensors.strip():
        assert not keys.missing


def test_page_tells_the_keys_of_a_network_file() -> None:
    table = PAGE.partition("| key | meaning |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    assert sorted(rows) == sorted(TopologyModel.model_fields)
    assert set(InputModel.model_fields) <= set(CODE.findall(rows["input"]))


def test_example_of_the_page_is_a_network() -> None:
    text = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    model = parse_topology(text, Path("page.yaml"))
    wiring = wire(model)
    assert not wiring.problems
    assert wiring.shapes["out"].size == 32
