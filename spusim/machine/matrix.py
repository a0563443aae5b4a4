"""A matrix as the engine sees it; of an outlined one what timing needs, made only once."""

from dataclasses import dataclass, replace

import numpy as np

from spusim.arch.reuse import Itself, KeptResults
from spusim.arch.spec import Arch, CoreSpec
from spusim.formats import (
    ColumnCounts,
    Layout,
    OutlinedMatrix,
    column_counts,
    entries_per_word,
    format_of,
    unpack,
)
from spusim.kernels.layout import M
from spusim.kernels.schedule import entry_slots, lay_beats
from spusim.machine.beats import beats_in_words
from spusim.machine.errors import MachineError
from spusim.machine.memory import spread_words
from spusim.machine.tiles import tiled
from spusim.numerics import Numerics, overflow
from spusim.program import Matrix

FORMAT_CODES = {"dense": 0, "bitmap": 1, "run_length": 2, "pencil": 3, "block": 4, "n_of_m": 5}


@dataclass(frozen=True)
class LoadedMatrix:
    """A matrix as the engine sees it: dense values, static costs (T5, T6) and fetches (T7)."""

    name: str
    fields: np.ndarray  # (M.COUNT,) int64, offsets still from the matrix's own start
    weights: np.ndarray  # (columns, rows)
    tile_weights: np.ndarray  # (n,): the same by tiles, or empty
    tile_masks: np.ndarray  # (tiles, words) uint32, or (0, words)
    packed_beats: np.ndarray  # (columns, pes) int64: beats, in the upper half those with entries
    stats: np.ndarray  # (columns, 4) int32
    bank_words: np.ndarray  # (columns, banks) int32, or (0, 0)
    bias: np.ndarray
    row_abs: np.ndarray
    row_norm: np.ndarray
    fetch: np.ndarray  # (2 * pes + 2 * banks,) int64
    beats: np.ndarray
    beat_first: np.ndarray
    entry_rows: np.ndarray


def loaded_bytes(loaded: LoadedMatrix) -> int:
    """Return the bytes of its arrays."""
    return sum(part.nbytes for part in vars(loaded).values() if isinstance(part, np.ndarray))


# outlined ones, of programs that are timed again and again
LOADED = KeptResults(loaded_bytes, most=256, most_bytes=128 << 20)


def entries_per_beat(core: CoreSpec, precision: str) -> int:
    """Return E of rule T5; raises MachineError for a precision that the lanes do not have."""
    if precision not in core.precisions:
        raise MachineError(
            f"core.precisions has no {precision} (weight x activation bits), only "
            f"{', '.join(core.precisions)}; quantise to one of these or choose another architecture"
        )
    return min(core.decoder.entries_per_cycle, core.lanes * core.macs_per_lane(precision))


def load_matrix(
    matrix: Matrix, arch: Arch, numerics: Numerics, kinds: tuple[str, ...], multiplied: bool = True
) -> LoadedMatrix:
    """Expand a packed matrix to what the kernels need; of an outlined one, what timing needs.

    multiplied: whether a product reads it; of others only sizes and fetches are needed.
    """
    identity = Itself(matrix), numerics, kinds, multiplied

    def expanded(seen: Arch) -> LoadedMatrix:
        return _expanded(matrix, seen, numerics, kinds, multiplied)

    return LOADED.get(identity, arch, expanded) if outlined(matrix) else expanded(arch)


def stored_weight(matrix: Matrix, numerics: Numerics) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a matrix's weights (rows, columns) and its bias (rows,), None of an outlined one."""
    packed = matrix.packed
    if isinstance(packed, OutlinedMatrix):
        return packed.weight, None
    weight, bias = unpack(packed)
    bias = np.zeros(len(weight), np.int64) if bias is None else bias.astype(np.int64)
    return weight, overflow(bias, numerics.accumulator_bits, numerics.overflow)


def _expanded(
    matrix: Matrix, arch: Arch, numerics: Numerics, kinds: tuple[str, ...], multiplied: bool
) -> LoadedMatrix:
    core, packed = arch.core, matrix.packed
    entries_per_beat(core, matrix.precision)  # refuses a precision that the lanes lack
    fields = np.zeros(M.COUNT, np.int64)
    fields[M.ROWS], fields[M.WIDE] = packed.rows, _wide(packed.layout)
    fields[[M.ACTIVATION_BITS, M.MAC_KIND]] = (
        matrix.activation_bits,
        kinds.index(matrix.precision),
    )
    fields[M.INDEX_WRITES] = sum(map(len, packed.indices)) if matrix.preload else 0
    fields[M.BIAS_READS] = sum(packed.bias_words)
    loaded = LoadedMatrix(
        name=matrix.name,
        fields=fields,
        weights=np.zeros((0, 0), np.int8),
        tile_weights=np.zeros(0, np.int8),
        tile_masks=np.zeros((0, 1), np.uint32),
        packed_beats=np.zeros((0, core.pes), np.int64),
        stats=np.zeros((0, 4), np.int32),
        bank_words=np.zeros((0, 0), np.int32),
        bias=np.zeros(0, np.int64),
        row_abs=np.zeros(0, np.int64),
        row_norm=np.zeros(0),
        fetch=_fetches(matrix, core),
        beats=np.zeros((0, 2), np.int64),
        beat_first=np.zeros(0, np.int64),
        entry_rows=np.zeros(0, np.int32),
    )
    return _with_columns(loaded, matrix, core, numerics) if multiplied else loaded


def _with_columns(
    loaded: LoadedMatrix, matrix: Matrix, core: CoreSpec, numerics: Numerics
) -> LoadedMatrix:
    """Add what products ask of columns and rows."""
    layout, (weight, bias) = matrix.packed.layout, stored_weight(matrix, numerics)
    values = weight[:0] if bias is None else weight
    bias = np.zeros(0, np.int64) if bias is None else bias
    per_beat = entries_per_beat(core, matrix.precision)
    counts = column_counts(
        *((matrix.packed, per_beat) if outlined(matrix) else (weight, per_beat, layout))
    )
    first_word = _first_words(matrix)
    needs_beats = core.ports == "shared" or core.hazard == "stall"
    beats, beat_first, entry_rows = (
        _beats(matrix, weight, counts, per_beat, first_word, core)
        if needs_beats
        else (loaded.beats, loaded.beat_first, loaded.entry_rows)
    )
    # summed in wide numbers, without a wide copy of a large matrix
    row_abs = np.abs(values, dtype=np.int32).sum(axis=1, dtype=np.int64)
    fields = loaded.fields.copy()
    fields[[M.COLUMNS, M.ROW_ABS_MAX]] = matrix.packed.columns, row_abs.max(initial=0)
    stats = _stats(counts, weight, layout, core)
    fields[[M.ENTRIES, M.WORDS, M.INDEX_WORDS]] = stats.sum(axis=0, dtype=np.int64)[[0, 2, 3]]
    dense = np.ascontiguousarray(values.T, np.int16 if _wide(layout) else np.int8)
    tile_weights, tile_masks = tiled(dense)
    fields[M.TILED] = tile_weights.size
    fields[M.SAFE] = _safe(bias, row_abs, numerics)
    return replace(
        loaded,
        fields=fields,
        weights=dense,
        tile_weights=tile_weights,
        tile_masks=tile_masks,
        packed_beats=beats_in_words(counts, core, per_beat),
        stats=stats,
        bank_words=_bank_words(counts, layout, first_word, core),
        bias=bias,
        row_abs=row_abs,
        row_norm=np.sqrt(np.einsum("rc,rc->r", values, values, dtype=np.float64)),
        beats=beats,
        beat_first=beat_first,
        entry_rows=entry_rows,
    )


def _wide(layout: Layout) -> bool:
    """Whether weights, looked up in their codebook if they have one, need more than 8 bits."""
    return layout.weight_kind in ("16", "c16")


def _safe(bias: np.ndarray, row_abs: np.ndarray, numerics: Numerics) -> int:
    """Return the largest |x| with which no partial sum from the bias on can leave the accumulator.

    Such sums are added in 32 bits: a wider accumulator has no such x.
    """
    if numerics.accumulator_bits > 32:
        return -1
    limit = (1 << (numerics.accumulator_bits - 1)) - 1
    room = limit - int(np.abs(bias).max(initial=0))
    return room // max(int(row_abs.max(initial=0)), 1) if room >= 0 else -1


def outlined(matrix: Matrix) -> bool:
    """Whether a matrix's words were not written, so that it can be timed only."""
    return isinstance(matrix.packed, OutlinedMatrix)


def _stats(counts: ColumnCounts, weight: np.ndarray, layout: Layout, core: CoreSpec) -> np.ndarray:
    """MACs done for a column, nonzero weights, words and index words read, over all PEs."""
    macs = counts.entries.sum(axis=1)
    rows = len(weight)
    # The places of a short pencil, block or group beyond the last row multiply nothing.
    macs = macs - format_of(layout).unused_places(weight, layout)
    if core.sparse.weights == "decompress":
        macs = np.full_like(macs, rows)
    parts = (counts.nonzeros, counts.words, counts.index_words)
    return np.stack([macs, *(part.sum(axis=1) for part in parts)], axis=1).astype(np.int32)


def _first_words(matrix: Matrix) -> np.ndarray:
    """Words in front of each PE's entries in its weight memory, (pes,) int64."""
    packed = matrix.packed
    index = [len(words) if matrix.preload else 0 for words in packed.indices]
    return np.array(index, np.int64) + np.array(packed.bias_words, np.int64)


def _bank_words(
    counts: ColumnCounts, layout: Layout, first_word: np.ndarray, core: CoreSpec
) -> np.ndarray:
    if core.weight_memory is not None:
        return np.zeros((0, 0), np.int32)
    starts = np.cumsum(counts.entries, axis=0, dtype=np.int64) - counts.entries
    first = first_word[None, :] + starts // entries_per_word(layout)
    words = counts.words.astype(np.int64)
    return spread_words(first, words, core.data_memory.banks, layout.pes).astype(np.int32)


def _fetches(matrix: Matrix, core: CoreSpec) -> np.ndarray:
    """Words that each PE fetches in the load phase, with bias and without; the same by bank."""
    packed = matrix.packed
    banks, pes = core.data_memory.banks, packed.layout.pes
    without = np.array([len(w) if matrix.preload else 0 for w in packed.indices], np.int64)
    with_bias = without + np.array(packed.bias_words, np.int64)
    if core.weight_memory is not None:
        by_bank = [np.zeros(banks, np.int64)] * 2
    else:
        start = np.zeros(pes, np.int64)
        by_bank = [spread_words(start, words, banks, pes) for words in (with_bias, without)]
    return np.concatenate([with_bias, without, *by_bank]).astype(np.int64)


def _beats(
    matrix: Matrix,
    weight: np.ndarray,
    counts: ColumnCounts,
    per_beat: int,
    first_word: np.ndarray,
    core: CoreSpec,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    layout = matrix.packed.layout
    entries = counts.entries.astype(np.int64)
    ends = np.cumsum(entries.ravel())
    slots = np.zeros(int(ends[-1]) if len(ends) else 0, np.int32)
    code = FORMAT_CODES[layout.format]
    offsets = ends - entries.ravel()
    extent, bits, pes = layout.extent, layout.index_bits, layout.pes
    entry_slots(weight, code, layout.group, extent, bits, pes, offsets, slots)
    beats = np.zeros((int(counts.beats.sum()) + 1, 2), np.int64)
    begins = np.zeros(entries.size + 1, np.int64)
    private = core.weight_memory is not None
    per_pe = max(core.data_memory.banks // layout.pes, 1)
    per_word = entries_per_word(layout)
    lay_beats(entries, counts.beats, per_word, per_beat, first_word, per_pe, private, beats, begins)
    return beats, begins, slots
