"""The manual of architecture files: a table of all keys, and one of the rules between them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spusim.arch.rules import RULES
from spusim.arch.spec import Arch

_SECTION = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WORDS = {"string": "text", "boolean": "true, false", "array": "a list", "object": "a mapping"}


def describe_keys() -> str:
    """Return all keys of an architecture file as a Markdown table, in the spec's order."""
    whole = Arch.model_json_schema()
    rows = [
        f"| `{path}` | {_values(field)} | {_default(field)} | {_told(field)} |"
        for path, field in _leaves(whole["properties"], whole["$defs"], "")
    ]
    return "\n".join(["| key | values | default | what it is |", "|---|---|---|---|", *rows])


def describe_rules() -> str:
    """Return the rules as a Markdown table."""
    rows = [f"| {rule.name} | `{'`, `'.join(rule.fields)}` | {rule.docs} |" for rule in RULES]
    return "\n".join(["| rule | keys | what it asks |", "|---|---|---|", *rows])


TABLES = {"keys": describe_keys, "rules": describe_rules}


def with_tables(page: str) -> str:
    """Return a page whose tables, between `<!-- keys -->` or `rules` and `end`, are as of now."""
    return _SECTION.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", page)


def refresh(page: Path) -> None:
    """Write a page's tables anew."""
    text = page.read_text(encoding="utf-8")
    page.write_text(with_tables(text), encoding="utf-8")


def _leaves(
    properties: dict[str, Any], sections: dict[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in properties.items():
        section = _section(field)
        if section is None or "anyOf" in field:
            yield f"{prefix}{name}", field
        if section is not None:
            yield from _leaves(sections[section]["properties"], sections, f"{prefix}{name}.")


def _section(field: dict[str, Any]) -> str | None:
    """Return the name of the spec that a key holds, or None for a plain value."""
    for option in (field, *field.get("anyOf", ())):
        if "$ref" in option:
            return str(option["$ref"]).rpartition("/")[2]
    return None


def _values(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        options = [o for o in field["anyOf"] if o.get("type") != "null"]
        return f"{_values(options[0])}, or null"
    if "$ref" in field:
        return "keys below"
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    low = field.get("minimum", field.get("exclusiveMinimum"))
    if low is None:
        return _WORDS[field["type"]]
    begin = f"above {low:g}" if "exclusiveMinimum" in field else f"from {low:,}"
    end = f" to {field['maximum']:,}" if "maximum" in field else ""
    return begin + end


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return "-"
    value = field["default"]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    words = {None: "null", True: "true", False: "false", "": "empty"}
    return f"`{words[value]}`" if value in words and not _is_number(value) else f"`{value}`"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _told(field: dict[str, Any]) -> str:
    return str(field.get("description", "")).replace("|", "\\|")
