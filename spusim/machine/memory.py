"""What lies in which bank: of the data memory, the PEs' own memories, tables and instructions."""

import sys

import numpy as np

from spusim.arch.reuse import Itself, KeptResults
from spusim.arch.spec import Arch, CoreSpec
from spusim.formats import OutlinedMatrix
from spusim.placement import external_areas
from spusim.program import CoreImage, Program
from spusim.result import BankUse


def spread_words(first: np.ndarray, words: np.ndarray, banks: int, pes: int) -> np.ndarray:
    """Spread words first .. first + words of each PE's slice over its banks (T3).

    first, words (..., pes) -> (..., banks).
    """
    per_pe = banks // pes
    lane = np.arange(per_pe)
    count = words[..., None] // per_pe + (
        (lane - first[..., None]) % per_pe < words[..., None] % per_pe
    )
    # bank = p + pes * lane
    spread: np.ndarray = np.swapaxes(count, -1, -2).reshape(*words.shape[:-1], banks)
    return spread


def memory_use(program: Program, arch: Arch) -> dict[str, BankUse]:
    """Count the words that are used of every memory's banks; gaps between them are not."""
    matrices = [matrix for image in program.cores for matrix in image.matrices]
    if not any(isinstance(matrix.packed, OutlinedMatrix) for matrix in matrices):
        return _memory_use(program, arch)
    identity = (
        Itself(program.cores), Itself(program.external), program.external_words, program.input,
        program.word_bits,
    )  # fmt: skip
    return dict(USED.get(identity, arch, lambda seen: _memory_use(program, seen)))


# of outlined programs, which are timed again and again
USED: KeptResults[dict[str, BankUse]] = KeptResults(
    lambda use: sum(map(sys.getsizeof, use.values())), most=128, most_bytes=16 << 20
)


def _memory_use(program: Program, arch: Arch) -> dict[str, BankUse]:
    use: dict[str, BankUse] = {}
    for number, image in enumerate(program.cores):
        name = f"core{number}"
        weights, indices = _occupied(image, arch.core)
        use |= _data_memory(name, image, arch.core, weights)
        use |= _pe_memories(name, image, arch.core, weights, indices)
        use |= _small_memories(name, image, arch.core)
    return use | _external(program, arch)


def _occupied(image: CoreImage, core: CoreSpec) -> tuple[np.ndarray, np.ndarray]:
    """Count each PE's words of weights and indices: (matrices, pes) int64 of either.

    What matrices that are fetched share of their places counts for the first of them only.
    """
    weights = np.zeros((len(image.matrices), core.pes), np.int64)
    indices = np.zeros_like(weights)
    for k, matrix in enumerate(image.matrices):
        weights[k] = [len(words) for words in matrix.packed.slices]
        indices[k] = [len(words) for words in matrix.packed.indices]
        if matrix.preload:
            weights[k] += indices[k]
    if any(matrix.home is not None for matrix in image.matrices):
        per_pe = 1 if core.weight_memory else core.data_memory.banks // core.pes
        bases = [matrix.base * per_pe for matrix in image.matrices]
        weights = _apart(weights, bases)
        if core.index_memory.mode == "resident":
            indices = _apart(indices, [matrix.index_base for matrix in image.matrices])
    return weights, indices


def _apart(words: np.ndarray, bases: list[int]) -> np.ndarray:
    """Leave of runs of words (matrices, pes) from their bases on what no earlier one has."""
    own = np.zeros_like(words)
    for p, column in enumerate(words.T.tolist()):
        end = max((base + count for base, count in zip(bases, column, strict=True)), default=0)
        taken = np.zeros(end, bool)
        for k, (base, count) in enumerate(zip(bases, column, strict=True)):
            own[k, p] = count - taken[base : base + count].sum()
            taken[base : base + count] = True
    return own


def _external(program: Program, arch: Arch) -> dict[str, BankUse]:
    """Count the words of external memory that something has a place in, where there is any."""
    if arch.external_memory is None:
        return {}
    areas = sorted((area.first, area.end) for area in external_areas(program))
    used = reached = 0
    for first, end in areas:
        used += max(end - max(first, reached), 0)
        reached = max(reached, end)
    words = arch.external_memory.words
    return {"external_memory": BankUse(used, words, program.word_bits)}


def stored_bits(program: Program) -> dict[str, int]:
    """Return the bits of all matrices: weights, and what says where their nonzeros are."""
    footprints = [matrix.packed.footprint for core in program.cores for matrix in core.matrices]
    indices = sum(each.indices + each.pointers for each in footprints)
    return {"weights": sum(each.total for each in footprints) - indices, "indices": indices}


def _data_memory(
    name: str, image: CoreImage, core: CoreSpec, weights: np.ndarray
) -> dict[str, BankUse]:
    spec = core.data_memory
    stored = {matrix.name for matrix in image.matrices}
    vectors = [(first, n) for name, first, n in image.symbols if name not in stored]
    rows = -(-max((first + words for first, words in vectors), default=0) // spec.banks)
    taken = np.zeros(rows * spec.banks, bool)
    for first, words in vectors:
        taken[first : first + words] = True  # words may be shared
    banks = taken.reshape(rows, spec.banks).sum(axis=0, dtype=np.int64)
    if core.weight_memory is None and len(weights):
        spread = spread_words(np.zeros_like(weights), weights, spec.banks, core.pes)
        banks += spread.sum(axis=0)
    return {
        f"{name}.data_memory.bank{bank}": BankUse(words, spec.words, spec.word_bits)
        for bank, words in enumerate(banks.tolist())
    }


def _pe_memories(
    name: str, image: CoreImage, core: CoreSpec, weights: np.ndarray, indices: np.ndarray
) -> dict[str, BankUse]:
    use: dict[str, BankUse] = {}
    if core.weight_memory is not None:
        own = core.weight_memory
        for p, words in enumerate(weights.sum(axis=0).tolist()):
            use[f"{name}.pe{p}.weight_memory"] = BankUse(words, own.words, own.word_bits)
    spec = core.index_memory
    # Preloaded indices take turns; resident ones are there together.
    preload = spec.mode == "preload"
    used = indices.max(axis=0, initial=0) if preload else indices.sum(axis=0)
    for p, words in enumerate(used.tolist()):
        use[f"{name}.pe{p}.index_memory"] = BankUse(words, spec.words, spec.word_bits)
    return use


def _small_memories(name: str, image: CoreImage, core: CoreSpec) -> dict[str, BankUse]:
    tables = core.table_memory
    entries = sum(len(table.entries) for table in image.tables)
    return {
        f"{name}.table_memory": BankUse(entries, tables.banks * tables.words, tables.word_bits),
        f"{name}.instruction_memory": BankUse(len(image.code), core.instruction_memory.words, 64),
    }
