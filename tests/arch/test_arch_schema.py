import json

import pytest
from ruamel.yaml import YAML

from spusim.arch import list_archs
from spusim.arch.schema import SCHEMA_FILE, arch_schema, write_schema
from spusim.arch.spec import Arch
from spusim.arch.validate import leaves
from spusim.resources import shipped

PRESETS = shipped("configs") / "arch"


def resolve(schema, part):
    for option in [part, *part.get("anyOf", [])]:
        if "$ref" in option:
            return schema["$defs"][option["$ref"].rpartition("/")[2]]
    return part


def check(schema, part, value, where):
    """Judge a value by the subset of JSON Schema that ours uses."""
    part = resolve(schema, part)
    if isinstance(value, dict):
        allowed = part.get("properties", {})
        for key, inside in value.items():
            if key in allowed:
                check(schema, allowed[key], inside, f"{where}.{key}")
            else:
                assert isinstance(part["additionalProperties"], dict), f"{where}.{key}"
                assert key in part["propertyNames"]["enum"]
    elif isinstance(value, list):
        assert all(item in part["items"]["enum"] for item in value), where
    elif "enum" in part:
        assert value in part["enum"], where
    elif value is not None:
        assert part.get("minimum", value) <= value <= part.get("maximum", value), where


def test_the_committed_schema_is_current():
    committed = (PRESETS / SCHEMA_FILE).read_text()
    assert committed == json.dumps(arch_schema(), indent=2) + "\n", (
        "refresh it: python -c 'from spusim.arch.schema import write_schema; write_schema()'"
    )


def test_write_schema_writes_where_it_is_told(tmp_path):
    target = write_schema(tmp_path / "s.json")
    assert json.loads(target.read_text()) == arch_schema()


@pytest.mark.parametrize("name", list_archs())
def test_presets_satisfy_the_schema(name):
    schema = arch_schema()
    value = YAML(typ="safe").load((PRESETS / f"{name}.yaml").read_text())
    check(schema, schema, value, name)


def test_schema_refuses_what_the_loader_refuses():
    schema = arch_schema()
    for bad in ({"core": {"lane": 8}}, {"core": {"ports": "sharde"}}, {"cores": 16}):
        with pytest.raises((AssertionError, KeyError)):
            check(schema, schema, bad, "x")


def test_schema_knows_every_field_requires_none_and_allows_base():
    schema = arch_schema()
    assert schema["properties"]["base"]["type"] == "string"
    for path, field in leaves(Arch):
        part = schema
        for step in path.split("."):
            part = resolve(schema, part)["properties"][step]
        assert not isinstance(field.default, int) or part["default"] == field.default
    assert '"required"' not in json.dumps(schema)
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())
