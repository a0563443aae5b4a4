"""A network file is checked against the models of its own layer types, as against all of them."""

import json

import pytest
from pydantic import ValidationError

from spusim.frontend import find_network, list_networks
from spusim.frontend.layers import LAYERS
from spusim.frontend.topology import TopologyModel, validated
from spusim.frontend.yaml_file import read_yaml

LINEAR = {"type": "linear", "name": "a", "outputs": 3}
NETWORK = {"name": "x", "input": {"size": 4}, "layers": [LINEAR]}


def types_of(data):
    return {layer.get("type") for layer in data["layers"]}


@pytest.mark.parametrize("name", list_networks())
def test_shipped_networks_are_what_all_models_together_say(name):
    data = read_yaml(find_network(name)).data
    text = json.dumps(data, default=str)
    few, all_of_them = validated(text, types_of(data)), TopologyModel.model_validate_json(text)
    assert type(few) is TopologyModel and few == all_of_them
    assert few.model_fields_set == all_of_them.model_fields_set
    assert few.model_dump_json() == all_of_them.model_dump_json()


@pytest.mark.parametrize("name", LAYERS)
def test_each_type_alone_has_the_same_mistakes(name):
    layer = {"type": name, "name": "not a name!", "nonsense": 1}
    assert_same_mistakes(NETWORK | {"layers": [LINEAR, layer]}, {"linear", name})


@pytest.mark.parametrize(
    ("data", "types"),
    [
        (NETWORK | {"layers": []}, set()),
        (NETWORK | {"layers": {"a": 1}}, {None}),
        (NETWORK | {"layers": [LINEAR, 5]}, {"linear", None}),
        (NETWORK | {"layers": [LINEAR, {"name": "b"}]}, {"linear", None}),
        (NETWORK | {"layers": [{"type": "softmax", "name": "b"}]}, {"softmax"}),
        (NETWORK | {"layers": [LINEAR | {"outputs": 0}], "input": {"size": -1}}, {"linear"}),
        (NETWORK | {"quantise": {"weights": 3}, "prune": {"density": 2}, "more": 1}, {"linear"}),
        ({"layers": [LINEAR | {"name": 4}]}, {"linear"}),
    ],
)
def test_mistakes_are_the_same(data, types):
    assert_same_mistakes(data, types)


def assert_same_mistakes(data, types):
    text, told = json.dumps(data), []
    for check in (lambda: validated(text, types), lambda: TopologyModel.model_validate_json(text)):
        try:
            told.append(check())
        except ValidationError as error:
            told.append(error.errors(include_url=False))
    assert told[0] == told[1]
