"""Golden files of conformance programs: what each must leave behind, and how long it takes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spusim.errors import SpusimError

SCHEMA_VERSION = 1
SUFFIX = ".golden.json"
_KEYS: dict[str, type] = {
    "schema_version": int,
    "isa": str,
    "signature": str,
    "cycles": int,
    "frame_cycles": list,
    "outputs": list,
    "stalls": dict,
    "counts": dict,
}


class GoldenFileError(SpusimError):
    """A golden file that is missing, damaged, or of another version."""


def golden_path(program: str | Path) -> Path:
    """Return where the golden file of a program lies."""
    return Path(program).with_suffix(SUFFIX)


def read_golden(path: str | Path, isa_version: str) -> dict[str, Any]:
    """Read a golden file; raises GoldenFileError unless it is whole and of this ISA version."""
    remedy = _remedy(path)
    try:
        record = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise GoldenFileError(f"{path}: there is no golden file; {remedy}") from None
    except OSError as error:
        raise GoldenFileError(f"{path}: cannot be read ({error.strerror}); check it") from None
    except ValueError as error:
        raise GoldenFileError(f"{path}: is damaged, no JSON ({error}); {remedy}") from None
    _check(path, record, isa_version)
    whole: dict[str, Any] = record
    return whole


def golden_text(record: Mapping[str, Any]) -> str:
    """Return a record as JSON in which a frame, a unit and an event have a line each."""
    return "{\n" + ",\n".join(f'  "{key}": {_lines(record[key])}' for key in _KEYS) + "\n}\n"


def _check(path: str | Path, record: Any, isa_version: str) -> None:
    version = record.get("schema_version") if isinstance(record, dict) else None
    if version != SCHEMA_VERSION:
        raise GoldenFileError(
            f"{path}: schema_version (={version}) must be {SCHEMA_VERSION}; {_remedy(path)}"
        )
    wrong = [key for key, kind in _KEYS.items() if type(record.get(key)) is not kind]
    stray = sorted(record.keys() - _KEYS.keys())
    if wrong or stray:
        what = f"it has {stray}, which no golden file has"
        if wrong:
            what = f"{wrong[0]} is missing or no {_KEYS[wrong[0]].__name__}"
        raise GoldenFileError(f"{path}: is damaged: {what}; {_remedy(path)}")
    if record["isa"] != isa_version:
        raise GoldenFileError(
            f"{path}: was recorded for ISA {record['isa']}, this is {isa_version}; {_remedy(path)}"
        )


def _remedy(path: str | Path) -> str:
    return f"`spusim isa test --refresh {Path(path).parent}` writes it anew"


def _lines(value: Any) -> str:
    """Return JSON with one line an item, where items are objects or lists themselves."""
    if isinstance(value, dict):
        items = [f"    {json.dumps(key)}: {json.dumps(value[key])}" for key in sorted(value)]
        return "{\n" + ",\n".join(items) + "\n  }" if items else "{}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
    return json.dumps(value)
