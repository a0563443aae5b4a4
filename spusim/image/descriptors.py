"""Descriptors that instructions name: of what is stored, and whether those stored say the same."""

from collections.abc import Iterator

import numpy as np

from spusim.isa import Isa, IsaError, decode_record, encode_record
from spusim.isa.container import ADVICE, ImageError
from spusim.program import Matrix, Program, Table, transfer_record, window_record


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


def descriptors(isa: Isa, program: Program) -> Iterator[tuple[str, str, np.ndarray]]:
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


def check_descriptors(
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
