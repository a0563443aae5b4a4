"""Program and architecture to the arrays that a core's kernels work on."""

from dataclasses import dataclass

import numpy as np

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
from spusim.isa import Instruction
from spusim.kernels.core import CoreArrays, CoreState, core_state
from spusim.kernels.lanes import LANES
from spusim.kernels.layout import COUNTERS, MAC_KINDS, MEMO_BANKS, Given, M, P, S, Tape
from spusim.kernels.schedule import entry_slots, lay_beats
from spusim.machine.beats import beats_in_bytes, beats_in_words
from spusim.machine.decode import decode_program
from spusim.machine.errors import MachineError
from spusim.machine.image_tape import ImageTape
from spusim.machine.memory import spread_words
from spusim.machine.tape import CoreTape, Taping, no_tape
from spusim.numerics import Numerics, overflow
from spusim.program import CoreImage, Matrix, Program

ROUNDING = {"floor": 0, "half_up": 1, "half_even": 2, "stochastic": 3}
OVERFLOW = {"saturate": 0, "wrap": 1, "nullify": 2}
FORMAT_CODES = {"dense": 0, "bitmap": 1, "run_length": 2, "pencil": 3, "block": 4, "n_of_m": 5}
LONGEST_VECTOR = 1 << 16  # elements, what an instruction can count


@dataclass(frozen=True)
class LoadedMatrix:
    """A matrix as the engine sees it: dense values, static costs (T5, T6) and fetches (T7)."""

    name: str
    fields: np.ndarray  # (M.COUNT,) int64, offsets still from the matrix's own start
    weights: np.ndarray  # (columns, rows)
    packed_beats: np.ndarray  # (columns, pes) int64: beats, in the upper half those with entries
    byte_beats: np.ndarray  # (columns, LANES) uint8: the beats, or (0, LANES)
    stats: np.ndarray  # (columns, 4) int32
    bank_words: np.ndarray  # (columns, banks) int32, or (0, 0)
    bias: np.ndarray
    row_abs: np.ndarray
    row_norm: np.ndarray
    fetch: np.ndarray  # (2 * pes + 2 * banks,) int64
    beats: np.ndarray
    beat_first: np.ndarray
    entry_rows: np.ndarray


@dataclass(frozen=True)
class LoadedCore:
    """A core ready to run."""

    arrays: CoreArrays
    state: CoreState  # the same arrays, for kernels
    instructions: list[Instruction]
    image: CoreImage
    mac_kinds: tuple[str, ...]  # names of the MAC counters
    images: ImageTape

    @property
    def word_bytes(self) -> int:
        """Bytes of a word of data memory."""
        return int(self.arrays.params[P.WORD_BYTES])


def load_core(
    image: CoreImage, program: Program, arch: Arch, taping: Taping = no_tape
) -> LoadedCore:
    """Decode an image for the kernels; raises MachineError for what the machine cannot do."""
    code, instructions = decode_program(image.code)
    kinds = mac_kinds(program)
    tape = taping(image)
    if tape.mode != Tape.REPLAY and any(outlined(matrix) for matrix in image.matrices):
        raise MachineError(
            f"program {program.name} was outlined, so it can be timed from a recording but not "
            "computed; compile it with `pack`"
        )
    matrices = [load_matrix(matrix, arch, program.numerics, kinds) for matrix in image.matrices]
    arrays = _arrays(image, program, arch, code, matrices, tape)
    return LoadedCore(arrays, core_state(arrays), instructions, image, kinds, tape.images)


def mac_kinds(program: Program) -> tuple[str, ...]:
    """Name the precisions that the program's products use, such as `8x16`."""
    names = {m.precision for core in program.cores for m in core.matrices}
    return tuple(sorted(names))


def entries_per_beat(core: CoreSpec, precision: str) -> int:
    """Return E of rule T5; raises MachineError for a precision that the lanes do not have."""
    rates: dict[str, int] = dict(core.precisions)  # type: ignore[arg-type]
    if precision not in rates:
        raise MachineError(
            f"core.precisions has no {precision} (weight x activation bits), only "
            f"{', '.join(rates)}; quantise to one of these or choose another architecture"
        )
    return min(core.decoder.entries_per_cycle, core.lanes * rates[precision])


def load_matrix(
    matrix: Matrix, arch: Arch, numerics: Numerics, kinds: tuple[str, ...]
) -> LoadedMatrix:
    """Expand a packed matrix to what the kernels need; of an outlined one, what timing needs."""
    core, packed = arch.core, matrix.packed
    layout = packed.layout
    weight, bias = (packed.weight, None) if isinstance(packed, OutlinedMatrix) else unpack(packed)
    per_beat = entries_per_beat(core, matrix.precision)
    counts = column_counts(
        *((packed, per_beat) if outlined(matrix) else (weight, per_beat, layout))
    )
    beats_of = beats_in_words(counts, core, per_beat)
    first_word = _first_words(matrix)
    needs_beats = core.ports == "shared" or core.hazard == "stall"
    beats, beat_first, entry_rows = (
        _beats(matrix, weight, counts, per_beat, first_word, core)
        if needs_beats
        else (np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))
    )
    values = weight[:0] if outlined(matrix) else weight
    bias = np.zeros(len(values), np.int64) if bias is None else bias.astype(np.int64)
    bias = overflow(bias, numerics.accumulator_bits, numerics.overflow)
    # summed in wide numbers, without a wide copy of a large matrix
    row_abs = np.abs(values, dtype=np.int32).sum(axis=1, dtype=np.int64)
    fields = np.zeros(M.COUNT, np.int64)
    fields[[M.ROWS, M.COLUMNS, M.WIDE]] = packed.rows, packed.columns, _wide(layout)
    fields[[M.ACTIVATION_BITS, M.MAC_KIND]] = (
        matrix.activation_bits,
        kinds.index(matrix.precision),
    )
    fields[M.ROW_ABS_MAX] = row_abs.max(initial=0)
    fields[M.INDEX_WRITES] = sum(map(len, packed.indices)) if matrix.preload else 0
    fields[M.BIAS_READS] = sum(packed.bias_words)
    return LoadedMatrix(
        name=matrix.name,
        fields=fields,
        weights=np.ascontiguousarray(values.T, np.int16 if _wide(layout) else np.int8),
        packed_beats=beats_of,
        byte_beats=beats_in_bytes(beats_of, core),
        stats=_stats(counts, weight, layout, core),
        bank_words=_bank_words(counts, layout, first_word, core),
        bias=bias,
        row_abs=row_abs,
        row_norm=np.sqrt(np.einsum("rc,rc->r", values, values, dtype=np.float64)),
        fetch=_fetches(matrix, core),
        beats=beats,
        beat_first=beat_first,
        entry_rows=entry_rows,
    )


def _wide(layout: Layout) -> bool:
    """Whether weights, looked up in their codebook if they have one, need more than 8 bits."""
    return layout.weight_kind in ("16", "c16")


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


def _params(program: Program, arch: Arch, tape: Tape) -> np.ndarray:
    core, numerics = arch.core, program.numerics
    interpolations = core.table_memory.banks * core.table_memory.ports
    values = {
        P.PES: core.pes,
        P.BANKS: core.data_memory.banks,
        P.WORD_BYTES: core.data_memory.word_bits // 8,
        P.SCAN_WIDTH: core.scanner.width,
        P.QUEUE_DEPTH: core.queue.depth,
        P.RELEASE_DONE: core.queue.release == "done",
        P.PUSH_ALL: core.sparse.activations != "skip",
        P.GATE: core.sparse.activations == "gate",
        P.MAC_STAGES: core.pipeline.mac_stages,
        P.VECTOR_LANES: core.vector.lanes,
        P.VECTOR_STAGES: core.pipeline.vector_stages,
        P.TABLE_READS: interpolations,
        P.ACC_BITS: numerics.accumulator_bits,
        P.ACC_OVERFLOW: OVERFLOW[numerics.overflow],
        P.ROUNDING: ROUNDING[numerics.rounding],
        P.RESULT_OVERFLOW: OVERFLOW[numerics.requantize_overflow],
        P.PRIVATE_WEIGHTS: core.weight_memory is not None,
        P.HAZARD_STALL: core.hazard == "stall",
        P.SHARED_PORTS: core.ports == "shared",
        P.WORD_SHIFT: (core.data_memory.word_bits // 8).bit_length() - 1,
        P.TAPE: tape,
        P.SEED: numerics.seed,
        P.PARTIAL_EVERY: numerics.partial_sums.every,
        P.PARTIAL_SHIFT: numerics.partial_sums.shift,
        P.PARTIAL_BITS: numerics.partial_sums.bits,
        P.PARTIAL_ROUNDING: ROUNDING[numerics.partial_sums.rounding],
    }
    return np.array([int(values[p]) for p in P if p is not P.COUNT], np.int64)


def _tables(image: CoreImage) -> tuple[np.ndarray, np.ndarray]:
    size = max((t.base + len(t.entries) for t in image.tables), default=0)
    memory = np.zeros(size, np.int32)
    rows = np.zeros((len(image.tables), 4), np.int64)
    for row, table in zip(rows, image.tables, strict=True):
        memory[table.base : table.base + len(table.entries)] = table.entries
        row[:] = table.base, table.address_bits, table.fraction_bits, table.interpolate
    return rows, memory


def _joined(parts: list[np.ndarray], dtype: type) -> tuple[np.ndarray, list[int]]:
    """Flatten and join; return the whole and where each part begins."""
    flat: list[np.ndarray] = [part.ravel().astype(dtype, copy=False) for part in parts]
    sizes = [len(part) for part in flat]
    begins = [0, *np.cumsum(sizes).tolist()][: len(sizes)]
    return (np.concatenate(flat) if flat else np.zeros(0, dtype)), begins


def _join_matrices(loaded: list[LoadedMatrix]) -> dict[str, np.ndarray]:
    """One flat array per kind of static data, and the table of where each matrix's part is."""
    table = np.zeros((len(loaded), M.COUNT), np.int64)
    narrow = [m.weights if m.weights.dtype == np.int8 else m.weights[:0] for m in loaded]
    wide = [m.weights if m.weights.dtype == np.int16 else m.weights[:0] for m in loaded]
    w8, at8 = _joined(narrow, np.int8)
    w16, at16 = _joined(wide, np.int16)
    packed_beats, costs = _joined([m.packed_beats for m in loaded], np.int64)
    byte_beats, bytes_ = _joined([m.byte_beats for m in loaded], np.uint8)
    stats, stat_begins = _joined([m.stats for m in loaded], np.int32)
    bank_words, bank_begins = _joined([m.bank_words for m in loaded], np.int32)
    bias, biases = _joined([m.bias for m in loaded], np.int64)
    row_abs, _ = _joined([m.row_abs for m in loaded], np.int64)
    row_norm, _ = _joined([m.row_norm for m in loaded], np.float64)
    fetch, fetches = _joined([m.fetch for m in loaded], np.int64)
    for k, m in enumerate(loaded):
        table[k] = m.fields
        table[k, M.WEIGHTS] = at16[k] if m.fields[M.WIDE] else at8[k]
        table[k, M.COSTS], table[k, M.STATS] = costs[k], stat_begins[k] // 4
        table[k, M.BANK_WORDS], table[k, M.BIAS] = bank_begins[k], biases[k]
        table[k, M.FETCH] = fetches[k]
        table[k, M.BYTE_BEATS] = bytes_[k] if m.byte_beats.size else -1
    beats, beat_first, entry_rows = _join_beats(loaded)
    return dict(
        matrices=table, w8=w8, w16=w16, packed_beats=packed_beats, byte_beats=byte_beats,
        stats=stats.reshape(-1, 4), uses=np.zeros(stats.size // 4, np.int64),
        bank_words=bank_words, bias=bias, row_abs=row_abs, row_norm=row_norm, fetch=fetch,
        beats=beats, beat_first=beat_first, entry_rows=entry_rows,
    )  # fmt: skip


def _join_beats(loaded: list[LoadedMatrix]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join the beats: indices into beats and entries move by what lies before a matrix."""
    beats, firsts, rows = [], [], []
    beat_offset = entry_offset = 0
    for m in loaded:
        if not len(m.beat_first):
            continue
        body = m.beats[:-1].copy()
        body[:, 0] += entry_offset
        beats.append(body)
        firsts.append(m.beat_first[:-1] + beat_offset)
        rows.append(m.entry_rows)
        beat_offset += len(body)
        entry_offset += len(m.entry_rows)
    beats.append(np.array([[entry_offset, -1]], np.int64))
    firsts.append(np.array([beat_offset], np.int64))
    return (
        np.concatenate(beats),
        np.concatenate(firsts),
        np.concatenate([*rows, np.zeros(1, np.int32)]),
    )


def _arrays(
    image: CoreImage,
    program: Program,
    arch: Arch,
    code: np.ndarray,
    loaded: list[LoadedMatrix],
    tape: CoreTape,
) -> CoreArrays:
    core = arch.core
    joined = _join_matrices(loaded)
    joined["matrices"][:, M.TAPE], joined["matrices"][:, M.PRODUCTS] = tape.begins, tape.products
    longest = max((int(m.fields[M.COLUMNS]) for m in loaded), default=0) + 1
    rows = max(program.accumulators, 1)
    table_rows, table_memory = _tables(image)
    if len(mac_kinds(program)) > MAC_KINDS:
        raise MachineError(
            f"program {program.name} mixes {len(mac_kinds(program))} precisions; the counters hold "
            f"{MAC_KINDS}: use fewer"
        )
    return CoreArrays(
        params=_params(program, arch, tape.mode),
        code=code,
        **joined,
        tables=table_rows,
        table_memory=table_memory,
        memory=_memory(image, core),
        acc=np.zeros(rows, np.int64),
        counters=np.zeros(COUNTERS, np.int64),
        bank_busy=np.zeros(core.data_memory.banks, np.int64),
        bank_held=np.zeros(core.data_memory.banks, np.int64),
        pe_stalls=np.zeros((core.pes, S.COUNT), np.int64),
        scanner_stalls=np.zeros(S.COUNT, np.int64),
        matrix_use=np.zeros((len(loaded), 3), np.int64),
        columns=np.zeros(longest + 1, np.int64),
        every=np.arange(longest, dtype=np.int64),
        offsets=np.zeros(longest + 3, np.int32),
        factors=np.zeros(longest + 3, np.int16),
        windows=np.arange(longest, dtype=np.int64) // core.scanner.width,
        x=np.zeros(longest, np.int32),
        acc32=np.zeros(rows, np.int32),
        va=np.zeros(LONGEST_VECTOR, np.int64),
        vb=np.zeros(LONGEST_VECTOR, np.int64),
        pe_done=np.zeros(core.pes, np.int32),
        pe_owed=np.zeros(LANES, np.uint8),
        release=np.zeros(core.queue.depth, np.int64),
        bank_scratch=np.zeros(core.data_memory.banks, np.int64),
        operands=np.zeros((2, 4), np.int64),
        vector_memo=np.zeros((len(code), MEMO_BANKS + core.data_memory.banks), np.int64),
        given=np.zeros(Given.COUNT, np.int64),
        tape=tape.patterns,
    )


def _memory(image: CoreImage, core: CoreSpec) -> np.ndarray:
    """Return the data memory: all words that there are, so that its end is an operand's limit."""
    spec = core.data_memory
    words, word_bytes = spec.banks * spec.words, spec.word_bits // 8
    memory = np.full(words * word_bytes, 0xA5, np.uint8)
    for segment in image.segments:
        end = segment.address + len(segment.words)
        if end > words:
            raise MachineError(
                f"segment {segment.name} fills words {segment.address} to {end - 1}, and data "
                f"memory has {words} (core.data_memory: {spec.banks} banks x {spec.words} words); "
                "recompile the program for this architecture"
            )
        at = segment.address * word_bytes
        flat = segment.words.ravel()
        memory[at : at + flat.size] = flat
    return memory
