"""Records to a tree of scalars with sections for arrays, and back, by the types of their fields."""

from dataclasses import fields, is_dataclass
from functools import cache
from types import GenericAlias, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from spusim.formats.layout import PackedMatrix
from spusim.isa.container import ADVICE, ImageError, expect_keys
from spusim.program import CoreImage, Segment, Table

# dtype and dimensions of every array that a Program holds
_ARRAYS: dict[tuple[type, str], tuple[str, int]] = {
    (CoreImage, "code"): ("uint64", 1),
    (Table, "entries"): ("int32", 1),
    (Segment, "words"): ("uint8", 2),
    (PackedMatrix, "slices"): ("uint8", 2),
    (PackedMatrix, "indices"): ("uint8", 2),
}


@cache
def _hints(record: Any) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {f.name: hints[f.name] for f in fields(record)}


def _is_arrays(hint: Any) -> bool:
    return get_origin(hint) is tuple and get_args(hint)[0] is np.ndarray


def _scalar(value: Any, hint: Any, where: str) -> Any:
    """Return a scalar as the plain Python type that a field declares."""
    if get_origin(hint) is UnionType:
        if value is None:
            return None
        hint = next(each for each in get_args(hint) if each is not type(None))
    choices = get_args(hint) if get_origin(hint) is Literal else None
    if choices is not None and value in choices:
        return value
    if hint is bool and isinstance(value, (bool, np.bool_)):
        return bool(value)
    if hint is int and isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if hint is str and isinstance(value, str):
        return str(value)
    wanted = f"one of {choices}" if choices else str(getattr(hint, "__name__", hint))
    raise ImageError(f"{where} (={value!r}) must be {wanted}; {ADVICE}")


def _has_form(array: object, form: tuple[str, int]) -> bool:
    dtype, dimensions = form
    return isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == dimensions


def _form_text(form: tuple[str, int]) -> str:
    return f"a {form[1]}-dimensional {form[0]} array"


def _found(array: object) -> str:
    if isinstance(array, np.ndarray):
        return f"{array.shape} {array.dtype}"
    return "missing" if array is None else f"{array!r}"


class Writer:
    """Turns records into a tree of scalars, and collects their arrays as sections."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, name: str, array: np.ndarray, form: tuple[str, int]) -> None:
        """Make an array a section. Raises ImageError for another form: (dtype, dimensions)."""
        if not _has_form(array, form):
            raise ImageError(f"{name} must be {_form_text(form)}, not {_found(array)}; convert it")
        self.arrays[name] = array

    def record(self, record: Any, value: Any, where: str) -> dict[str, Any]:
        """Return a record's tree; where: its place in the program."""
        if not isinstance(value, record):
            raise ImageError(f"{where} must be a {record.__name__}, not {value!r}; fix the program")
        tree: dict[str, Any] = {}
        for name, hint in _hints(record).items():
            item, place = getattr(value, name), f"{where}.{name}"
            form = _ARRAYS.get((record, name))
            if form is None:
                tree[name] = self.value(item, hint, place)
            elif _is_arrays(hint):
                self.add(place, _joined(item, form, place), form)
                tree[name] = [len(part) for part in item]
            else:
                tree[name] = place
                self.add(place, item, form)
        return tree

    def value(self, value: Any, hint: Any, where: str) -> Any:
        """Return the tree of a value whose field declares it as `hint`."""
        if is_dataclass(hint):
            return self.record(hint, value, where)
        arguments = get_args(hint)
        if get_origin(hint) is dict and isinstance(value, dict):
            return self.value(tuple(value.items()), _pairs(arguments), where)
        if get_origin(hint) is tuple:
            hints = _item_hints(value, tuple, arguments, where)
            return [
                self.value(v, h, f"{where}[{i}]")
                for i, (v, h) in enumerate(zip(value, hints, strict=True))
            ]
        return _scalar(value, hint, where)


class Reader:
    """Turns a tree and its sections back into records; takes every section it uses."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def take(self, name: str, form: tuple[str, int]) -> np.ndarray:
        """Return a section's array, which is then used. Raises ImageError for another form."""
        array = self.arrays.pop(name, None)
        if array is None or not _has_form(array, form):
            raise ImageError(
                f"section {name} must be {_form_text(form)}, it is {_found(array)}; {ADVICE}"
            )
        return array

    def record(self, record: Any, tree: Any, where: str) -> Any:
        """Return the record of a type that a tree tells; where: its place in the program."""
        hints = _hints(record)
        expect_keys(tree, set(hints), where)
        values = {}
        for name, hint in hints.items():
            item, place = tree[name], f"{where}.{name}"
            form = _ARRAYS.get((record, name))
            if form is None:
                values[name] = self.value(item, hint, place)
            elif _is_arrays(hint):
                values[name] = _split(self.take(place, form), item, place)
            elif item == place:
                values[name] = self.take(place, form)
            else:
                raise ImageError(f"{place} names section {item!r} instead of its own; {ADVICE}")
        return record(**values)

    def value(self, tree: Any, hint: Any, where: str) -> Any:
        """Return the value that a tree tells, of a field declared as `hint`."""
        if is_dataclass(hint):
            return self.record(hint, tree, where)
        arguments = get_args(hint)
        if get_origin(hint) is dict:
            pairs = dict(self.value(tree, _pairs(arguments), where))
            if len(pairs) < len(tree):
                raise ImageError(f"{where} has a key twice; {ADVICE}")
            return pairs
        if get_origin(hint) is tuple:
            hints = _item_hints(tree, list, arguments, where)
            return tuple(
                self.value(t, h, f"{where}[{i}]")
                for i, (t, h) in enumerate(zip(tree, hints, strict=True))
            )
        return _scalar(tree, hint, where)


def _pairs(arguments: tuple[Any, ...]) -> Any:
    """Return the type of a dict's items as a tuple, which keeps their order."""
    return GenericAlias(tuple, (GenericAlias(tuple, arguments), ...))


def _item_hints(
    items: Any,
    container: type[list[Any]] | type[tuple[Any, ...]],
    arguments: tuple[Any, ...],
    where: str,
) -> list[Any]:
    """Return the type of each item of a tuple field."""
    if not isinstance(items, container):
        raise ImageError(f"{where} must be a {container.__name__}, not {items!r}; {ADVICE}")
    hints = [arguments[0]] * len(items) if arguments[-1] is Ellipsis else [*arguments]
    if len(hints) != len(items):
        raise ImageError(f"{where} must have {len(hints)} items, it has {len(items)}; {ADVICE}")
    return hints


def _joined(parts: Any, form: tuple[str, int], where: str) -> np.ndarray:
    """Return (sum of rows, bytes) of a tuple of arrays (rows, bytes) that share dtype and bytes."""
    if not isinstance(parts, tuple) or not all(_has_form(part, form) for part in parts):
        raise ImageError(f"{where} must each be {_form_text(form)}; convert them")
    widths = {part.shape[1] for part in parts}
    if len(widths) != 1:
        raise ImageError(f"{where} must share one row size, they have {sorted(widths)} bytes")
    return np.concatenate(parts)


def _split(array: np.ndarray, rows: Any, where: str) -> tuple[np.ndarray, ...]:
    """Return the arrays that `_joined` joined."""
    good = isinstance(rows, list) and all(type(n) is int and n >= 0 for n in rows)
    if not good or sum(rows) != len(array):
        raise ImageError(f"{where}: rows of its parts do not sum to {len(array)}; {ADVICE}")
    ends = np.cumsum(rows).tolist()
    return tuple(array[end - n : end] for n, end in zip(rows, ends, strict=True))
