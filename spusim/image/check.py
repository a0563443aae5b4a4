"""What contradicts itself in a program, and is neither saved nor loaded."""

from collections.abc import Iterator

import numpy as np

from spusim.formats.codes import padded_codebook
from spusim.isa import Isa, IsaError, decode_table
from spusim.isa.container import ADVICE, ImageError
from spusim.placement import external_complaint
from spusim.program import CoreImage, Matrix, Program


def check_program(isa: Isa, program: Program) -> None:
    """Raise ImageError if a program contradicts itself."""
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
