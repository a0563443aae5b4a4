"""Program and architecture to the arrays that a core's kernels work on."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spusim.arch.reuse import Itself
from spusim.arch.spec import Arch, CoreSpec
from spusim.isa import Instruction
from spusim.kernels.core import CoreArrays, CoreState
from spusim.kernels.lanes import LANES
from spusim.kernels.layout import (
    COUNTERS,
    LOAD_BANKS,
    MAC_KINDS,
    OWING_DONE,
    B,
    Given,
    M,
    Op,
    P,
    S,
    Tape,
)
from spusim.kernels.registers import FEW, WORD
from spusim.kernels.survey import COLUMNS_A_ROUND
from spusim.kernels.tiles import MASK, TILE
from spusim.machine.beats import beats_in_lanes, evenly
from spusim.machine.decode import decode_program
from spusim.machine.errors import MachineError
from spusim.machine.image_tape import ImageTape
from spusim.machine.matrix import LoadedMatrix, load_matrix, outlined
from spusim.machine.tape import CoreTape, Taping, no_tape
from spusim.numerics import Numerics
from spusim.program import CoreImage, Program

ROUNDING = {"floor": 0, "half_up": 1, "half_even": 2, "stochastic": 3}
OVERFLOW = {"saturate": 0, "wrap": 1, "nullify": 2}
Joined = dict[str, np.ndarray]
LONGEST_VECTOR = 1 << 16  # elements, what an instruction can count


@dataclass(frozen=True)
class StoredCore:
    """What no run changes of a core: its image, decoded and expanded for the kernels."""

    image: CoreImage
    instructions: tuple[Instruction, ...]
    mac_kinds: tuple[str, ...]  # names of the MAC counters
    arrays: Joined  # those of `CoreArrays` that only depend on image and architecture
    tile_columns: int  # most that a matrix has in tiles


@dataclass(frozen=True)
class LoadedCore:
    """A core ready to run."""

    arrays: CoreArrays
    state: CoreState  # the same arrays, for kernels
    instructions: list[Instruction]
    image: CoreImage
    mac_kinds: tuple[str, ...]  # names of the MAC counters
    images: ImageTape
    numerics: Numerics

    @property
    def word_bytes(self) -> int:
        """Bytes of a word of data memory."""
        return int(self.arrays.params[P.WORD_BYTES])


def load_core(
    image: CoreImage,
    program: Program,
    arch: Arch,
    taping: Taping = no_tape,
    stored: StoredCore | None = None,
) -> LoadedCore:
    """Make a core ready to run; raises MachineError for what the machine cannot do.

    stored: of this image, for this program and architecture, from `store_core`; None: made now.
    """
    tape = taping(image)
    if tape.mode != Tape.REPLAY and any(outlined(matrix) for matrix in image.matrices):
        raise MachineError(
            f"program {program.name} was outlined, so it can be timed from a recording but not "
            "computed; compile it with `pack`"
        )
    stored = stored or store_core(image, program, arch)
    arrays = CoreArrays(**stored.arrays | _blank_arrays(stored, program, arch, tape))
    return LoadedCore(
        arrays, CoreState(*arrays), [*stored.instructions], image, stored.mac_kinds, tape.images,
        program.numerics,
    )  # fmt: skip


def store_core(image: CoreImage, program: Program, arch: Arch) -> StoredCore:
    """Decode an image for the kernels; raises MachineError for what the machine cannot do."""
    code, instructions = decode_program(image.code)
    kinds = mac_kinds(program)
    multiplied = {*code[code[:, 0] == Op.MATVEC, 2].tolist()}
    matrices = [
        load_matrix(matrix, arch, program.numerics, kinds, number in multiplied)
        for number, matrix in enumerate(image.matrices)
    ]
    if len(kinds) > MAC_KINDS:
        raise MachineError(
            f"program {program.name} mixes {len(kinds)} precisions; the counters hold "
            f"{MAC_KINDS}: use fewer"
        )
    joined = _join_matrices(image, matrices, arch.core)
    longest = max((int(m.fields[M.COLUMNS]) for m in matrices), default=0) + 1
    table_rows, table_memory = _tables(image)
    arrays = joined | {
        "params": _params(program, arch),
        "code": code,
        "tables": table_rows,
        "table_memory": table_memory,
        "table_pairs": table_pairs(table_memory),
        "every": np.arange(longest, dtype=np.int64),
        "windows": np.arange(longest, dtype=np.int64) // arch.core.scanner.width,
    }
    tiled = joined["matrices"][:, M.TILED].max(initial=0) // TILE
    return StoredCore(image, tuple(instructions), kinds, arrays, int(tiled))


def mac_kinds(program: Program) -> tuple[str, ...]:
    """Name the precisions that the program's products use, such as `8x16`."""
    names = {m.precision for core in program.cores for m in core.matrices}
    return tuple(sorted(names))


def _params(program: Program, arch: Arch) -> np.ndarray:
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
        P.TAPE: Tape.NONE,
        P.SEED: numerics.seed,
        P.PARTIAL_EVERY: numerics.partial_sums.every,
        P.PARTIAL_SHIFT: numerics.partial_sums.shift,
        P.PARTIAL_BITS: numerics.partial_sums.bits,
        P.PARTIAL_ROUNDING: ROUNDING[numerics.partial_sums.rounding],
        P.WINDOW_STARTS: _window_starts(core.scanner.width),
        P.WINDOW_SHIFT: _logarithm(core.scanner.width),
    }
    return np.array([int(values[p]) for p in P if p is not P.COUNT], np.int64)


def _logarithm(number: int) -> int:
    """Return the logarithm of a power of two, -1 of any other number."""
    return number.bit_length() - 1 if number & (number - 1) == 0 else -1


def _window_starts(width: int) -> int:
    """Return which of a pattern's columns begin a window, as a signed word of bits; 0: see `P`."""
    if WORD % width:
        return 0
    starts = sum(1 << column for column in range(0, WORD, width))
    return starts - (1 << WORD) if starts >> (WORD - 1) else starts


def _tables(image: CoreImage) -> tuple[np.ndarray, np.ndarray]:
    size = max((t.base + len(t.entries) for t in image.tables), default=0)
    memory = np.zeros(size, np.int32)
    rows = np.zeros((len(image.tables), 4), np.int64)
    for row, table in zip(rows, image.tables, strict=True):
        memory[table.base : table.base + len(table.entries)] = table.entries
        row[:] = table.base, table.address_bits, table.fraction_bits, table.interpolate
    return rows, memory


def table_pairs(table_memory: np.ndarray) -> np.ndarray:
    """Return every entry with the next in its upper half, none where 16 bits do not hold them."""
    if not np.array_equal(table_memory, table_memory.astype(np.int16)):
        return np.zeros(0, np.int32)
    following = np.append(table_memory[1:], np.int32(0))[: len(table_memory)]
    return (table_memory & 0xFFFF) | (following << 16)


def _joined(parts: list[np.ndarray], dtype: type) -> tuple[np.ndarray, list[int]]:
    """Flatten and join; return the whole and where each part begins."""
    flat: list[np.ndarray] = [part.ravel().astype(dtype, copy=False) for part in parts]
    sizes = [len(part) for part in flat]
    begins = [0, *np.cumsum(sizes).tolist()][: len(sizes)]
    return (np.concatenate(flat) if flat else np.zeros(0, dtype)), begins


def _of_kind(parts: list[np.ndarray], dtype: type) -> tuple[np.ndarray, list[int]]:
    """Flatten and join the parts of one kind; return the whole and where each part begins."""
    return _joined([part if part.dtype == dtype else part[:0] for part in parts], dtype)


def _join_matrices(image: CoreImage, loaded: list[LoadedMatrix], core: CoreSpec) -> Joined:
    """One flat array per kind of static data, and the table of where each matrix's part is."""
    if loaded and all(outlined(matrix) for matrix in image.matrices):
        joined = dict(_joined_once(tuple(map(Itself, loaded))))
    else:
        joined = _joined_parts(loaded)
    table = joined["matrices"].copy()
    # which the queue's depth decides, that else nothing depends on
    beats = [beats_in_lanes(m.packed_beats, core) for m in loaded]
    byte_beats, bytes_ = _joined([lanes for lanes, _ in beats], np.uint8)
    short_beats, shorts = _joined([few for _, few in beats], np.uint16)
    for row, m, (lanes, few), in_bytes, in_shorts in zip(
        table, loaded, beats, bytes_, shorts, strict=True
    ):
        row[M.EVEN] = evenly(m.packed_beats, core)
        row[M.BYTE_BEATS] = in_bytes if lanes.size else -1
        row[M.SHORT_BEATS] = in_shorts if few.size else -1
    return {
        **joined,
        "matrices": table,
        "byte_beats": byte_beats,
        "short_beats": short_beats,
    }


@lru_cache(maxsize=128)  # of matrices that are timed again and again; nobody writes to them
def _joined_once(loaded: tuple[Itself[LoadedMatrix], ...]) -> Joined:
    return _joined_parts([each.thing for each in loaded])


def _joined_parts(loaded: list[LoadedMatrix]) -> Joined:
    table = np.zeros((len(loaded), M.COUNT), np.int64)
    w8, at8 = _of_kind([m.weights for m in loaded], np.int8)
    w16, at16 = _of_kind([m.weights for m in loaded], np.int16)
    tiles8, tiles_at8 = _of_kind([m.tile_weights for m in loaded], np.int8)
    tiles16, tiles_at16 = _of_kind([m.tile_weights for m in loaded], np.int16)
    tile_masks, masks = _joined([m.tile_masks for m in loaded], np.uint32)
    packed_beats, costs = _joined([m.packed_beats for m in loaded], np.int64)
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
        tiles = tiles_at16 if m.fields[M.WIDE] else tiles_at8
        table[k, M.TILES] = tiles[k] if m.tile_weights.size else -1
        table[k, M.TILE_MASKS] = masks[k]
    beats, beat_first, entry_rows = _join_beats(loaded)
    return dict(
        matrices=table, w8=w8, w16=w16, packed_beats=packed_beats,
        stats=np.ascontiguousarray(stats.reshape(-1, 4).T),
        tiles8=tiles8, tiles16=tiles16, tile_masks=tile_masks,
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


def _blank_arrays(stored: StoredCore, program: Program, arch: Arch, tape: CoreTape) -> Joined:
    """Return what a run changes of a core, in its state before it."""
    core, constant = arch.core, stored.arrays
    params, matrices = constant["params"].copy(), constant["matrices"].copy()
    params[P.TAPE] = tape.mode
    matrices[:, M.TAPE], matrices[:, M.PRODUCTS] = tape.begins, tape.products
    longest = len(constant["every"])
    words = -(-longest // WORD)  # of patterns
    rows = max(program.accumulators, 1)
    return dict(
        params=params,
        matrices=matrices,
        memory=_memory(stored.image, core, tape.mode),
        acc=np.zeros(rows, np.int64),
        counters=np.zeros(COUNTERS, np.int64),
        bank_busy=np.zeros(core.data_memory.banks, np.int64),
        bank_held=np.zeros(core.data_memory.banks, np.int64),
        pe_stalls=np.zeros((core.pes, S.COUNT), np.int64),
        scanner_stalls=np.zeros(S.COUNT, np.int64),
        matrix_use=np.zeros((len(matrices), 3), np.int64),
        columns=np.zeros(longest + COLUMNS_A_ROUND, np.int64),
        offsets=np.zeros(longest + 3, np.int32),
        factors=np.zeros(longest + 3, np.int16),
        uses=np.zeros(constant["stats"].shape[1], np.int32),
        load_memo=np.zeros((len(matrices), LOAD_BANKS + core.data_memory.banks), np.int64),
        owing=np.zeros(OWING_DONE + core.pes, np.int64),
        x=np.zeros(words * WORD, np.int32),
        pattern=np.zeros(words, np.uint64),
        x16=np.zeros(words * WORD, np.int16),
        tile_x=np.zeros(stored.tile_columns + MASK, np.int16),
        acc32=np.zeros(rows, np.int32),
        va=np.empty(LONGEST_VECTOR, np.int64),
        vb=np.empty(LONGEST_VECTOR, np.int64),
        pe_done=np.zeros(core.pes, np.int32),
        pe_owed=np.zeros(LANES, np.uint8),
        pe_ahead=np.zeros(FEW, np.uint16),
        steps=np.zeros(longest, np.int64),
        release=np.zeros(longest + core.queue.depth, np.int64),
        bank_scratch=np.zeros(core.data_memory.banks, np.int64),
        bound=np.zeros((len(constant["code"]), B.COUNT + core.data_memory.banks), np.int64),
        given=np.zeros(Given.COUNT, np.int64),
        tape=tape.patterns,
    )


def _memory(image: CoreImage, core: CoreSpec, mode: Tape) -> np.ndarray:
    """Return the data memory: all words that there are, so that its end is an operand's limit.

    Blank where a recording is replayed, and nothing but the limit matters.
    """
    spec = core.data_memory
    words, word_bytes = spec.banks * spec.words, spec.word_bits // 8
    for segment in image.segments:
        end = segment.address + len(segment.words)
        if end > words:
            raise MachineError(
                f"segment {segment.name} fills words {segment.address} to {end - 1}, and data "
                f"memory has {words} (core.data_memory: {spec.banks} banks x {spec.words} words); "
                "recompile the program for this architecture"
            )
    if mode == Tape.REPLAY:
        return np.zeros(words * word_bytes, np.uint8)  # which the system gives out when touched
    memory = np.full(words * word_bytes, 0xA5, np.uint8)
    for segment in image.segments:
        at = segment.address * word_bytes
        flat = segment.words.ravel()
        memory[at : at + flat.size] = flat
    return memory
