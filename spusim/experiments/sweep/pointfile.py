"""The file of one point: JSON that says whether it is whole."""

import hashlib
import json
from typing import Any

from spusim.experiments.sweep.identity import json_bytes

DONE, FAILED = "done", "failed"
_HEAD, _TAIL = b',"sha256":"', b'"}\n'
_END = len(_HEAD) + 64 + len(_TAIL)


def point_bytes(key: str, identity: dict[str, Any], status: str, content: dict[str, Any]) -> bytes:
    """Return a point's file: one line of JSON, whose last key is the sha256 of all before it."""
    body = json_bytes(
        {"error": None, **content, "key": key, "identity": identity, "status": status}
    )[:-1]
    return body + _HEAD + hashlib.sha256(body).hexdigest().encode() + _TAIL


def read_point(key: str, data: bytes) -> dict[str, Any] | None:
    """Return what a point's file says, or None if it is damaged or another point's."""
    body, end = data[:-_END], data[-_END:]
    if end != _HEAD + hashlib.sha256(body).hexdigest().encode() + _TAIL:
        return None
    record: dict[str, Any] = json.loads(data)
    return record if record.get("key") == key else None
