"""YAML as trees in which every value remembers the file and line that set it.

Only plain data is read: no tags, no anchors, no duplicate keys.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spusim.errors import SpusimError

_NAMESPACE = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_NAMESPACE + name for name in ("null", "bool", "int", "float", "str")}
# A date is no value of ours: what looks like one is text.
_TEXT_TAGS = {_NAMESPACE + name for name in ("timestamp", "merge", "value")}


@dataclass(frozen=True)
class Entry:
    """A value with the place that set it.

    value: a scalar, a dict of name -> Entry, or a list of Entry; origin: `file:line` or
    `--set path=value`; layer: 0 in the file that was asked for, lower in what it builds on, higher
    in the settings laid over it.
    """

    value: Any
    origin: str
    layer: int = 0

    @functools.cached_property  # trees share most of their entries, as a sweep's machines do
    def plain(self) -> Any:
        """The value without its origins; lists become tuples, as the frozen specs hold them.

        Not to be changed by whoever asks.
        """
        if isinstance(self.value, dict):
            return {key: entry.plain for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return tuple(entry.plain for entry in self.value)
        return self.value

    @functools.cached_property
    def has_null(self) -> bool:
        """Whether it or anything in it is null."""
        if isinstance(self.value, dict | list):
            inside = self.value.values() if isinstance(self.value, dict) else self.value
            return any(entry.has_null for entry in inside)
        return self.value is None

    def deepest(self, path: Sequence[str | int]) -> "Entry":
        """Return the entry at path, or its nearest ancestor that exists."""
        here = self
        for step in path:
            if not isinstance(here.value, dict | list):
                break
            inside: Any = here.value
            try:
                here = inside[step]
            except (KeyError, IndexError, TypeError):
                break
        return here

    def find(self, path: Sequence[str]) -> "Entry | None":
        """Return the entry at path through mappings, or None."""
        here: Entry | None = self
        for step in path:
            if here is None or not isinstance(here.value, dict):
                return None
            here = here.value.get(step)
        return here


def merge(under: Entry, over: Entry) -> Entry:
    """Lay one tree over another: mappings merge, anything else replaces.

    A null over an inherited mapping takes the mapping back.
    """
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(under.value)
    for key, entry in over.value.items():
        inherited = merged.get(key)
        if inherited is None:
            merged[key] = entry
        elif entry.value is None and isinstance(inherited.value, dict):
            del merged[key]
        else:
            merged[key] = merge(inherited, entry)
    return Entry(merged, over.origin, over.layer)


@functools.lru_cache(maxsize=256)
def _composed(text: str) -> Node | None:
    """Parse a text, which takes longer than all else of loading an architecture.

    Nobody changes the nodes; points of a sweep read the same texts again and again.
    """
    node: Node | None = YAML(typ="safe", pure=True).compose(text)
    return node


class Reader:
    """Turns the text of one source into a tree of entries; raises `error` at its line."""

    def __init__(self, label: str, layer: int, error: type[SpusimError], lines: bool = True):
        self._label = label
        self._layer = layer
        self._error = error
        self._lines = lines
        self._yaml = YAML(typ="safe", pure=True)

    def read(self, text: str) -> Entry | None:
        """Return the tree of one YAML document, or None for an empty one."""
        try:
            node = _composed(text)
            return None if node is None else self._entry(node, self._origin(node))
        except RecursionError:
            raise self._error(f"{self._place(0)}: is nested too deeply; flatten it") from None
        except MarkedYAMLError as problem:
            line = problem.problem_mark.line if problem.problem_mark else 0
            raise self._error(
                f"{self._place(line)}: is not YAML: {problem.problem or problem.context}; "
                "check brackets, colons and indentation"
            ) from None
        except YAMLError as problem:  # a character that YAML does not allow
            line = text.count("\n", 0, getattr(problem, "position", 0))
            reason = str(problem).splitlines()[0]
            raise self._error(
                f"{self._place(line)}: is not YAML: {reason}; save it as plain UTF-8 text"
            ) from None

    def _place(self, line: int) -> str:
        return f"{self._label}:{line + 1}" if self._lines else self._label

    def _origin(self, node: Node) -> str:
        return self._place(node.start_mark.line)

    def _entry(self, node: Node, origin: str) -> Entry:
        if node.anchor:
            raise self._error(
                f"{self._origin(node)}: anchor &{node.anchor}: anchors and aliases are not read; "
                "repeat the value, or share it through `base:`"
            )
        if isinstance(node, MappingNode) and node.tag == _NAMESPACE + "map":
            return Entry(self._mapping(node), origin, self._layer)
        if isinstance(node, SequenceNode) and node.tag == _NAMESPACE + "seq":
            items = [self._entry(item, self._origin(item)) for item in node.value]
            return Entry(items, origin, self._layer)
        if isinstance(node, ScalarNode) and node.tag in _PLAIN_TAGS | _TEXT_TAGS:
            return Entry(self._scalar(node), origin, self._layer)
        tag = str(node.tag).replace(_NAMESPACE, "!!")
        raise self._error(
            f"{self._origin(node)}: tag {tag}: only plain values, lists and mappings are read; "
            "remove the tag"
        )

    def _mapping(self, node: MappingNode) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key, value in node.value:
            origin = self._origin(key)
            if not isinstance(key, ScalarNode):
                raise self._error(f"{origin}: a key must be a plain word; remove the brackets")
            if key.value in entries:
                raise self._error(
                    f"{origin}: duplicate key {key.value}, first set at "
                    f"{entries[key.value].origin}; keep one of them"
                )
            entries[key.value] = self._entry(value, origin)
        return entries

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag in _TEXT_TAGS:
            return node.value
        try:
            return self._yaml.constructor.construct_object(node)
        except ValueError:
            raise self._error(
                f"{self._origin(node)}: {node.value[:40]} cannot be read as a number; shorten it"
            ) from None
