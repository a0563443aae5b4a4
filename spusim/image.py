"""Program images: one file that holds a Program, and is refused when anything about it is off.

`spusim.isa.container` describes the file. Its content is the Program as nested JSON objects with
every scalar; dicts are lists of pairs, in order. Every array is a section named by its place in
the program; a tuple of arrays is one section, and the object has the number of rows of each. The
descriptors that instructions name are sections too (`core0.matrix_records`), as the ISA encodes
them, and are checked against the layouts and tables that are stored.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from spusim.formats.codes import padded_codebook
from spusim.formats.layout import PackedMatrix
from spusim.isa import Isa, IsaError, decode_record, decode_table, encode_record, load_isa
from spusim.isa.container import ADVICE, ImageError, expect_keys, read_container, write_container
from spusim.placement import external_complaint
from spusim.program import (
    CoreImage,
    Matrix,
    Program,
    Segment,
    Table,
    transfer_record,
    window_record,
)

__all__ = ["ImageError", "load_program", "matrix_record", "save_program", "table_record"]

# dtype and dimensions of every array that a Program holds
_ARRAYS: dict[tuple[type, str], tuple[str, int]] = {
    (CoreImage, "code"): ("uint64", 1),
    (Table, "entries"): ("int32", 1),
    (Segment, "words"): ("uint8", 2),
    (PackedMatrix, "slices"): ("uint8", 2),
    (PackedMatrix, "indices"): ("uint8", 2),
}


def save_program(program: Program, path: str | Path) -> None:
    """Write a program image; the same program gives the same bytes.

    The file appears whole or not at all. Raises ImageError if the program contradicts itself, the
    ISA cannot express it, or the file cannot be written.
    """
    isa = load_isa()
    if program.isa_version != isa.version:
        raise ImageError(
            f"program {program.name} is for ISA {program.isa_version}, this spusim has "
            f"{isa.version}; {ADVICE}"
        )
    writer = _Writer()
    tree = writer.record(Program, program, "program")
    for name, _, words in _descriptors(isa, program):
        writer.arrays[name] = words
    _check_program(isa, program)
    write_container(Path(path), isa, tree, writer.arrays)


def load_program(path: str | Path) -> Program:
    """Read a program image. Raises ImageError with the reason and what to do about it."""
    isa = load_isa()
    content, arrays = read_container(Path(path), isa)
    try:
        return _restore(isa, content, arrays)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def matrix_record(isa: Isa, matrix: Matrix) -> dict[str, int]:
    """Return the fields of a matrix descriptor; slice_words, index_words: of the longest PE.

    Raises ImageError for a format that the ISA does not have.
    """
    layout, packed = matrix.packed.layout, matrix.packed
    names = isa.kinds["format"].names
    if layout.format not in names:
        raise ImageError(
            f"matrix {matrix.name}: format {layout.format!r} is not in ISA {isa.version}; "
            f"pack it as one of {', '.join(names)}"
        )
    return {
        "format": names.index(layout.format),
        "weight_bits": layout.weight_bits,
        "activation_bits": matrix.activation_bits,
        "index_bits": layout.index_bits,
        "pointer_bits": layout.pointer_bits,
        "group": layout.group,
        "extent": layout.extent,
        "bias_bits": layout.bias_bits,
        "codebook": matrix.codebook,
        "rows": packed.rows,
        "columns": packed.columns,
        "base": matrix.base,
        "index_base": matrix.index_base,
        "slice_words": max(map(len, packed.slices), default=0),
        "index_words": max(map(len, packed.indices), default=0),
    }


def table_record(table: Table) -> dict[str, int]:
    """Return the fields of a table descriptor."""
    return {
        "base": table.base,
        "address_bits": table.address_bits,
        "fraction_bits": table.fraction_bits,
        "interpolate": int(table.interpolate),
    }


def _restore(isa: Isa, content: Any, arrays: dict[str, np.ndarray]) -> Program:
    """Return the program that content and arrays tell; every array must be of use."""
    reader = _Reader(arrays)
    program: Program = reader.record(Program, content, "program")
    if program.isa_version != isa.version:
        raise ImageError(
            f"program.isa_version (={program.isa_version}) must be its header's, {isa.version}; "
            f"{ADVICE}"
        )
    for name, record, words in _descriptors(isa, program):
        _check_descriptors(isa, name, record, reader.take(name, ("uint64", 2)), words)
    if reader.arrays:
        raise ImageError(f"has sections that its program does not use: {[*arrays]}; {ADVICE}")
    # after the descriptors, whose fields bound the numbers used here
    _check_program(isa, program)
    return program


# records to a tree and back, by the types that the records' fields declare


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


class _Writer:
    """Turns records into a tree of scalars, and collects their arrays as sections."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, name: str, array: np.ndarray, form: tuple[str, int]) -> None:
        if not _has_form(array, form):
            raise ImageError(f"{name} must be {_form_text(form)}, not {_found(array)}; convert it")
        self.arrays[name] = array

    def record(self, record: Any, value: Any, where: str) -> dict[str, Any]:
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


class _Reader:
    """Turns a tree and its sections back into records; takes every section it uses."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def take(self, name: str, form: tuple[str, int]) -> np.ndarray:
        array = self.arrays.pop(name, None)
        if array is None or not _has_form(array, form):
            raise ImageError(
                f"section {name} must be {_form_text(form)}, it is {_found(array)}; {ADVICE}"
            )
        return array

    def record(self, record: Any, tree: Any, where: str) -> Any:
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


# checks


def _descriptors(isa: Isa, program: Program) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield section name, record name and words (items, words of a record) of every core."""
    for number, core in enumerate(program.cores):
        matrices = [(m.name, matrix_record(isa, m)) for m in core.matrices]
        tables = [(t.name, table_record(t)) for t in core.tables]
        windows = [(w.name, window_record(w)) for w in core.windows]
        transfers = [(t.name, transfer_record(t)) for t in core.transfers]
        for record, items in (
            ("matrix", matrices), ("table", tables), ("window", windows), ("transfer", transfers),
        ):  # fmt: skip
            words = np.zeros((len(items), isa.records[record].words), dtype=np.uint64)
            for index, (name, item) in enumerate(items):
                try:
                    words[index] = encode_record(isa, record, item)
                except IsaError as error:
                    raise ImageError(f"core{number}: {record} {name!r}: {error}") from error
            yield f"core{number}.{record}_records", record, words


def _check_descriptors(
    isa: Isa, name: str, record: str, stored: np.ndarray, words: np.ndarray
) -> None:
    """Refuse stored descriptor words that are not those of the matrices and tables stored."""
    if stored.shape != words.shape:
        raise ImageError(f"section {name} has shape {stored.shape}, not {words.shape}; {ADVICE}")
    for index in np.flatnonzero(np.any(stored != words, axis=1)).tolist():
        try:
            said = decode_record(isa, record, stored[index])
        except IsaError as error:
            raise ImageError(f"{name}[{index}]: {error}") from error
        true = decode_record(isa, record, words[index])
        wrong = [
            f"{key} {said[key]} (stored: {true[key]})" for key in true if said[key] != true[key]
        ]
        raise ImageError(
            f"{name}[{index}] contradicts what is stored: {', '.join(wrong)}; {ADVICE}"
        )


def _check_program(isa: Isa, program: Program) -> None:
    for problem in _problems(isa, program):
        raise ImageError(f"program {program.name}: {problem}; {ADVICE}")


def _problems(isa: Isa, program: Program) -> Iterator[str]:
    """Yield what contradicts the shapes and ranges that the records state."""
    for segment in program.external:
        yield from _wrong_width(f"segment {segment.name}", segment.words, program.word_bits)
    if complaint := external_complaint(program):
        yield complaint
    for number, core in enumerate(program.cores):
        where = f"core{number}"
        try:
            decode_table(isa, core.code)
        except IsaError as error:
            yield f"{where}.code: {error}"
        for thread in core.threads:
            if not 0 <= thread.entry < len(core.code) or thread.tokens < 1:
                yield f"{where}: thread {thread.name} must start in the code and need a token"
        for segment in core.segments:
            yield from _wrong_width(
                f"{where}: segment {segment.name}", segment.words, program.word_bits
            )
        for matrix in core.matrices:
            yield from _matrix_problems(f"{where}: matrix {matrix.name}", matrix, program.pes)
            if _codebook(core, matrix) != padded_codebook(matrix.packed.layout.codebook):
                yield (
                    f"{where}: matrix {matrix.name} has another codebook than the table its "
                    "descriptor names"
                )
        for table in core.tables:
            entries = (1 << table.address_bits) + table.interpolate
            if len(table.entries) != entries:
                yield f"{where}: table {table.name} has {len(table.entries)} of {entries} entries"


def _codebook(core: CoreImage, matrix: Matrix) -> tuple[int, ...] | None:
    """Return the entries of the table that a matrix names; zeros if it names none."""
    if not matrix.codebook:
        return padded_codebook(())
    if not 1 <= matrix.codebook <= len(core.tables):
        return None
    return tuple(core.tables[matrix.codebook - 1].entries.tolist())


def _wrong_width(what: str, words: np.ndarray, bits: int) -> Iterator[str]:
    if words.ndim != 2 or words.shape[1] * 8 != bits:
        yield f"{what} has shape {words.shape}, not words of {bits} bits"


def _matrix_problems(where: str, matrix: Matrix, pes: int) -> Iterator[str]:
    packed, layout = matrix.packed, matrix.packed.layout
    parts = {len(packed.slices), len(packed.indices), len(packed.bias_words), layout.pes, pes}
    if len(parts) != 1:
        yield f"{where} is packed for {layout.pes} PEs of {pes}, or not all of its PEs are there"
        return
    for words, index, bias in zip(packed.slices, packed.indices, packed.bias_words, strict=True):
        yield from _wrong_width(where, words, layout.word_bits)
        yield from _wrong_width(f"{where}, indices", index, layout.index_word_bits)
        if not 0 <= bias <= len(words):
            yield f"{where} claims {bias} bias words in a slice of {len(words)}"
