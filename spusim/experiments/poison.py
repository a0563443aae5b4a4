"""Memories filled with a pattern before a run, so that what nobody wrote shows in the result."""

from dataclasses import replace

import numpy as np

from spusim.arch import Arch
from spusim.placement import external_areas
from spusim.program import CoreImage, Matrix, Program, Segment

POISON = 0xA5
EXTERNAL = 15  # stands for the external memory among the cores
_PLACE_STEP, _CORE_STEP = 2654435761, 0x85EBCA6B  # 2**32 / golden ratio; an odd number
_ROW_STEP = 0x5A5A5A5A5A5B


def poisoned(program: Program, arch: Arch) -> Program:
    """Return the program with one segment a core that fills its whole data memory.

    The words that the program does not initialise hold a pattern that depends on core and place;
    matrices lie in the data memory as T3 says where its banks hold the weights.
    """
    cores = tuple(
        replace(image, segments=(_whole_memory(number, image, program, arch),))
        for number, image in enumerate(program.cores)
    )
    return replace(program, cores=cores, external=_whole_external(program))


def poisoned_accumulators(program: Program) -> tuple[np.ndarray, ...]:
    """Return what the accumulators hold before a run: per core (rows,) int64, of their width."""
    bits = program.numerics.accumulator_bits
    rows = np.arange(1, program.accumulators + 1, dtype=np.int64)
    values = []
    for core in range(len(program.cores)):
        mixed = (rows * _ROW_STEP + core * _CORE_STEP) & ((1 << bits) - 1)
        values.append(mixed - ((mixed >> (bits - 1)) << bits))
    return tuple(values)


def pattern(core: int, words: int, word_bytes: int) -> np.ndarray:
    """Return a poisoned data memory: (words, word_bytes) uint8."""
    place = np.arange(words * word_bytes, dtype=np.int64)
    mixed = place * _PLACE_STEP + core * _CORE_STEP
    return (POISON ^ (mixed >> 24 & 0xFF)).astype(np.uint8).reshape(words, word_bytes)


def _whole_memory(number: int, image: CoreImage, program: Program, arch: Arch) -> Segment:
    spec = arch.core.data_memory
    words = pattern(number, spec.banks * spec.words, program.word_bits // 8)
    if arch.core.weight_memory is None:
        for matrix in image.matrices:
            if matrix.home is None:
                _lay_matrix(words, matrix, arch)
    for segment in image.segments:
        words[segment.address : segment.address + len(segment.words)] = segment.words
    return Segment("poisoned", 0, words)


def _whole_external(program: Program) -> tuple[Segment, ...]:
    """Return the external segments, and the pattern wherever nothing lies."""
    words = pattern(EXTERNAL, program.external_words, program.word_bits // 8)
    taken = np.zeros(len(words), bool)
    for _, first, there in external_areas(program):
        taken[first : first + len(there)] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[True], taken, [True]])))
    gaps = (
        Segment("poisoned", int(first), words[first:end]) for first, end in edges.reshape(-1, 2)
    )
    return (*program.external, *gaps)


def _lay_matrix(words: np.ndarray, matrix: Matrix, arch: Arch) -> None:
    """Put a matrix's words where rule T3 has them: bank p + P (k mod B/P), row by row."""
    pes, banks = arch.core.pes, arch.core.data_memory.banks
    for p, (index, entries) in enumerate(
        zip(matrix.packed.indices, matrix.packed.slices, strict=True)
    ):
        stored = np.concatenate([index, entries]) if matrix.preload else entries
        k = np.arange(len(stored))
        words[(matrix.base + k // (banks // pes)) * banks + p + pes * (k % (banks // pes))] = stored
