"""Reading YAML into plain data, remembering the line of every key."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from spusim.frontend.errors import TopologyError

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """A YAML file's mapping as plain dicts, lists and scalars, and the tree with its lines."""

    path: Path
    data: dict[str, Any]
    tree: CommentedMap

    def line(self, location: Location) -> int:
        """Return the line of the key or item at `location`, or of its nearest parent there."""
        node: Any = self.tree
        line = 1
        for key in location:
            if isinstance(node, CommentedMap) and key in node:
                line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                line = node.lc.item(key)[0] + 1
            else:
                continue
            node = node[key]
        return line


def read_yaml(path: Path) -> YamlFile:
    """Read a file whose top is a mapping. Raises TopologyError with the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise TopologyError(f"{path}: cannot be read ({reason}); check the path") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> YamlFile:
    """Return a file's mapping from its text; `path` is what messages call it."""
    try:
        tree = _tree(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "malformed"
        raise TopologyError(f"{path}:{line}: not YAML: {problem}; correct the syntax") from error
    if not isinstance(tree, CommentedMap):
        raise TopologyError(f"{path}:1: must be a mapping of keys to values")
    for key in tree:
        if not isinstance(key, str):
            line = tree.lc.key(key)[0] + 1
            raise TopologyError(f"{path}:{line}: key {key!r} must be a name; quote it or rename it")
    return YamlFile(path, _plain(tree), tree)


def parse_scalar(text: str) -> Any:
    """Return the value that a setting's text has as YAML (8, true, a name); text if none."""
    try:
        return _plain(_tree(text)) if text else ""
    except YAMLError:
        return text


def dotted(location: Sequence[str | int]) -> str:
    """Return a location as people write it: `layers[2].outputs`."""
    text = ""
    for key in location:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.lstrip(".") or "file"


@functools.lru_cache(maxsize=256)
def _tree(text: str) -> Any:
    """Parse a text; nobody changes the tree, and points of a sweep read the same text again."""
    return YAML(typ="rt").load(text)


def _plain(node: Any) -> Any:
    """Turn ruamel's nodes into dict, list, int, float, bool and str."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
