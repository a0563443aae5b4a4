"""JSON Schema of architecture files, for editors: completion, hover texts, red squiggles."""

import json
from pathlib import Path
from typing import Any

from spusim.arch.spec import Arch, Spec
from spusim.resources import shipped

SCHEMA_FILE = "arch.schema.json"
_DROPPED = {"title", "required", "default"}


def arch_schema() -> dict[str, Any]:
    """Return the JSON Schema of an architecture file."""
    return file_schema(Arch, "architecture")


def file_schema(model: type[Spec], kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a file: nothing is required, since `base` may supply it."""
    whole = model.model_json_schema()
    definitions = whole.pop("$defs")
    schema = _partial(whole)
    schema["properties"]["base"] = {
        "type": "string",
        "description": f"the {kind} to build on: a preset's name, or a path from this file",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"spusim {kind}",
        **schema,
        "$defs": {name: _partial(part) for name, part in sorted(definitions.items())},
    }


def write_schema(path: Path | None = None) -> Path:
    """Write the schema to path (default: the shipped configs/arch); returns where it went."""
    target = path or shipped("configs") / "arch" / SCHEMA_FILE
    target.write_text(json.dumps(arch_schema(), indent=2) + "\n", encoding="utf-8")
    return target


def _partial(part: dict[str, Any]) -> dict[str, Any]:
    """Drop what only a whole file must have; let sections be null."""
    kept = {key: value for key, value in part.items() if key not in _DROPPED}
    if "properties" in part:
        kept["properties"] = {
            name: _property(field) for name, field in sorted(part["properties"].items())
        }
    return kept


def _property(field: dict[str, Any]) -> dict[str, Any]:
    """Describe one field; scalars keep their default, which editors show."""
    kept = {key: value for key, value in field.items() if key not in ("title", "default")}
    default = field.get("default")
    if default is not None and not isinstance(default, dict):
        kept["default"] = default
    if kept.get("type") == "object":  # an open mapping: a null entry takes back the base's
        kept["additionalProperties"] = {"anyOf": [field["additionalProperties"], {"type": "null"}]}
        kept.pop("minProperties", None)
    if "$ref" in field:
        kept["anyOf"] = [{"$ref": kept.pop("$ref")}, {"type": "null"}]
    return kept
